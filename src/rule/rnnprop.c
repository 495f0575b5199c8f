/* rnnprop.c - implements the update rule RNNprop (Lv, Jiang and Li 2017). An LSTM reads gradients
 * and momenta that are normalised as in Adam.
 *
 *   m' = b m + (1 - b) g,   v' = b v + (1 - b) g^2,   b = 0.95
 *   x  = (g, m) / (sqrt v + 1e-8),   y = elu(W_in x + b_in),   h = lstm(y)
 *   u  = -output_scale tanh(w h + b_out)
 *
 * The formulas for x and u use bias-corrected m and v. The gates of the LSTM have the order input
 * gate, candidate, forget gate, output gate. The code adds 1 to the pre-activation of the forget
 * gate. If `rate` is positive, a second output scales a step in Adam's direction. The two outputs
 * of the network start at zero, so the untrained rule is Adam:
 *
 *   u  = -output_scale tanh(w h + b_out) - rate exp(w_2 h + b_2) m / (sqrt v + 1e-8)
 *
 * The rule `lstm` with `preprocessing: adam` has no dense layer and no tanh of the output, so that
 * y = x and
 *
 *   u  = output_scale (w h + b_out) - rate exp(w_2 h + b_2) m / (sqrt v + 1e-8)
 *
 * The state of a coordinate is m, v, and the output h and the cell state c of each layer. The
 * backward pass processes one block at a time. For each block, the code first computes the states
 * of the chunk again. The code then computes the adjoints from the last step to the first. The
 * meta-gradients of each lane in a group of blocks are summed in the type wl_real. The sums of the
 * groups are added in double precision. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rule/lstm.h"
#include "rule/rnnprop_kernel.h"
#include "rule/tensors.h"

enum { GROUP = 8 };

typedef struct workspace {
  const wl_rnnprop_kernel *kernel;
  wl_real *phi;     /* [parameters] meta-parameters */
  wl_real *states;  /* [WL_CHUNK_STEPS][width][16] states of the current block before each step */
  wl_real *mu;      /* [width][16] adjoint of the state, used if the chunk has no array `mu` */
  wl_real *phi_bar; /* [parameters][16] meta-gradient of each lane, summed over a group */
} workspace;

static const wl_option rnnprop_options[] = {
    {"hidden", WL_OPT_INTS, "[20, 20]", NULL, 1, WL_RNNPROP_MOST_HIDDEN, "1",
     "Number of units of each LSTM layer, for one to four layers. The dense layer before the LSTM "
     "has as many units as the first LSTM layer.",
     WL_SLOT(wl_rnnprop_net, widths)},
    {"output_scale", WL_OPT_REAL, "0.1", NULL, 0, 1e9, "1",
     "Largest magnitude of the part of a coordinate's step that the first output determines.",
     WL_SLOT(wl_rnnprop_net, output_scale)},
    {"rate", WL_OPT_REAL, "0", NULL, 0, 1e9, "1",
     "Rate of a step of Adam with beta1 = beta2 = 0.95. A second output scales this step. If the "
     "rate is positive, the untrained rule is equal to Adam. With the value 0, the rule has no "
     "step of Adam.",
     WL_SLOT(wl_rnnprop_net, rate)},
    {0}};

static void rnnprop_destroy(wl_rule *rule) {
  wl_free(rule->impl);
  rule->impl = NULL;
}

static wl_status add_layer(wl_layout *phi, const char *name, int64_t rows, int64_t columns,
                           int64_t *weight, int64_t *bias) {
  char text[WL_NAME_SIZE];
  snprintf(text, sizeof text, "%.40s.weight", name);
  WL_TRY(wl_layout_add(phi, "rule", text, 2, (int64_t[]){rows, columns}, weight));
  snprintf(text, sizeof text, "%.40s.bias", name);
  return wl_layout_add(phi, "rule", text, 1, &rows, bias);
}

static wl_status add_layers(wl_rnnprop_net *net, wl_layout *phi) {
  if (!net->plain)
    WL_TRY(add_layer(phi, "input", net->hidden[0], 2, &net->in_weight, &net->in_bias));
  int64_t in = wl_rnnprop_inputs(net, 0);
  for (int l = 0; l < net->layers; l++) {
    char name[WL_NAME_SIZE];
    snprintf(name, sizeof name, "lstm%d", l + 1);
    WL_TRY(add_layer(phi, name, 4 * net->hidden[l], in + net->hidden[l], &net->weight[l],
                     &net->bias[l]));
    in = net->hidden[l];
  }
  WL_TRY(add_layer(phi, "output", net->heads, in, &net->out_weight, &net->out_bias));
  net->parameters = phi->size;
  return WL_OK;
}

/* Creates the rule. In `keys`, the members that correspond to options are already set; the function
 * sets the other members. */
static wl_status create(const wl_map *options, const wl_rnnprop_net *keys, wl_rule *rule) {
  wl_rnnprop_net *net = NULL;
  WL_TRY(WL_NEW(net, 1));
  rule->impl = net;
  *net = *keys;
  net->layers = net->widths.count;
  if (net->layers < 1 || net->layers > WL_RNNPROP_MOST_LAYERS)
    return wl_map_fail(
        options, "hidden",
        "the list has %d numbers; give the number of units of each layer, for 1 to %d layers",
        net->layers, WL_RNNPROP_MOST_LAYERS);
  net->width = 2;
  for (int l = 0; l < net->layers; l++) {
    net->hidden[l] = (int)net->widths.at[l];
    net->width += 2 * net->hidden[l];
  }
  net->heads = net->rate > 0 ? 2 : 1;
  WL_TRY(add_layers(net, &rule->phi));
  rule->state_width = net->width;
  rule->cost = 8.0 * (double)net->parameters;
  return WL_OK;
}

static wl_status rnnprop_create(const wl_map *options, const wl_rule_setting *setting,
                                wl_rule *rule) {
  (void)setting;
  wl_rnnprop_net keys = {0};
  wl_map_read(options, rnnprop_options, &keys);
  return create(options, &keys, rule);
}

static const wl_rule_ops lstm_adam;
wl_status wl_lstm_adam_create(const wl_map *options, const wl_lstm_adam_keys *keys, wl_rule *rule) {
  rule->ops = &lstm_adam;
  /* output_scale is negated, because u = output_scale (w h + b) has the opposite sign of RNNprop's
   * update */
  return create(options,
                &(wl_rnnprop_net){.widths = keys->hidden,
                                  .output_scale = -keys->output_scale,
                                  .rate = keys->rate,
                                  .plain = true},
                rule);
}

/* Draws the weights, and the biases of the LSTM, from a truncated normal distribution with the
 * standard deviation 1 / sqrt(inputs). The biases of the dense layer and of the outputs start at
 * zero. If there are two outputs, their weights start at zero too. */
static void rnnprop_init(const wl_rule *rule, uint64_t seed, wl_real *phi) {
  const wl_rnnprop_net *net = rule->impl;
  memset(phi, 0, (size_t)rule->phi.size * sizeof *phi);
  for (int i = 0; i < rule->phi.count; i++) {
    const wl_tensor_entry *const b = &rule->phi.tensors[i];
    const bool cell = strncmp(b->name, "lstm", 4) == 0;
    if (b->ndim < 2 && !cell) continue;
    if (net->heads == 2 && strcmp(b->name, "output.weight") == 0) continue;
    const int64_t fan = b->ndim == 2 ? b->shape[1] : rule->phi.tensors[i - 1].shape[1];
    const wl_stream stream = {
        .seed = seed, .purpose = WL_FOR_META_INIT, .space = WL_SPACE_TRAIN, .step = (uint64_t)i};
    wl_rng_truncated_normal(stream, 0, b->size, 1 / sqrt((double)fan), phi + b->offset);
  }
}

static size_t rnnprop_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                               int threads) {
  (void)theta, (void)threads;
  const wl_rnnprop_net *net = rule->impl;
  const int64_t lanes = adjoint ? (WL_CHUNK_STEPS + 1) * net->width + net->parameters : 0;
  return sizeof(workspace) + (size_t)(net->parameters + lanes * WL_LANES) * sizeof(wl_real);
}

static void rnnprop_ws_destroy(void *impl) {
  workspace *ws = impl;
  if (!ws) return;
  wl_free(ws->phi);
  wl_free(ws->states);
  wl_free(ws->mu);
  wl_free(ws->phi_bar);
  wl_free(ws);
}

static wl_status allocate(const wl_rnnprop_net *net, bool adjoint, workspace *ws) {
  ws->kernel = wl_rnnprop_kernel_select();
  WL_TRY(WL_NEW(ws->phi, net->parameters));
  if (!adjoint) return WL_OK;
  WL_TRY(WL_NEW(ws->states, WL_CHUNK_STEPS * net->width * WL_LANES));
  WL_TRY(WL_NEW(ws->mu, net->width * WL_LANES));
  return WL_NEW(ws->phi_bar, net->parameters * WL_LANES);
}

static wl_status rnnprop_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                   int threads, void **out) {
  (void)theta, (void)threads;
  workspace *ws = NULL;
  WL_TRY(WL_NEW(ws, 1));
  const wl_status status = allocate(rule->impl, adjoint, ws);
  if (status != WL_OK) rnnprop_ws_destroy(ws);
  else *out = ws;
  return status;
}

static void rnnprop_pack(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_real *phi) {
  workspace *ws = rule_ws->impl;
  memcpy(ws->phi, phi, (size_t)rule->phi.size * sizeof *phi);
}

static wl_rnnprop_time time_of(int64_t t) {
  const wl_real correction = (wl_real)(1 / (1 - pow(0.95, (double)(t + 1))));
  return (wl_rnnprop_time){correction, correction};
}

static void rnnprop_step(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const wl_rnnprop_net *const net = rule->impl;
  const workspace *const ws = rule_ws->impl;
  const wl_rnnprop_time time = time_of(step->t);
  const int threads = rule_ws->threads;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t b = 0; b < step->blocks; b++) {
    const int64_t at = b * WL_LANES, state = at * net->width;
    ws->kernel->step(&(wl_rnnprop_input){net, ws->phi, time, step->g + at, step->s_in + state},
                     step->s_out + state, step->u + at);
  }
}

/* Adds loss_weight[k] times the gradient of the outer loss at theta_k to the adjoint of theta. */
static void add_loss_gradient(const wl_rule_chunk *chunk, int64_t k, int64_t at, wl_real *lam) {
  if (chunk->loss_grad == NULL || chunk->loss_weight[k] == 0) return;
  const wl_real weight = (wl_real)chunk->loss_weight[k];
  for (int l = 0; l < WL_LANES; l++) lam[l] += weight * chunk->loss_grad[at + l];
}

static void block_backward(const wl_rnnprop_net *net, workspace *ws, const wl_rule_chunk *chunk,
                           int64_t block) {
  const int64_t size = net->width * WL_LANES;
  _Alignas(WL_ALIGN) wl_real unwanted[WL_LANES];
  wl_real *const lam = chunk->lam + block * WL_LANES;
  wl_real *const mu = chunk->mu ? chunk->mu + block * size : ws->mu;
  if (!chunk->mu) memset(mu, 0, (size_t)size * sizeof *mu);
  memcpy(ws->states, chunk->state + block * size, (size_t)size * sizeof *ws->states);
  for (int64_t k = 0; k + 1 < chunk->steps; k++)
    ws->kernel->step(&(wl_rnnprop_input){net, ws->phi, time_of(chunk->t0 + k),
                                         chunk->g + (k * chunk->blocks + block) * WL_LANES,
                                         ws->states + k * size},
                     ws->states + (k + 1) * size, unwanted);
  for (int64_t k = chunk->steps - 1; k >= 0; k--) {
    const int64_t at = (k * chunk->blocks + block) * WL_LANES;
    ws->kernel->backward(
        &(wl_rnnprop_input){net, ws->phi, time_of(chunk->t0 + k), chunk->g + at,
                            ws->states + k * size},
        &(wl_rnnprop_bars){lam, mu, chunk->gbar ? chunk->gbar + at : unwanted, ws->phi_bar});
    add_loss_gradient(chunk, k, at, lam);
  }
}

static void rnnprop_backward(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_rule_chunk *chunk,
                             double *phi_grad) {
  const wl_rnnprop_net *const net = rule->impl;
  workspace *const ws = rule_ws->impl;
  const int64_t size = net->parameters * WL_LANES;
  for (int64_t first = 0; first < chunk->blocks; first += GROUP) {
    memset(ws->phi_bar, 0, (size_t)size * sizeof *ws->phi_bar);
    for (int64_t b = first; b < first + GROUP && b < chunk->blocks; b++)
      block_backward(net, ws, chunk, b);
    for (int64_t i = 0; i < size; i++) phi_grad[i / WL_LANES] += (double)ws->phi_bar[i];
  }
}

/* clang-format off */
#define IMPLEMENTATION                                                                            \
  .destroy = rnnprop_destroy, .init = rnnprop_init, .pack = rnnprop_pack, .step = rnnprop_step,   \
  .backward = rnnprop_backward, .ws_create = rnnprop_ws_create, .ws_destroy = rnnprop_ws_destroy, \
  .ws_bytes = rnnprop_ws_bytes
/* clang-format on */

const wl_rule_ops wl_rule_rnnprop = {
    .name = "rnnprop",
    .summary =
        "RNNprop: LSTM that reads gradients and momenta, which are normalised as in Adam (2017)",
    .options = rnnprop_options,
    .create = rnnprop_create,
    IMPLEMENTATION};
static const wl_rule_ops lstm_adam = {.name = "lstm", IMPLEMENTATION};
