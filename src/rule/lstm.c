/* lstm.c - implements the update rule `lstm`: its options, its meta-parameters, and the
 * distribution of its work over threads.
 *
 * For each layer l = 1, 2, ..., phi contains the tensors lstm<l>.weight (4 * H, in + H) and
 * lstm<l>.bias (4 * H). The tensors output.weight (heads, H) and output.bias (heads) follow. Here H
 * is the number of units in a layer, and a head is an output of the LSTM. The initial values are
 * the same as in the code google-deepmind/learning-to-learn. The weights and biases of a layer are
 * drawn from a truncated normal distribution with the standard deviation 1/sqrt(in + H). For the
 * weights of the output, the standard deviation is 1/sqrt(H), and the bias of the output starts at
 * zero. If the rule has momentum, all weights and biases of the outputs start at zero. The
 * untrained rule is then Nesterov's rule with the configured rate.
 *
 * The order in which weight gradients are summed does not depend on the number of threads. The
 * weight gradients in a group of WL_LSTM_GROUP blocks are summed in the type wl_real. The sums of
 * the groups are added in double precision. */
#include "rule/lstm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/float_state.h"
#include "rule/lstm_net.h"

typedef struct lstm_ws {
  const wl_lstm_kernel *kernel;
  int threads;
  size_t scratch_bytes;   /* number of bytes of scratch memory for each thread */
  unsigned char *packed;  /* weights in the layout of the kernel */
  unsigned char *scratch; /* [threads][scratch_bytes] scratch memory */
  /* number of groups in a wave; the threads compute the weight gradients of a wave before they add
   * the gradients */
  int64_t wave;
  /* number of elements in the weight gradient of one group, including padding */
  int64_t partial_count;
  wl_real *partial; /* [wave][partial_count] weight gradient of each group in a wave */
} lstm_ws;

/* The values of the options in the configuration's section `rule` for an LSTM. */
typedef struct lstm_keys {
  wl_ints hidden;
  wl_lstm_input preprocessing;
  double preprocessing_strength, gradient_scale, output_scale, momentum, rate, forget_bias;
  bool through_inputs;
} lstm_keys;

static const wl_option lstm_options[] = {
    {"hidden", WL_OPT_INTS, "[20, 20]", NULL, 1, WL_LSTM_MAX_HIDDEN, "1",
     "Number of units of each LSTM layer, for one to four layers.", WL_SLOT(lstm_keys, hidden)},
    {"preprocessing", WL_OPT_CHOICE, "log", "none|log|paper|adam", 0, 0, NULL,
     "Inputs of the LSTM. none: the gradient g. log: the two numbers max(log(|g| + eps) / k, -1) "
     "and clip(g e^k, -1, 1). paper: the two numbers log|g| / p and sign g if |g| >= e^-p, "
     "otherwise -1 and e^p g. adam: the numbers g / sqrt v and m / sqrt v, where m and v are "
     "running means of g and g^2 with decay 0.95. With `adam`, a second output scales a step along "
     "m / sqrt v with the rate `rate`; if `rate` is 0, the update has no such step. With `adam`, "
     "the only other keys with an effect are `hidden` and `output_scale`.",
     WL_SLOT(lstm_keys, preprocessing)},
    {"preprocessing_strength", WL_OPT_REAL, "0", NULL, 0, 80, "1",
     "The number k in `preprocessing: log`, or the number p in `preprocessing: paper`. The value 0 "
     "selects the published values, k = 5 and p = 10.",
     WL_SLOT(lstm_keys, preprocessing_strength)},
    {"gradient_scale", WL_OPT_REAL, "30.0", NULL, 0, 0, "1",
     "Factor that multiplies the gradient before preprocessing.",
     WL_SLOT(lstm_keys, gradient_scale)},
    {"output_scale", WL_OPT_REAL, "0.1", NULL, 0, 0, "1",
     "Factor that multiplies the LSTM's output. The paper (Andrychowicz et al. 2016) uses 1 for "
     "quadratic functions and 0.01 for neural networks.",
     WL_SLOT(lstm_keys, output_scale)},
    {"momentum", WL_OPT_REAL, "0.9", NULL, 0, 0.9999, "1",
     "Decay b of a running sum of gradients, V' = b V + g. The LSTM also reads the mean (1 - b) "
     "V'. A second output o2 scales a Nesterov step: u = output_scale o1 - rate e^o2 (g + b V'). "
     "With the value 0, there is no running sum and no Nesterov step.",
     WL_SLOT(lstm_keys, momentum)},
    {"rate", WL_OPT_REAL, "0.01", NULL, 0, 1e9, "1",
     "Rate of the Nesterov step if o2 is 0. Before meta-training, o2 is 0. The rate has an effect "
     "if `momentum` is positive, or with `preprocessing: adam`.",
     WL_SLOT(lstm_keys, rate)},
    {"through_inputs", WL_OPT_BOOL, "false", NULL, 0, 0, NULL,
     "With `window.order: second`, also differentiate through the LSTM's inputs. With `true` and "
     "the preprocessing `log` or `paper`, the meta-gradients become very large. With `false`, the "
     "code differentiates only through the Nesterov step.",
     WL_SLOT(lstm_keys, through_inputs)},
    {"forget_bias", WL_OPT_REAL, "1.0", NULL, 0, 0, "1",
     "Number that is added to the pre-activation of the forget gate.",
     WL_SLOT(lstm_keys, forget_bias)},
    {NULL, 0, NULL, NULL, 0, 0, NULL, NULL}};

static size_t round_up(size_t bytes) { return (bytes + WL_ALIGN - 1) / WL_ALIGN * WL_ALIGN; }

/* ---- Creation ------------------------------------------------------------------------------- */

static wl_status set_net(const wl_map *options, const lstm_keys *own, wl_lstm_net *net) {
  const lstm_keys keys = *own;
  const int layers = keys.hidden.count;
  if (layers < 1 || layers > WL_LSTM_MAX_LAYERS)
    return wl_map_fail(
        options, "hidden",
        "the list has %d numbers; give the number of units of each layer, for 1 to %d layers",
        layers, WL_LSTM_MAX_LAYERS);
  wl_lstm_net_shape(net, keys.preprocessing, keys.momentum, layers, keys.hidden.at);
  net->rate = (wl_real)keys.rate;
  net->through_inputs = keys.through_inputs;
  wl_lstm_net_scales(net, keys.preprocessing_strength, keys.gradient_scale, keys.output_scale,
                     keys.forget_bias);
  return WL_OK;
}

/* Adds the LSTM's tensors to the layout of phi, in the order of the offsets in `net`. */
static wl_status add_blocks(const wl_lstm_net *net, wl_layout *phi) {
  char name[WL_NAME_SIZE];
  for (int l = 0; l < net->layers; l++) {
    const wl_lstm_layer *const layer = &net->layer[l];
    const int64_t rows = 4 * layer->hidden;
    snprintf(name, sizeof name, "lstm%d.weight", l + 1);
    WL_TRY(wl_layout_add(phi, "rule", name, 2, (int64_t[]){rows, layer->in + layer->hidden}, NULL));
    snprintf(name, sizeof name, "lstm%d.bias", l + 1);
    WL_TRY(wl_layout_add(phi, "rule", name, 1, &rows, NULL));
  }
  const int64_t last = net->layer[net->layers - 1].hidden;
  WL_TRY(wl_layout_add(phi, "rule", "output.weight", 2, (int64_t[]){net->heads, last}, NULL));
  WL_TRY(wl_layout_add(phi, "rule", "output.bias", 1, &net->heads, NULL));
  WL_CHECK(phi->size == net->parameters);
  return WL_OK;
}

/* Returns the number of floating-point operations of a coordinate-step. The number includes the
 * forward pass, the recomputed forward pass, the adjoint of the steps and the weight gradient. */
static double step_cost(const wl_lstm_net *net) {
  double mac = 0;
  for (int l = 0; l < net->layers; l++) {
    const double gates = 4.0 * (double)net->layer[l].hidden;
    const double all = gates * (double)(net->layer[l].in + net->layer[l].hidden);
    const double sweep = l > 0 ? all : gates * (double)net->layer[l].hidden;
    mac += 3 * all + sweep;
  }
  return 2 * (mac + 4.0 * (double)(net->heads * net->layer[net->layers - 1].hidden));
}

static void lstm_destroy(wl_rule *rule) {
  wl_free(rule->impl);
  rule->impl = NULL;
  wl_layout_clear(&rule->phi);
}

static wl_status lstm_create(const wl_map *options, const wl_rule_setting *setting, wl_rule *rule) {
  (void)setting;
  wl_lstm_net *net = NULL;
  lstm_keys keys;
  wl_map_read(options, lstm_options, &keys);
  if (keys.preprocessing == WL_LSTM_ADAM)
    return wl_lstm_adam_create(
        options, &(wl_lstm_adam_keys){keys.hidden, keys.output_scale, keys.rate}, rule);
  WL_TRY(WL_NEW(net, 1));
  rule->impl = net;
  wl_status status = WL_OK;
  WL_TRY_GOTO(status, set_net(options, &keys, net), fail);
  WL_TRY_GOTO(status, add_blocks(net, &rule->phi), fail);
  rule->state_width = net->width;
  rule->activations = wl_lstm_kernel_select()->activation_reals(net);
  rule->reads_theta = false;
  rule->partial_gbar = !net->through_inputs;
  rule->cost = step_cost(net);
  return WL_OK;
fail:
  lstm_destroy(rule);
  return status;
}

/* Draws a tensor of phi from a separate random stream, so that the values of the tensor do not
 * depend on the sizes of other tensors. */
static void draw(uint64_t seed, uint64_t block, int64_t n, int64_t fan, wl_real *out) {
  const wl_stream stream = {
      .seed = seed, .purpose = WL_FOR_META_INIT, .space = WL_SPACE_TRAIN, .step = block};
  wl_rng_truncated_normal(stream, 0, n, 1 / sqrt((double)fan), out);
}

static void lstm_init(const wl_rule *rule, uint64_t seed, wl_real *phi) {
  const wl_lstm_net *net = rule->impl;
  uint64_t block = 0;
  for (int l = 0; l < net->layers; l++) {
    const wl_lstm_layer *layer = &net->layer[l];
    const int64_t fan = layer->in + layer->hidden;
    draw(seed, block++, 4 * layer->hidden * fan, fan, phi + layer->weight);
    draw(seed, block++, 4 * layer->hidden, fan, phi + layer->bias);
  }
  const int64_t last = net->layer[net->layers - 1].hidden;
  memset(phi + net->head_weight, 0, (size_t)(net->parameters - net->head_weight) * sizeof *phi);
  if (net->heads == 1) draw(seed, block, last, last, phi + net->head_weight);
}

/* Returns the number of blocks in the group with the number `group`. The groups together contain
 * `blocks` blocks. */
static int64_t group_count(int64_t group, int64_t blocks) {
  const int64_t left = blocks - group * WL_LSTM_GROUP;
  return left < WL_LSTM_GROUP ? left : WL_LSTM_GROUP;
}

static int64_t group_total(int64_t blocks) { return (blocks + WL_LSTM_GROUP - 1) / WL_LSTM_GROUP; }

/* ---- Workspace ------------------------------------------------------------------------------ */

/* Returns the number of groups in a wave. Each thread computes some groups of a wave, and at the
 * end of the wave, the threads wait for each other. If there are several threads, a wave therefore
 * has many groups. If there is one thread, a wave has one group. If the LSTM is large, the wave has
 * so few groups that its weight gradients need only a few megabytes. */
static int64_t wave_of(const wl_lstm_net *net, int64_t max_blocks, int threads) {
  enum { MOST = 64, LEAST = 4, BYTES = 2 << 20 };
  const int64_t fitting = BYTES / (wl_pad(net->parameters) * (int64_t)sizeof(wl_real));
  const int64_t each = fitting > MOST ? MOST : fitting < LEAST ? LEAST : fitting;
  const int64_t all = max_blocks > 0 ? group_total(max_blocks) : 1;
  if (threads <= 1) return 1;
  return each * threads < all ? each * threads : all;
}

/* Returns the number of bytes of scratch memory for one thread. Usually the number is rounded up to
 * a whole number of huge pages. The number is rounded up only to WL_ALIGN bytes in two cases: the
 * scratch memory is much smaller than a huge page, or the rule state is smaller than a huge page.
 * If the number were rounded up to whole huge pages in the two cases, most of a huge page would be
 * unused. */
static size_t scratch_size(const wl_lstm_kernel *kernel, const wl_lstm_net *net,
                           int64_t max_blocks) {
  const size_t bytes = kernel->scratch_bytes(net),
               state = (size_t)(max_blocks * net->width * WL_LANES) * sizeof(wl_real);
  const bool small = bytes < WL_HUGE_PAGE / 16 || state < WL_HUGE_PAGE;
  const size_t page = small ? WL_ALIGN : WL_HUGE_PAGE;
  return (bytes + page - 1) / page * page;
}

static size_t lstm_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                            int threads) {
  (void)adjoint;
  const int64_t max_blocks = wl_blocks(theta->size);
  const wl_lstm_net *net = rule->impl;
  const wl_lstm_kernel *kernel = wl_lstm_kernel_select();
  const int64_t partials = wave_of(net, max_blocks, threads) * wl_pad(net->parameters);
  return sizeof(lstm_ws) + round_up(kernel->packed_bytes(net)) +
         (size_t)threads * scratch_size(kernel, net, max_blocks) +
         (size_t)partials * sizeof(wl_real);
}

static void lstm_ws_destroy(void *impl) {
  lstm_ws *ws = impl;
  if (!ws) return;
  wl_free(ws->packed);
  wl_free(ws->scratch);
  wl_free(ws->partial);
  wl_free(ws);
}

static wl_status lstm_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                int threads, void **out) {
  (void)adjoint;
  const int64_t max_blocks = wl_blocks(theta->size);
  const wl_lstm_net *net = rule->impl;
  lstm_ws *ws = NULL;
  WL_TRY(WL_NEW(ws, 1));
  ws->kernel = wl_lstm_kernel_select();
  ws->threads = threads < 1 ? 1 : threads;
  ws->scratch_bytes = scratch_size(ws->kernel, net, max_blocks);
  ws->wave = wave_of(net, max_blocks, threads);
  ws->partial_count = wl_pad(net->parameters);
  wl_status status = WL_OK;
  WL_TRY_GOTO(status, WL_NEW(ws->packed, round_up(ws->kernel->packed_bytes(net))), fail);
  WL_TRY_GOTO(status, WL_NEW(ws->scratch, (size_t)ws->threads * ws->scratch_bytes), fail);
  WL_TRY_GOTO(status, WL_NEW(ws->partial, ws->wave * ws->partial_count), fail);
  *out = ws;
  return WL_OK;
fail:
  lstm_ws_destroy(ws);
  return status;
}

static void lstm_pack(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_real *phi) {
  lstm_ws *ws = rule_ws->impl;
  ws->kernel->pack(rule->impl, phi, ws->packed);
}

/* ---- Steps and adjoints, distributed over threads ------------------------------------------- */

#ifdef _OPENMP
#include <omp.h>
static int thread_index(void) { return omp_get_thread_num(); }
#else
static int thread_index(void) { return 0; }
#endif

/* If the activations of a chunk need more than this number of bytes, the stores of the activations
 * bypass the caches, because the caches would evict the activations before the adjoint reads
 * them. */
enum { CACHED_ACTIVATIONS = 4 << 20 };

static void lstm_step(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const wl_lstm_net *const net = rule->impl;
  lstm_ws *const ws = rule_ws->impl;
  const int64_t groups = group_total(step->blocks);
  const bool past =
      WL_CHUNK_STEPS * step->blocks * rule->activations * (int64_t)sizeof *step->activations >
      CACHED_ACTIVATIONS;
#pragma omp parallel num_threads(ws->threads) if (ws->threads > 1 && groups > 1)
  {
    wl_float_state before;
    wl_float_state_enter(&before);
#pragma omp for schedule(dynamic, 1)
    for (int64_t group = 0; group < groups; group++) {
      const int64_t first = group * WL_LSTM_GROUP, row = first * WL_LANES;
      const wl_lstm_step live = {
          .blocks = group_count(group, step->blocks),
          .g = step->g + row,
          .s_in = step->s_in + row * net->width,
          .s_out = step->s_out + row * net->width,
          .u = step->u + row,
          .activations = step->activations ? step->activations + first * rule->activations : NULL,
          .past_caches = past};
      ws->kernel->step(net, ws->packed, ws->scratch + (size_t)thread_index() * ws->scratch_bytes,
                       &live);
    }
    wl_float_state_leave(&before);
  }
}

/* Adds the weight gradients of `count` groups to phi_grad, one group after the other. All threads
 * of a team call this function, and each thread adds the values of a different range of
 * parameters. */
static void add_partials(const lstm_ws *ws, int64_t parameters, int64_t count, double *phi_grad) {
  enum { RUN = 512 };
#pragma omp for schedule(static)
  for (int64_t first = 0; first < parameters; first += RUN) {
    const int64_t end = first + RUN < parameters ? first + RUN : parameters;
    for (int64_t group = 0; group < count; group++) {
      const wl_real *const partial = ws->partial + group * ws->partial_count;
      for (int64_t p = first; p < end; p++) phi_grad[p] += (double)partial[p];
    }
  }
}

/* Computes the adjoint of a chunk, one wave of groups after the other. When a thread has computed a
 * group, it starts the next group of the wave. The threads wait for each other only at the end of
 * the wave. */
static void lstm_backward(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_rule_chunk *chunk,
                          double *phi_grad) {
  const wl_lstm_net *const net = rule->impl;
  lstm_ws *const ws = rule_ws->impl;
  const int64_t groups = group_total(chunk->blocks);
#pragma omp parallel num_threads(ws->threads) if (ws->threads > 1 && groups > 1)
  {
    wl_float_state before;
    wl_float_state_enter(&before);
    for (int64_t first = 0; first < groups; first += ws->wave) {
      const int64_t count = groups - first < ws->wave ? groups - first : ws->wave;
#pragma omp for schedule(dynamic, 1)
      for (int64_t i = 0; i < count; i++)
        ws->kernel->backward(net, ws->packed,
                             ws->scratch + (size_t)thread_index() * ws->scratch_bytes, chunk,
                             (first + i) * WL_LSTM_GROUP, group_count(first + i, chunk->blocks),
                             ws->partial + i * ws->partial_count);
      add_partials(ws, net->parameters, count, phi_grad);
    }
    wl_float_state_leave(&before);
  }
}

const wl_rule_ops wl_rule_lstm = {
    .name = "lstm",
    .summary = "coordinatewise LSTM (Andrychowicz et al. 2016)",
    .options = lstm_options,
    .create = lstm_create,
    .destroy = lstm_destroy,
    .init = lstm_init,
    .pack = lstm_pack,
    .step = lstm_step,
    .backward = lstm_backward,
    .ws_create = lstm_ws_create,
    .ws_destroy = lstm_ws_destroy,
    .ws_bytes = lstm_ws_bytes};
