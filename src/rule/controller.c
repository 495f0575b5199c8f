/* controller.c - implements the update rule `controller`, a variant of Muon. The rule uses the
 * number of inner steps of the run. At each step, a small network sets the learning rate of each
 * tensor and the mixture of directions. The file controller_adjoint.c computes the adjoint, but
 * only without Newton-Schulz steps.
 *
 * The state contains two running means of the gradient g: m with decay 0.9, and s with decay 0.99.
 * The state also contains v, the running mean of g^2 with decay 0.99. The remaining state is two
 * running means of the minibatch loss (decays 0.9 and 0.98) and the first loss. The formulas use
 * bias-corrected m, s and v. Here p is a parameter, t is the number of the current inner step, T
 * is the number of inner steps in the episode, and x is t / T. For a matrix, r = RMS(p) sqrt(fan-in).
 * For a vector, r is the mean of the r of all matrices.
 *
 *   z    = m + k1 (g - m) + k2 (s - m)
 *   u    = a0 N / RMS(N) + a1 z / (sqrt v + e) + a2 s / (sqrt v + e),   N = orthogonal factor of z
 *   rate = exp(b) (T / 2000)^-tau (D / 3)^-delta r^alpha fan_in^-1/2
 *          (1 - x)^exp(q) min(1, (t + 1) / (w T + 1)) min(1, L / L_0)^lambda
 *          min(1, RMS(s) / RMS(m))^kappa ((rho + 0.02) / 0.52)^nu exp(3 tanh(o / 3))
 *   p   <- p - rate u,     e = 1e-8 RMS(sqrt v)
 *
 * The term with N and the factor fan_in^-1/2 are used only for matrices. D is the number of
 * matrices, but at least 2. Deeper networks need a lower rate. L is the running mean of the loss
 * with decay 0.9, and L_0 is the first loss. The code does not use values of L / L_0 below e^-9.
 * Near a minimum, the norm of the gradient decreases, but the norm of N does not. If lambda is
 * positive, the factor with L / L_0 therefore reduces the steps when the loss approaches zero.
 * Without this factor, large steps could permanently deactivate rectified units (ReLU). RMS(s) /
 * RMS(m) is near 1 if the gradient keeps its direction, and lower if most of m is noise. The
 * number rho, between 0 and 1, estimates the share of the gradient's mean square that is not
 * noise: rho = max(0, (RMS(s)^2 / mean v - n) / (1 - n)). If the gradients of all steps were
 * independent noise, the variance of s would be n times the variance of g. In the first step, rho
 * is 1.
 *
 * The meta-parameters are b, a0, a1, a2, k1, k2, tau, alpha, q, w, lambda, delta, kappa and nu.
 * There are three sets of meta-parameters: one for matrices, one for vectors, and one for a sole
 * matrix. A network with a single matrix is a linear model, and the matrix of such a network is
 * called a sole matrix. Near the minimum of a linear model, the norm of N is too large. The sole
 * matrix therefore starts with Adam's direction. It also starts with a negative lambda, and with
 * positive kappa and nu. If the classes are separable, the loss approaches zero, the weights have
 * to grow, and a negative lambda makes the steps longer. If the classes overlap, the loss stays
 * large and the gradient soon is mostly noise, so kappa and nu make the steps shorter. These
 * initial values were chosen on linear tasks that the suites `fresh` and `unseen` do not contain.
 * The initial kappa and nu of other tensors are 0.
 *
 * The network has 17 inputs, two hidden layers of 16 tanh units and 6 outputs. `put_inputs`
 * computes the inputs. The network's first output is o. The second to the fourth output are added
 * to a0, a1 and a2. The fifth and the sixth output are multiplied by 0.3 and added to k1 and k2.
 * The last layer starts at zero. The untrained rule is Muon with Nesterov momentum and a linear
 * schedule for the matrices of networks with two or more matrices, and Adam for vectors. The
 * initial values of the scalars are rounded results of earlier trainings and searches. To compute
 * N, the code treats a convolution's kernel as a matrix: the index of the first axis is the row,
 * and the indices of all other axes together are the column.
 *
 * If T is unknown (0), the code uses T = 6 (t + 1) and x = 1/2 at each step, so the rate decreases
 * as a power of t. These two numbers were chosen on the suite `validation`. If the loss is
 * unknown, the factor with L / L_0 is 1, and the two inputs of the network that depend on the loss
 * are 0. The smallest value of r is 1e-3. Without this lower bound of r, parameters that start at
 * zero would not change.
 *
 * If the key `precondition` is true, N is the orthogonal factor of z / sqrt(sqrt v + f), where f =
 * 0.1 RMS(sqrt v). Because of this division, coordinates with small gradients contribute more to
 * the step. Muon divides z by the power 0 of sqrt v, and an orthogonalised Adam would divide z by
 * the power 1. The code uses the power 1/2.
 *
 * If the key `newton_schulz` is false, the code omits the term a0 N / RMS(N). In this case,
 * matrices start with (a0, a1, a2) = (0, 1, 0), as vectors do. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rule/controller_impl.h"
#include "rule/newton_schulz.h"

static const wl_state_field fields[FIELDS] = {
    {"momentum", WL_STATE_COORDINATE},      {"slow_momentum", WL_STATE_COORDINATE},
    {"second_moment", WL_STATE_COORDINATE}, {"loss_fast", WL_STATE_WHOLE},
    {"loss_slow", WL_STATE_WHOLE},          {"loss_first", WL_STATE_WHOLE}};

/* The fields of the state if an LSTM corrects the updates of the coordinates. The fields for the
 * output h and the cell state c of the LSTM follow second_moment. */
#define CORRECTION_FIELD(name) \
  { "correction_" name, WL_STATE_COORDINATE }
static const wl_state_field lstm_fields[] = {{"momentum", WL_STATE_COORDINATE},
                                             {"slow_momentum", WL_STATE_COORDINATE},
                                             {"second_moment", WL_STATE_COORDINATE},
                                             CORRECTION_FIELD("h1"),
                                             CORRECTION_FIELD("h2"),
                                             CORRECTION_FIELD("h3"),
                                             CORRECTION_FIELD("h4"),
                                             CORRECTION_FIELD("h5"),
                                             CORRECTION_FIELD("h6"),
                                             CORRECTION_FIELD("h7"),
                                             CORRECTION_FIELD("h8"),
                                             CORRECTION_FIELD("c1"),
                                             CORRECTION_FIELD("c2"),
                                             CORRECTION_FIELD("c3"),
                                             CORRECTION_FIELD("c4"),
                                             CORRECTION_FIELD("c5"),
                                             CORRECTION_FIELD("c6"),
                                             CORRECTION_FIELD("c7"),
                                             CORRECTION_FIELD("c8"),
                                             {"loss_fast", WL_STATE_WHOLE},
                                             {"loss_slow", WL_STATE_WHOLE},
                                             {"loss_first", WL_STATE_WHOLE}};
enum { LSTM_STATE = 2 * WL_CORRECTION_UNITS };

static const wl_option controller_options[] = {
    {"net", WL_OPT_BOOL, "true", NULL, 0, 0, NULL,
     "A small network sets the rate and the mixture of directions for each tensor at each step. "
     "With `false`, only learned scalars determine the rate and the mixture.",
     WL_SLOT(wl_controller, net)},
    {"newton_schulz", WL_OPT_BOOL, "true", NULL, 0, 0, NULL,
     "Newton-Schulz steps orthogonalise the momentum of a matrix for its update. The code has no "
     "adjoint of these steps, so the rule then needs a forward-only estimator.",
     WL_SLOT(wl_controller, newton_schulz)},
    {"precondition", WL_OPT_BOOL, "false", NULL, 0, 0, NULL,
     "Divide the momentum of a matrix by the fourth root of the second moment before the "
     "Newton-Schulz steps.",
     WL_SLOT(wl_controller, precondition)},
    {"mix", WL_OPT_BOOL, "true", NULL, 0, 0, NULL,
     "Learn the coefficients k1 and k2, which mix the gradient and the slow momentum into the "
     "momentum. With `false`, k1 is 0.3 and k2 is 0.05.",
     WL_SLOT(wl_controller, mix)},
    {"losses", WL_OPT_BOOL, "true", NULL, 0, 0, NULL,
     "The rule uses the loss of each minibatch. With `false`, the rule treats the losses as "
     "unknown.",
     WL_SLOT(wl_controller, losses)},
    {"horizon", WL_OPT_BOOL, "true", NULL, 0, 0, NULL,
     "The rule uses the number of steps in the episode. With `false`, the rule treats this number "
     "as unknown, and the learning rate decreases as a power of the step.",
     WL_SLOT(wl_controller, horizon)},
    {"correction", WL_OPT_CHOICE, "none", "none|mlp|lstm", 0, 0, NULL,
     "Network that multiplies the step of each coordinate by a factor. none: no network. mlp: a "
     "layer of 8 tanh units. lstm: a layer of 8 LSTM units. Before meta-training, the factor is 1.",
     WL_SLOT(wl_controller, correction)},
    {0}};

/* ---- Creation ------------------------------------------------------------------------------- */

static void controller_destroy(wl_rule *rule) {
  wl_free(rule->impl);
  rule->impl = NULL;
}

static wl_status add_net(wl_controller *c, wl_layout *phi) {
  static const int64_t size[4] = {INPUTS, HIDDEN, HIDDEN, OUTPUTS};
  char name[WL_NAME_SIZE];
  for (int l = 0; l < 3; l++) {
    snprintf(name, sizeof name, "net%d.weight", l + 1);
    WL_TRY(wl_layout_add(phi, "rule", name, 2, (int64_t[]){size[l + 1], size[l]}, &c->weight[l]));
    snprintf(name, sizeof name, "net%d.bias", l + 1);
    WL_TRY(wl_layout_add(phi, "rule", name, 1, &size[l + 1], &c->bias[l]));
  }
  return WL_OK;
}

/* Sets shape[0] and shape[1] to the numbers of rows and columns of the weight matrix in the
 * correction's hidden layer. */
static void correction_shape(const wl_controller *c, int64_t shape[2]) {
  const bool lstm = c->correction == CORRECTED_BY_LSTM;
  shape[0] = WL_CORRECTION_UNITS * (lstm ? 4 : 1);
  shape[1] = WL_CORRECTION_INPUTS + (lstm ? WL_CORRECTION_UNITS : 0);
}

static wl_status add_correction(wl_controller *c, wl_layout *phi) {
  const int64_t one = 1;
  int64_t shape[2];
  correction_shape(c, shape);
  WL_TRY(wl_layout_add(phi, "rule", "correction.hidden.weight", 2, shape, &c->correct));
  WL_TRY(wl_layout_add(phi, "rule", "correction.hidden.bias", 1, shape, NULL));
  WL_TRY(wl_layout_add(phi, "rule", "correction.output.weight", 2,
                       (int64_t[]){1, WL_CORRECTION_UNITS}, NULL));
  return wl_layout_add(phi, "rule", "correction.output.bias", 1, &one, NULL);
}

static wl_status controller_create(const wl_map *options, const wl_rule_setting *setting,
                                   wl_rule *rule) {
  (void)setting;
  wl_controller *c = NULL;
  WL_TRY(WL_NEW(c, 1));
  rule->impl = c;
  wl_map_read(options, controller_options, c);
  if (c->precondition && !c->newton_schulz)
    return wl_map_fail(
        options, "precondition",
        "the key `precondition` needs `newton_schulz: true`, because it changes only the input of "
        "the Newton-Schulz steps");
  rule->tensorwise = rule->any_horizon = true;
  const bool lstm = c->correction == CORRECTED_BY_LSTM;
  rule->fields = lstm ? lstm_fields : fields;
  rule->n_fields = FIELDS + (lstm ? LSTM_STATE : 0);
  rule->state_width = 3 + (lstm ? LSTM_STATE : 0);
  rule->reads_theta = true;
  rule->cost = (c->newton_schulz ? 500 : 60) + (lstm ? 1500 : c->correction ? 250 : 0);
  if (c->newton_schulz) rule->forward_only = "its Newton-Schulz steps are not differentiated";
  WL_TRY(wl_layout_add(&rule->phi, "rule", "base", 2, (int64_t[]){KINDS, SCALARS}, &c->base));
  if (c->net) WL_TRY(add_net(c, &rule->phi));
  return c->correction ? add_correction(c, &rule->phi) : WL_OK;
}

/* Draws the weights of the correction's hidden layer from the same kind of distribution as the
 * weights of the network's hidden layers. The correction's output layer keeps its initial value,
 * zero. */
static void init_correction(const wl_controller *c, uint64_t seed, wl_real *phi) {
  int64_t shape[2];
  correction_shape(c, shape);
  const wl_stream stream = {
      .seed = seed, .purpose = WL_FOR_META_INIT, .space = WL_SPACE_TRAIN, .step = 2};
  wl_rng_truncated_normal(stream, 0, shape[0] * shape[1], 1 / sqrt((double)shape[1]),
                          phi + c->correct);
}

static void controller_init(const wl_rule *rule, uint64_t seed, wl_real *phi) {
  const wl_controller *c = rule->impl;
  const double orthogonal = c->newton_schulz ? 1 : 0;
  const double initial[KINDS][SCALARS] = {
      [MATRICES] = {log(0.065), orthogonal, 1 - orthogonal, 0, 0.45, 0, 0.35, 0.35, 0, 0.03, 0.25,
                    0.8, 0, 0},
      [VECTORS] = {log(0.007), 0, 1, 0, 0.3, 0.05, 0.4, 0.5, 0, 0.03, 0.25, 0.7, 0, 0},
      [SOLE] = {log(0.185), 0, 1, 0, 0.45, 0.05, 0.55, 0, -0.2, 0, -0.7, 0.7, 1.6, 0.25}};
  for (int kind = 0; kind < KINDS; kind++)
    for (int i = 0; i < SCALARS; i++) phi[c->base + kind * SCALARS + i] = (wl_real)initial[kind][i];
  const int64_t scalars = KINDS * SCALARS;
  memset(phi + scalars, 0, (size_t)(rule->phi.size - scalars) * sizeof *phi);
  if (c->correction) init_correction(c, seed, phi);
  for (int l = 0; c->net && l < 2; l++) {
    const int64_t in = l == 0 ? INPUTS : HIDDEN;
    const wl_stream stream = {
        .seed = seed, .purpose = WL_FOR_META_INIT, .space = WL_SPACE_TRAIN, .step = (uint64_t)l};
    wl_rng_truncated_normal(stream, 0, HIDDEN * in, 1 / sqrt((double)in), phi + c->weight[l]);
  }
}

/* ---- Workspace ------------------------------------------------------------------------------ */

static int64_t correction_size(const wl_controller *c) {
  int64_t shape[2];
  correction_shape(c, shape);
  return c->correction ? shape[0] * (shape[1] + 1) + WL_CORRECTION_UNITS + 1 : 0;
}

static int64_t scratch_of(const wl_layout *theta, int *matrices) {
  wl_tensors tensors;
  int64_t most = 0;
  *matrices = 0;
  if (wl_tensors_create(theta, &tensors) == WL_OK)
    for (int j = 0; j < tensors.count; j++) {
      if (!tensors.tensor[j].matrix) continue;
      const int64_t size = wl_orthogonal_scratch(&tensors.tensor[j], true);
      if (size > most) most = size;
      ++*matrices;
    }
  wl_tensors_clear(&tensors);
  return most;
}

static size_t controller_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                  int threads) {
  const wl_controller *c = rule->impl;
  int matrices = 0;
  const int64_t scratch = c->newton_schulz ? scratch_of(theta, &matrices) : 0;
  const int64_t traced = adjoint ? (WL_CHUNK_STEPS + 2) * wl_rule_state_reals(rule, theta) : 0;
  const bool corrected = adjoint && c->correction;
  const int64_t reals = c->newton_schulz ? wl_pad(theta->size) : traced;
  const int64_t copies = matrices < threads ? matrices : threads;
  return sizeof(wl_controller_ws) + wl_tensors_bytes(theta) +
         (size_t)rule->phi.size * sizeof(double) +
         (size_t)(WL_CONTROLLER_PACKED + correction_size(c)) * sizeof(wl_real) +
         (size_t)wl_tensors_pieces(theta) * (WL_CONTROLLER_SUMS + 1) * sizeof(double) +
         (size_t)theta->count *
             ((WL_CONTROLLER_SUMS + INPUTS) * sizeof(double) + sizeof(wl_controller_scalars) +
              (adjoint ? sizeof(wl_controller_bar) : 0)) +
         (corrected ? (size_t)theta->size * 4 * sizeof(double) : 0) +
         (size_t)(reals + (corrected ? wl_pad(theta->size) : 0) + copies * scratch) *
             sizeof(wl_real);
}

static void controller_ws_destroy(void *impl) {
  wl_controller_ws *ws = impl;
  if (!ws) return;
  wl_tensors_clear(&ws->tensors);
  void *const owned[] = {ws->phi,    ws->correction, ws->net,     ws->piece_sum, ws->ratio,
                         ws->sum,    ws->input,      ws->scalars, ws->z,         ws->scratch,
                         ws->states, ws->mu,         ws->bar,     ws->corrected, ws->u};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  wl_free(ws);
}

static wl_status allocate_adjoint(const wl_rule *rule, const wl_layout *theta,
                                  wl_controller_ws *ws) {
  const int64_t state = wl_rule_state_reals(rule, theta);
  WL_TRY(WL_NEW(ws->states, (WL_CHUNK_STEPS + 1) * state));
  WL_TRY(WL_NEW(ws->mu, state));
  WL_TRY(WL_NEW(ws->bar, theta->count + 1));
  const wl_controller *c = rule->impl;
  if (!c->correction) return WL_OK;
  WL_TRY(WL_NEW(ws->corrected, theta->size + 1));
  return WL_NEW(ws->u, wl_pad(theta->size));
}

static wl_status allocate(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads,
                          wl_controller_ws *ws) {
  const wl_controller *c = rule->impl;
  int matrices = 0;
  WL_TRY(wl_tensors_create(theta, &ws->tensors));
  for (int j = 0; j < ws->tensors.count; j++) ws->matrices += ws->tensors.tensor[j].matrix;
  ws->kernel = wl_controller_kernel_select();
  WL_TRY(WL_NEW(ws->phi, rule->phi.size));
  WL_TRY(WL_NEW(ws->net, WL_CONTROLLER_PACKED));
  WL_TRY(WL_NEW(ws->correction, correction_size(c) + 1));
  WL_TRY(WL_NEW(ws->piece_sum, ws->tensors.pieces * WL_CONTROLLER_SUMS + 1));
  WL_TRY(WL_NEW(ws->ratio, ws->tensors.pieces + 1));
  WL_TRY(WL_NEW(ws->sum, theta->count + 1));
  WL_TRY(WL_NEW(ws->scalars, theta->count + 1));
  WL_TRY(WL_NEW(ws->input, theta->count + 1));
  if (!c->newton_schulz) return adjoint ? allocate_adjoint(rule, theta, ws) : WL_OK;
  ws->scratch_size = scratch_of(theta, &matrices);
  ws->scratch_threads = matrices < threads ? matrices : threads;
  WL_TRY(WL_NEW(ws->z, wl_pad(theta->size) + 1));
  return WL_NEW(ws->scratch, ws->scratch_threads * ws->scratch_size + 1);
}

static wl_status controller_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                      int threads, void **out) {
  wl_controller_ws *ws = NULL;
  WL_TRY(WL_NEW(ws, 1));
  const wl_status status = allocate(rule, theta, adjoint, threads, ws);
  if (status != WL_OK) controller_ws_destroy(ws);
  else *out = ws;
  return status;
}

/* Copies the network's weights and biases from phi to the packed layout of controller_kernel.h, in
 * which the matrices are transposed. */
static void pack_net(const wl_controller *c, const wl_real *phi, wl_real *packed) {
  static const int size[4] = {INPUTS, HIDDEN, HIDDEN, OUTPUTS};
  for (int l = 0; l < 3; packed += (size[l] + 1) * HIDDEN, l++)
    for (int o = 0; o < size[l + 1]; o++) {
      for (int i = 0; i < size[l]; i++)
        packed[i * HIDDEN + o] = phi[c->weight[l] + o * size[l] + i];
      packed[size[l] * HIDDEN + o] = phi[c->bias[l] + o];
    }
}

static void controller_pack(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_real *phi) {
  wl_controller_ws *ws = rule_ws->impl;
  const wl_controller *c = rule->impl;
  for (int64_t i = 0; i < rule->phi.size; i++) ws->phi[i] = (double)phi[i];
  if (c->net) pack_net(c, phi, ws->net);
  if (c->correction)
    memcpy(ws->correction, phi + c->correct, (size_t)correction_size(c) * sizeof *phi);
}

/* ---- Losses and inputs ---------------------------------------------------------------------- */

static double log_ratio(double a, double b) { return a > 0 && b > 0 ? log(a / b) : 0; }
static double correction(double decay, int64_t t) { return 1 / (1 - pow(decay, (double)(t + 1))); }
static double cosine(double ab, double aa, double bb) { return ab / (sqrt(aa * bb) + TINY); }

/* Updates the two running means of the loss and the first loss. The function reads the old values
 * from `in` and writes the new values to `out`. All tensors share the two running means and the
 * first loss. */
static void follow_loss(const wl_inner_step *step, const wl_real *in, wl_real *out,
                        wl_controller_now *now) {
  const bool known = isfinite(step->loss);
  const double first = step->t == 0 ? (known ? step->loss : 0) : (double)in[2];
  const double loss = known ? step->loss : 0;
  out[0] = (wl_real)(DECAY_FAST * (double)in[0] + (1 - DECAY_FAST) * loss);
  out[1] = (wl_real)(DECAY_SLOW * (double)in[1] + (1 - DECAY_SLOW) * loss);
  out[2] = (wl_real)first;
  const double fast = (double)out[0] * correction(DECAY_FAST, step->t),
               slow = (double)out[1] * correction(DECAY_SLOW, step->t);
  now->known = known;
  now->fast_slow = known ? log_ratio(fast, slow) : 0;
  now->fast_first = known ? log_ratio(fast, first) : 0;
}

static wl_controller_now moment_of(const wl_inner_step *step) {
  const bool known = step->horizon > 0;
  const double t = (double)step->t, T = known ? (double)step->horizon : UNKNOWN_FACTOR * (t + 1);
  return (wl_controller_now){.t = t,
                             .T = T,
                             .x = known ? fmin(1, t / T) : UNKNOWN_SHARE,
                             .m = correction(DECAY_M, step->t),
                             .s = correction(DECAY_S, step->t),
                             .v = correction(DECAY_V, step->t)};
}

/* Returns the logarithm of the ratio of two root mean squares. The arguments are the sums of
 * squares. */
static double log_rms(double a, double b) { return 0.5 * log((a + TINY) / (b + TINY)); }

/* Computes the network's inputs for tensor j. `put_means` computes the inputs 14 and 15, which are
 * means over all tensors. */
static void put_inputs(wl_controller_ws *ws, int j, const wl_controller_now *now, double ratio) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const double *const sum = ws->sum[j];
  const double left = 1 - now->x, v = now->v * sum[WL_SUM_V];
  const double in[INPUTS] = {cosine(sum[WL_SUM_GM], sum[WL_SUM_GG], sum[WL_SUM_MM]),
                             cosine(sum[WL_SUM_MS], sum[WL_SUM_MM], sum[WL_SUM_SS]),
                             cosine(sum[WL_SUM_PM], sum[WL_SUM_PP], sum[WL_SUM_MM]),
                             log_rms(now->m * now->m * sum[WL_SUM_MM], v),
                             log_rms(now->s * now->s * sum[WL_SUM_SS], v),
                             sqrt(ratio / (double)t->size),
                             2 * now->x - 1,
                             2 * pow(left, 4) - 1,
                             exp(-now->t / 10),
                             exp(-now->t / 100),
                             clip((log(now->T) - 6) / 1.5, 2),
                             clip(now->fast_slow, 3),
                             clip(now->fast_first, 3),
                             3 * exp(-20 * left),
                             0,
                             0,
                             t->matrix ? 1 : 0};
  memcpy(ws->input[j], in, sizeof in);
}

static void put_means(wl_controller_ws *ws) {
  double first = 0, second = 0;
  const int count = ws->tensors.count;
  for (int j = 0; j < count; j++) {
    first += ws->input[j][0];
    second += ws->input[j][1];
  }
  for (int j = 0; j < count; j++) {
    ws->input[j][14] = first / count;
    ws->input[j][15] = second / count;
  }
}

/* ---- One step ------------------------------------------------------------------------------- */

static double root_mean_square(double sum, int64_t n) { return sqrt(sum / (double)n); }

/* Returns RMS(p) sqrt(fan-in) of tensor j. */
double wl_controller_size(const wl_controller_ws *ws, int j) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  return root_mean_square(ws->sum[j][WL_SUM_PP], t->size) * sqrt(t->fan_in);
}

/* Returns the mean of RMS(p) sqrt(fan-in) over the matrices. If there are no matrices, the mean is
 * over all tensors. */
double wl_controller_mean_size(const wl_controller_ws *ws) {
  double sum = 0, all = 0;
  int matrices = 0;
  for (int j = 0; j < ws->tensors.count; j++) {
    const double size = wl_controller_size(ws, j);
    all += size;
    if (!ws->tensors.tensor[j].matrix) continue;
    sum += size;
    matrices++;
  }
  return matrices > 0 ? sum / matrices : all / ws->tensors.count;
}

double wl_controller_depth(const wl_controller_ws *ws) { return fmax(2, ws->matrices); }

int64_t wl_controller_base(const wl_controller *c, const wl_controller_ws *ws, int j) {
  const int kind = !ws->tensors.tensor[j].matrix ? VECTORS : ws->matrices == 1 ? SOLE : MATRICES;
  return c->base + kind * SCALARS;
}

double wl_controller_noise(const wl_controller_ws *ws, int j) {
  return fmin(0, ws->input[j][RMS_S] - ws->input[j][RMS_M]);
}

double wl_controller_signal(const wl_controller_ws *ws, int j, const wl_controller_now *now,
                            double *slope) {
  const double power = exp(2 * ws->input[j][RMS_S]), rest = pow(DECAY_S, now->t + 1);
  /* the variance of s, divided by the variance of g, if the steps' gradients are independent */
  const double averaged = (1 - DECAY_S) / (1 + DECAY_S) * (1 + rest) / (1 - rest);
  const double share = now->t > 0 ? (power - averaged) / (1 - averaged) : 1;
  *slope = now->t > 0 && share > 0 ? 2 * power / (1 - averaged) / (share + LEAST_SIGNAL) : 0;
  return log((fmax(0, share) + LEAST_SIGNAL) / (0.5 + LEAST_SIGNAL));
}

double wl_controller_rate(const wl_controller *c, const wl_controller_ws *ws, int j,
                          const wl_controller_now *now, double size, double o) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const double *const base = ws->phi + wl_controller_base(c, ws, j);
  double slope = 0;
  const double warm = (now->t + 1) / (fmax(0, base[W]) * now->T + 1);
  const double scale = t->matrix ? 1 / sqrt(t->fan_in) : 1;
  return exp(base[B]) * pow(now->T / MIDDLE_HORIZON, -base[TAU]) *
         pow(wl_controller_depth(ws) / MIDDLE_DEPTH, -base[DELTA]) *
         pow(fmax(size, LEAST_SIZE), base[ALPHA]) * scale * pow(1 - now->x, exp(base[Q])) *
         fmin(1, warm) *
         exp(base[LAMBDA] * clip(fmin(0, now->fast_first), 9) +
             base[KAPPA] * wl_controller_noise(ws, j) +
             base[NU] * wl_controller_signal(ws, j, now, &slope) + 3 * tanh(o / 3));
}

/* Computes the coefficients c0, c1, c2, k1 and k2 with which a tensor's coordinates are updated.
 * `orthogonalise` later divides c0 by RMS(N). */
static void steer(const wl_controller *c, wl_controller_ws *ws, int j, const wl_controller_now *now,
                  double mean) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const double *const base = ws->phi + wl_controller_base(c, ws, j);
  double out[OUTPUTS] = {0};
  if (c->net) ws->kernel->net(ws->net, ws->input[j], out);
  const double rate =
      wl_controller_rate(c, ws, j, now, t->matrix ? wl_controller_size(ws, j) : mean, out[0]);
  wl_controller_scalars *const s = &ws->scalars[j];
  s->c0 = -rate * (base[A0] + out[1]);
  s->c1 = -rate * (base[A1] + out[2]);
  s->c2 = -rate * (base[A2] + out[3]);
  s->k1 = c->mix ? base[K1] + 0.3 * out[4] : FIXED_K1;
  s->k2 = c->mix ? base[K2] + 0.3 * out[5] : FIXED_K2;
}

static void take_moments(wl_controller_ws *ws, const wl_controller_pass *pass, int threads) {
  const wl_tensors *const all = &ws->tensors;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && all->pieces > 1)
  for (int64_t i = 0; i < all->pieces; i++)
    ws->kernel->moments(pass, all->piece[i].first, all->piece[i].count,
                        ws->piece_sum + i * WL_CONTROLLER_SUMS);
  for (int j = 0; j < all->count; j++)
    wl_tensors_sum(all, j, WL_CONTROLLER_SUMS, ws->piece_sum, ws->sum[j]);
}

static void take_ratios(const wl_controller *c, wl_controller_ws *ws,
                        const wl_controller_pass *pass, const wl_controller_now *now, int threads) {
  const wl_tensors *const all = &ws->tensors;
  for (int j = 0; j < all->count; j++) {
    const double usual = root_mean_square(now->v * ws->sum[j][WL_SUM_V], all->tensor[j].size);
    ws->scalars[j] = (wl_controller_scalars){.m = now->m,
                                             .s = now->s,
                                             .v = now->v,
                                             .epsilon = EPSILON * usual + TINY,
                                             .floor = c->precondition ? FLOOR * usual + TINY : 0};
  }
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && all->pieces > 1)
  for (int64_t i = 0; i < all->pieces; i++)
    ws->ratio[i] = ws->kernel->ratios(pass, &ws->scalars[all->piece[i].tensor], all->piece[i].first,
                                      all->piece[i].count);
}

/* Computes z for each matrix, replaces z by its orthogonal factor N, and divides c0 by RMS(N). */
static void orthogonalise(wl_controller_ws *ws, const wl_controller_pass *pass) {
  const wl_tensors *const all = &ws->tensors;
  const int threads = ws->scratch_threads;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    wl_real *const scratch = ws->scratch + wl_thread_index() * ws->scratch_size;
#pragma omp for schedule(dynamic, 1)
    for (int j = 0; j < all->count; j++) {
      const wl_tensor *const t = &all->tensor[j];
      if (!t->matrix) continue;
      ws->kernel->blends(pass, &ws->scalars[j], t->offset, t->size);
      const double sum = wl_orthogonal(t, true, pass->z + t->offset, scratch);
      ws->scalars[j].c0 /= root_mean_square(sum, t->size) + TINY;
    }
  }
}

wl_controller_pass wl_controller_advance(const wl_rule *rule, wl_rule_ws *rule_ws,
                                         const wl_inner_step *step, wl_controller_now *now) {
  const wl_controller *c = rule->impl;
  wl_controller_ws *const ws = rule_ws->impl;
  const wl_tensors *const all = &ws->tensors;
  const int64_t pad = wl_pad(all->n);
  wl_real *const out = step->s_out;
  wl_controller_pass pass = {
      step->g,   step->theta,   step->s_in, step->s_in + pad, step->s_in + 2 * pad, out,
      out + pad, out + 2 * pad, ws->z,      step->u};
  wl_inner_step seen = *step;
  if (!c->horizon) seen.horizon = 0;
  if (!c->losses) seen.loss = NAN;
  *now = moment_of(&seen);
  const int64_t losses = rule->state_width * pad;
  follow_loss(&seen, step->s_in + losses, out + losses, now);
  take_moments(ws, &pass, rule_ws->threads);
  pass.m = out;
  pass.s = out + pad;
  pass.v = out + 2 * pad;
  take_ratios(c, ws, &pass, now, rule_ws->threads);
  for (int j = 0; j < all->count; j++) {
    double ratio = 0;
    wl_tensors_sum(all, j, 1, ws->ratio, &ratio);
    put_inputs(ws, j, now, ratio);
  }
  put_means(ws);
  const double mean = wl_controller_mean_size(ws);
  for (int j = 0; j < all->count; j++) steer(c, ws, j, now, mean);
  wl_tensors_clear_padding(all->n, (int)rule->state_width, out);
  return pass;
}

wl_correction wl_controller_correction(const wl_controller *c, const wl_controller_ws *ws,
                                       const wl_inner_step *step, double x) {
  const int64_t pad = wl_pad(ws->tensors.n);
  int64_t shape[2];
  correction_shape(c, shape);
  const wl_real *const bias = ws->correction + shape[0] * shape[1];
  return (wl_correction){.lstm = c->correction == CORRECTED_BY_LSTM,
                         .time = (wl_real)(2 * x - 1),
                         .weight = ws->correction,
                         .bias = bias,
                         .head = bias + shape[0],
                         .in = step->s_in + 3 * pad,
                         .out = step->s_out + 3 * pad,
                         .stride = pad};
}

static void controller_step(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const wl_controller *c = rule->impl;
  wl_controller_ws *const ws = rule_ws->impl;
  const wl_tensors *const all = &ws->tensors;
  wl_controller_now now;
  const wl_controller_pass pass = wl_controller_advance(rule, rule_ws, step, &now);
  if (c->newton_schulz) orthogonalise(ws, &pass);
  const wl_correction correction = wl_controller_correction(c, ws, step, now.x);
#pragma omp parallel for schedule(static) \
    num_threads(rule_ws->threads) if (rule_ws->threads > 1 && all->pieces > 1)
  for (int64_t i = 0; i < all->pieces; i++) {
    const wl_piece *const p = &all->piece[i];
    wl_controller_pass own = pass;
    if (!all->tensor[p->tensor].matrix) own.z = NULL;
    ws->kernel->updates(&own, &ws->scalars[p->tensor], p->first, p->count);
    if (c->correction)
      ws->kernel->correct(&own, &ws->scalars[p->tensor], &correction, p->first, p->count);
  }
  wl_tensors_clear_padding(all->n, 1, step->u);
}

const wl_rule_ops wl_rule_controller = {
    .name = "controller",
    .summary =
        "Muon with a learned schedule that uses the number of inner steps; a small network adapts "
        "the schedule to each tensor",
    .options = controller_options,
    .create = controller_create,
    .destroy = controller_destroy,
    .init = controller_init,
    .pack = controller_pack,
    .step = controller_step,
    .backward = wl_controller_backward,
    .ws_create = controller_ws_create,
    .ws_destroy = controller_ws_destroy,
    .ws_bytes = controller_ws_bytes};
