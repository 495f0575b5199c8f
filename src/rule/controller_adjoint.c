/* controller_adjoint.c - computes the adjoint of the rule `controller` without Newton-Schulz steps.
 * The adjoints are computed for one step after the other, in double precision.
 *
 * controller.c defines the symbols. Here M is the bias-corrected new m, S is the bias-corrected new
 * s, and i = 1 / (sqrt v + e). The name of an adjoint is the name of the value followed by `bar`.
 * The update of a coordinate is
 *
 *   u = (c1 z + c2 S) i,   z = M + k1 (g - M) + k2 (S - M)
 *
 * Through the rate and the network, the coefficients c1, c2, k1 and k2 depend on sums over the
 * tensor. The number e depends on the sum of the new v. The adjoint therefore needs three passes
 * over the coordinates. The first pass over the coordinates computes the adjoints of c1, c2, k1 and
 * k2. The adjoints of the sums follow from the adjoints of c1, c2, k1 and k2. The second pass over
 * the coordinates computes the adjoint of e. The third pass over the coordinates computes the
 * adjoints of g, p and the state. */
#include <string.h>

#include "rule/controller_impl.h"

/* The inputs and the results of the adjoint of one step. */
typedef struct work {
  const wl_controller *c;
  wl_controller_ws *ws;
  /* arguments of the kernel; the members m, s and v point to the new state */
  const wl_controller_pass *pass;
  const wl_controller_now *now;
  wl_real *lam, *mu, *gbar; /* adjoints of theta, of the state and of g; gbar may be NULL */
  double *phi_grad;
  int64_t losses; /* offset in the state of the running means of the loss */
} work;

/* The values of one coordinate at one step. */
typedef struct point {
  double g, p, m, s, v; /* m, s and v are values of the new state without bias correction */
  double M, S, root, inverse, z, w;
} point;

static point point_at(const work *w, const wl_controller_scalars *c, int64_t i) {
  point x = {.g = (double)w->pass->g[i],
             .p = (double)w->pass->p[i],
             .m = (double)w->pass->m[i],
             .s = (double)w->pass->s[i],
             .v = (double)w->pass->v[i]};
  x.M = c->m * x.m;
  x.S = c->s * x.s;
  x.root = sqrt(c->v * x.v);
  x.inverse = 1 / (x.root + c->epsilon);
  x.z = x.M + c->k1 * (x.g - x.M) + c->k2 * (x.S - x.M);
  x.w = c->c1 * x.z + c->c2 * x.S;
  return x;
}

/* Computes the adjoints of the uncorrected update and of the correction's inputs. The function
 * needs a pass over the coordinates. If the rule has a correction, this pass precedes the three
 * passes that the comment at the top of the file describes. */
static void correction_bars(const work *w, const wl_correction *net, int j) {
  const wl_tensor *const t = &w->ws->tensors.tensor[j];
  const wl_controller_correcting at = {w->c, net, w->ws->phi, w->phi_grad, w->mu + 3 * net->stride};
  for (int64_t i = t->offset; i < t->offset + t->size; i++) {
    const point x = point_at(w, &w->ws->scalars[j], i);
    const double y[3] = {x.g * x.inverse, x.M * x.inverse, x.S * x.inverse};
    wl_controller_correction_bar(&at, i, y, x.w * x.inverse, (double)w->lam[i],
                                 w->ws->corrected[i]);
  }
}

/* Returns the adjoint of the update of coordinate i. If the rule has a correction, the function
 * returns the adjoint of the uncorrected update. */
static double update_bar(const work *w, int64_t i) {
  return w->ws->corrected ? w->ws->corrected[i][0] : (double)w->lam[i];
}

/* Computes the adjoints of c1, c2, k1 and k2. This computation is the first pass over the
 * coordinates. */
static void scalar_bars(const work *w, int j) {
  const wl_tensor *const t = &w->ws->tensors.tensor[j];
  const wl_controller_scalars *const c = &w->ws->scalars[j];
  wl_controller_bar *const bar = &w->ws->bar[j];
  for (int64_t i = t->offset; i < t->offset + t->size; i++) {
    const point x = point_at(w, c, i);
    const double w_bar = update_bar(w, i) * x.inverse, z_bar = c->c1 * w_bar;
    bar->c1 += w_bar * x.z;
    bar->c2 += w_bar * x.S;
    bar->k1 += z_bar * (x.g - x.M);
    bar->k2 += z_bar * (x.S - x.M);
  }
}

/* ---- The net -------------------------------------------------------------------------------- */

typedef struct activations {
  double one[HIDDEN], two[HIDDEN], out[OUTPUTS];
} activations;

static void dense(const double *weight, const double *bias, int in, int out, const double *x,
                  double *y) {
  for (int i = 0; i < out; i++) {
    y[i] = bias[i];
    for (int k = 0; k < in; k++) y[i] += weight[i * in + k] * x[k];
  }
}

static void net_forward(const work *w, const double *input, activations *a) {
  const double *const phi = w->ws->phi;
  const wl_controller *const c = w->c;
  memset(a->out, 0, sizeof a->out);
  if (!c->net) return;
  dense(phi + c->weight[0], phi + c->bias[0], INPUTS, HIDDEN, input, a->one);
  for (int i = 0; i < HIDDEN; i++) a->one[i] = tanh(a->one[i]);
  dense(phi + c->weight[1], phi + c->bias[1], HIDDEN, HIDDEN, a->one, a->two);
  for (int i = 0; i < HIDDEN; i++) a->two[i] = tanh(a->two[i]);
  dense(phi + c->weight[2], phi + c->bias[2], HIDDEN, OUTPUTS, a->two, a->out);
}

/* Computes the adjoint of one layer of the network. Adds the adjoints of the layer's weights and
 * biases to phi_grad, and adds the adjoints of the layer's inputs x to x_bar. */
static void dense_bar(const work *w, int layer, const double *x, const double *y_bar,
                      double *x_bar) {
  static const int width[] = {INPUTS, HIDDEN, HIDDEN, OUTPUTS};
  const int in = width[layer], out = width[layer + 1];
  const double *const weight = w->ws->phi + w->c->weight[layer];
  double *const weight_bar = w->phi_grad + w->c->weight[layer];
  for (int i = 0; i < out; i++) {
    w->phi_grad[w->c->bias[layer] + i] += y_bar[i];
    for (int k = 0; k < in; k++) {
      weight_bar[i * in + k] += y_bar[i] * x[k];
      x_bar[k] += weight[i * in + k] * y_bar[i];
    }
  }
}

static void tanh_bar(const double *y, double *bar) {
  for (int i = 0; i < HIDDEN; i++) bar[i] *= 1 - y[i] * y[i];
}

static void net_backward(const work *w, const double *input, const activations *a,
                         const double *out_bar, double *input_bar) {
  double one[HIDDEN] = {0}, two[HIDDEN] = {0};
  dense_bar(w, 2, a->two, out_bar, two);
  tanh_bar(a->two, two);
  dense_bar(w, 1, a->one, two, one);
  tanh_bar(a->one, one);
  dense_bar(w, 0, input, one, input_bar);
}

/* ---- Rate and mixture ----------------------------------------------------------------------- */

static double size_at(const work *w, int j, double mean) {
  return w->ws->tensors.tensor[j].matrix ? wl_controller_size(w->ws, j) : mean;
}

/* Computes the adjoints of the rate's meta-parameters, of r, of ln(L / L_0) and of the inputs
 * RMS_M and RMS_S. The argument log_bar is the adjoint of the logarithm of the rate. */
static void rate_bar(const work *w, int j, double size, double log_bar, double *loss_bar) {
  const wl_controller_now *const now = w->now;
  const int64_t at = wl_controller_base(w->c, w->ws, j);
  const double *const base = w->ws->phi + at;
  double *const out = w->phi_grad + at;
  const double declined = clip(fmin(0, now->fast_first), 9);
  out[B] += log_bar;
  out[TAU] -= log(now->T / MIDDLE_HORIZON) * log_bar;
  out[DELTA] -= log(wl_controller_depth(w->ws) / MIDDLE_DEPTH) * log_bar;
  out[ALPHA] += log(fmax(size, LEAST_SIZE)) * log_bar;
  if (now->x < 1) out[Q] += exp(base[Q]) * log(1 - now->x) * log_bar;
  if (base[W] > 0 && now->t + 1 < base[W] * now->T + 1)
    out[W] -= now->T / (base[W] * now->T + 1) * log_bar;
  out[LAMBDA] += declined * log_bar;
  out[KAPPA] += wl_controller_noise(w->ws, j) * log_bar;
  double slope;
  out[NU] += wl_controller_signal(w->ws, j, now, &slope) * log_bar;
  w->ws->bar[j].input[RMS_S] += base[NU] * slope * log_bar;
  if (size > LEAST_SIZE) w->ws->bar[j].size += base[ALPHA] / size * log_bar;
  if (declined < 0 && declined > -9) *loss_bar += base[LAMBDA] * log_bar;
  if (wl_controller_noise(w->ws, j) < 0) {
    w->ws->bar[j].input[RMS_S] += base[KAPPA] * log_bar;
    w->ws->bar[j].input[RMS_M] -= base[KAPPA] * log_bar;
  }
}

/* Computes the adjoints of the meta-parameters, of the network's inputs and of r for tensor j. The
 * function reads the adjoints of c1, c2, k1 and k2. */
static void steer_bar(const work *w, int j, double mean, double *loss_bar) {
  const wl_controller *const c = w->c;
  const wl_controller_scalars *const s = &w->ws->scalars[j];
  wl_controller_bar *const bar = &w->ws->bar[j];
  activations a;
  net_forward(w, w->ws->input[j], &a);
  const double log_bar = bar->c1 * s->c1 + bar->c2 * s->c2, squash = tanh(a.out[0] / 3);
  const double minus_rate = -wl_controller_rate(c, w->ws, j, w->now, size_at(w, j, mean), a.out[0]);
  const double mix = c->mix ? 1 : 0;
  const double out_bar[OUTPUTS] = {log_bar * (1 - squash * squash),
                                   0,
                                   minus_rate * bar->c1,
                                   minus_rate * bar->c2,
                                   0.3 * mix * bar->k1,
                                   0.3 * mix * bar->k2};
  double *const grad = w->phi_grad + wl_controller_base(c, w->ws, j);
  grad[A1] += out_bar[2];
  grad[A2] += out_bar[3];
  grad[K1] += mix * bar->k1;
  grad[K2] += mix * bar->k2;
  rate_bar(w, j, size_at(w, j, mean), log_bar, loss_bar);
  if (c->net) net_backward(w, w->ws->input[j], &a, out_bar, bar->input);
}

/* Adds the contributions of the adjoints of r to the adjoints of the sums of p^2. The r of a vector
 * is the mean of the r of all matrices. If there are no matrices, the mean is over all tensors. */
static void share_sizes(const work *w) {
  const wl_tensors *const all = &w->ws->tensors;
  double of_mean = 0;
  int matrices = 0;
  for (int j = 0; j < all->count; j++) {
    matrices += all->tensor[j].matrix;
    if (!all->tensor[j].matrix) of_mean += w->ws->bar[j].size;
  }
  for (int j = 0; j < all->count; j++) {
    const bool matrix = all->tensor[j].matrix;
    wl_controller_bar *const bar = &w->ws->bar[j];
    if (matrix) bar->size += of_mean / matrices;
    else bar->size = matrices > 0 ? 0 : of_mean / all->count;
    const double square = w->ws->sum[j][WL_SUM_PP];
    if (square > 0) bar->sum[WL_SUM_PP] += bar->size * wl_controller_size(w->ws, j) / (2 * square);
  }
}

/* ---- Inputs --------------------------------------------------------------------------------- */

/* Computes the adjoint of a cosine, a / (sqrt(b c) + TINY), where `bar` is the adjoint of the
 * cosine. The numbers a, b and c are the sums with the indices `ab`, `aa` and `bb`. Adds the
 * adjoints of a, b and c to sum_bar. */
static void cosine_bar(const double *sum, double bar, int ab, int aa, int bb, double *sum_bar) {
  const double root = sqrt(sum[aa] * sum[bb]), whole = root + TINY;
  sum_bar[ab] += bar / whole;
  if (!(root > 0)) return;
  const double slope = -bar * sum[ab] / (whole * whole * 2 * root);
  sum_bar[aa] += slope * sum[bb];
  sum_bar[bb] += slope * sum[aa];
}

static void log_rms_bar(const double *sum, double bar, int a, double scale_a, double scale_v,
                        double *sum_bar) {
  sum_bar[a] += 0.5 * bar * scale_a / (scale_a * sum[a] + TINY);
  sum_bar[WL_SUM_V] -= 0.5 * bar * scale_v / (scale_v * sum[WL_SUM_V] + TINY);
}

/* Inputs 14 and 15 of the network are the means of the inputs 0 and 1 over all tensors. The
 * function divides the adjoints of inputs 14 and 15 by the number of tensors, and adds the
 * quotients to the adjoints of the inputs 0 and 1 of each tensor. */
static void share_means(const work *w) {
  const int count = w->ws->tensors.count;
  double first = 0, second = 0;
  for (int j = 0; j < count; j++) {
    first += w->ws->bar[j].input[14];
    second += w->ws->bar[j].input[15];
  }
  for (int j = 0; j < count; j++) {
    w->ws->bar[j].input[0] += first / count;
    w->ws->bar[j].input[1] += second / count;
  }
}

static void input_bars(const work *w, int j) {
  const double *const sum = w->ws->sum[j];
  const wl_controller_now *const now = w->now;
  wl_controller_bar *const bar = &w->ws->bar[j];
  const double *const in = bar->input, rms = w->ws->input[j][5];
  cosine_bar(sum, in[0], WL_SUM_GM, WL_SUM_GG, WL_SUM_MM, bar->sum);
  cosine_bar(sum, in[1], WL_SUM_MS, WL_SUM_MM, WL_SUM_SS, bar->sum);
  cosine_bar(sum, in[2], WL_SUM_PM, WL_SUM_PP, WL_SUM_MM, bar->sum);
  log_rms_bar(sum, in[RMS_M], WL_SUM_MM, now->m * now->m, now->v, bar->sum);
  log_rms_bar(sum, in[RMS_S], WL_SUM_SS, now->s * now->s, now->v, bar->sum);
  if (rms > 0) bar->ratio = in[5] / (2 * rms * (double)w->ws->tensors.tensor[j].size);
}

/* ---- Losses --------------------------------------------------------------------------------- */

/* Writes the adjoints of the running means of the loss to mu. The arguments fast_slow and
 * fast_first are the adjoints of two logarithms of ratios. Returns the adjoint of the step's
 * loss. */
static double loss_bar(const work *w, const wl_inner_step *step, double fast_slow,
                       double fast_first) {
  const int64_t at = w->losses;
  const wl_real *const out = step->s_out + at;
  wl_real *const mu = w->mu + at;
  const double fast = (double)out[0], slow = (double)out[1], first = (double)out[2];
  double bar[3] = {(double)mu[0], (double)mu[1], (double)mu[2]};
  if (w->now->known && fast > 0 && slow > 0) {
    bar[0] += fast_slow / fast;
    bar[1] -= fast_slow / slow;
  }
  if (w->now->known && fast > 0 && first > 0) {
    bar[0] += fast_first / fast;
    bar[2] -= fast_first / first;
  }
  mu[0] = (wl_real)(DECAY_FAST * bar[0]);
  mu[1] = (wl_real)(DECAY_SLOW * bar[1]);
  mu[2] = (wl_real)(step->t == 0 ? 0 : bar[2]);
  if (!w->now->known) return 0;
  return (1 - DECAY_FAST) * bar[0] + (1 - DECAY_SLOW) * bar[1] + (step->t == 0 ? bar[2] : 0);
}

static double losses_bar(const work *w, const wl_inner_step *step, double fast_first) {
  double fast_slow = 0;
  for (int j = 0; j < w->ws->tensors.count; j++) {
    if (fabs(w->now->fast_slow) < 3) fast_slow += w->ws->bar[j].input[11];
    if (fabs(w->now->fast_first) < 3) fast_first += w->ws->bar[j].input[12];
  }
  return loss_bar(w, step, fast_slow, fast_first);
}

/* ---- Coordinates ---------------------------------------------------------------------------- */

/* Returns the adjoint of 1 / (sqrt v + e), which is the sum of the contributions of the update, of
 * the sum of (M i)^2, and of the correction's inputs y. */
static double inverse_bar(const work *w, const wl_controller_bar *bar, const point *x,
                          const double *y_bar, int64_t i) {
  return update_bar(w, i) * x->w + 2 * bar->ratio * x->M * x->M * x->inverse + y_bar[0] * x->g +
         y_bar[1] * x->M + y_bar[2] * x->S;
}

static const double *input_bar(const work *w, int64_t i) {
  static const double none[3] = {0};
  return w->ws->corrected ? w->ws->corrected[i] + 1 : none;
}

/* Computes the adjoint of e = 1e-8 sqrt(sum v / n), where n is the size of the tensor. This
 * computation is the second pass over the coordinates. */
static void epsilon_bar(const work *w, int j) {
  const wl_tensor *const t = &w->ws->tensors.tensor[j];
  const wl_controller_scalars *const c = &w->ws->scalars[j];
  wl_controller_bar *const bar = &w->ws->bar[j];
  double sum = 0;
  for (int64_t i = t->offset; i < t->offset + t->size; i++) {
    const point x = point_at(w, c, i);
    sum -= inverse_bar(w, bar, &x, input_bar(w, i), i) * x.inverse * x.inverse;
  }
  const double v = c->v * w->ws->sum[j][WL_SUM_V] / (double)t->size;
  if (v > 0) bar->sum[WL_SUM_V] += sum * EPSILON * 0.5 / sqrt(v) * c->v / (double)t->size;
}

/* Computes the adjoints of g, p and the state. This computation is the third pass over the
 * coordinates. */
static void coordinate_bars(const work *w, int j) {
  const wl_tensor *const t = &w->ws->tensors.tensor[j];
  const wl_controller_scalars *const c = &w->ws->scalars[j];
  const wl_controller_bar *const bar = &w->ws->bar[j];
  const double *const sum = bar->sum;
  const int64_t pad = wl_pad(w->ws->tensors.n);
  for (int64_t i = t->offset; i < t->offset + t->size; i++) {
    const point x = point_at(w, c, i);
    wl_real *const mu[3] = {w->mu + i, w->mu + pad + i, w->mu + 2 * pad + i};
    const double w_bar = update_bar(w, i) * x.inverse, z_bar = c->c1 * w_bar;
    const double *const y_bar = input_bar(w, i);
    const double root_bar = -inverse_bar(w, bar, &x, y_bar, i) * x.inverse * x.inverse;
    const double M_bar = z_bar * (1 - c->k1 - c->k2) +
                         (2 * bar->ratio * x.M * x.inverse + y_bar[1]) * x.inverse,
                 S_bar = c->c2 * w_bar + c->k2 * z_bar + y_bar[2] * x.inverse;
    const double m_bar = c->m * M_bar + sum[WL_SUM_GM] * x.g + 2 * sum[WL_SUM_MM] * x.m +
                         sum[WL_SUM_MS] * x.s + sum[WL_SUM_PM] * x.p + (double)*mu[M];
    const double s_bar =
        c->s * S_bar + sum[WL_SUM_MS] * x.m + 2 * sum[WL_SUM_SS] * x.s + (double)*mu[S];
    const double v_bar =
        (x.root > 0 ? c->v * root_bar / (2 * x.root) : 0) + sum[WL_SUM_V] + (double)*mu[V];
    if (w->gbar)
      w->gbar[i] = (wl_real)(c->k1 * z_bar + y_bar[0] * x.inverse + sum[WL_SUM_GM] * x.m +
                             2 * sum[WL_SUM_GG] * x.g + (1 - DECAY_M) * m_bar +
                             (1 - DECAY_S) * s_bar + 2 * (1 - DECAY_V) * x.g * v_bar);
    w->lam[i] += (wl_real)(sum[WL_SUM_PM] * x.m + 2 * sum[WL_SUM_PP] * x.p);
    *mu[M] = (wl_real)(DECAY_M * m_bar);
    *mu[S] = (wl_real)(DECAY_S * s_bar);
    *mu[V] = (wl_real)(DECAY_V * v_bar);
  }
}

/* ---- A chunk -------------------------------------------------------------------------------- */

static wl_inner_step step_of(const wl_rule_chunk *chunk, const wl_controller_ws *ws, int64_t state,
                             int64_t k) {
  const int64_t pad = chunk->blocks * WL_LANES;
  return (wl_inner_step){.t = chunk->t0 + k,
                         .horizon = chunk->horizon,
                         .loss = chunk->loss ? chunk->loss[k] : NAN,
                         .blocks = chunk->blocks,
                         .g = chunk->g + k * pad,
                         .theta = chunk->theta + k * pad,
                         .s_in = ws->states + k * state,
                         .s_out = ws->states + (k + 1) * state};
}

/* If an LSTM corrects the updates of the coordinates, computes the LSTM's new state again. */
static void replay_correction(const wl_rule *rule, const wl_controller_ws *ws,
                              const wl_controller_pass *pass, const wl_inner_step *step, double x) {
  const wl_controller *const c = rule->impl;
  if (c->correction != CORRECTED_BY_LSTM) return;
  const wl_correction net = wl_controller_correction(c, ws, step, x);
  wl_controller_pass own = *pass;
  own.u = ws->u;
  for (int j = 0; j < ws->tensors.count; j++)
    ws->kernel->correct(&own, &ws->scalars[j], &net, ws->tensors.tensor[j].offset,
                        ws->tensors.tensor[j].size);
}

/* Computes the adjoint of one step. Returns the adjoint of the step's loss. */
static double step_backward(const work *w, const wl_inner_step *step) {
  const int count = w->ws->tensors.count;
  const double mean = wl_controller_mean_size(w->ws);
  double fast_first = 0;
  memset(w->ws->bar, 0, (size_t)count * sizeof *w->ws->bar);
  if (w->c->correction) {
    const wl_correction net = wl_controller_correction(w->c, w->ws, step, w->now->x);
    for (int j = 0; j < count; j++) correction_bars(w, &net, j);
  }
  for (int j = 0; j < count; j++) scalar_bars(w, j);
  for (int j = 0; j < count; j++) steer_bar(w, j, mean, &fast_first);
  share_sizes(w);
  share_means(w);
  for (int j = 0; j < count; j++) {
    input_bars(w, j);
    epsilon_bar(w, j);
    coordinate_bars(w, j);
  }
  return losses_bar(w, step, fast_first);
}

/* Adds loss_weight[k] times the gradient of the outer loss at theta_k to the adjoint of theta. */
static void add_loss_gradient(const wl_rule_chunk *chunk, int64_t k) {
  if (chunk->loss_grad == NULL || chunk->loss_weight[k] == 0) return;
  const int64_t pad = chunk->blocks * WL_LANES;
  const wl_real weight = (wl_real)chunk->loss_weight[k];
  for (int64_t i = 0; i < pad; i++) chunk->lam[i] += weight * chunk->loss_grad[k * pad + i];
}

void wl_controller_backward(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_rule_chunk *chunk,
                            double *phi_grad) {
  wl_controller_ws *const ws = rule_ws->impl;
  const int64_t state = wl_rule_state_reals(rule, rule_ws->theta), pad = chunk->blocks * WL_LANES;
  wl_real *const mu = chunk->mu ? chunk->mu : ws->mu;
  wl_controller_now now;
  if (!chunk->mu) memset(mu, 0, (size_t)state * sizeof *mu);
  memcpy(ws->states, chunk->state, (size_t)state * sizeof *ws->states);
  for (int64_t k = 0; k + 1 < chunk->steps; k++) {
    const wl_inner_step step = step_of(chunk, ws, state, k);
    const wl_controller_pass pass = wl_controller_advance(rule, rule_ws, &step, &now);
    replay_correction(rule, ws, &pass, &step, now.x);
  }
  for (int64_t k = chunk->steps - 1; k >= 0; k--) {
    const wl_inner_step step = step_of(chunk, ws, state, k);
    const wl_controller_pass pass = wl_controller_advance(rule, rule_ws, &step, &now);
    wl_real *const gbar = chunk->gbar ? chunk->gbar + k * pad : NULL;
    const work w = {
        rule->impl, ws, &pass, &now, chunk->lam, mu, gbar, phi_grad, rule->state_width * pad};
    const double bar = step_backward(&w, &step);
    if (chunk->loss_bar) chunk->loss_bar[k] += bar;
    if (gbar) wl_tensors_clear_padding(ws->tensors.n, 1, gbar);
    add_loss_gradient(chunk, k);
  }
}
