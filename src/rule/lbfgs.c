/* lbfgs.c - implements the update rule `lbfgs`: limited-memory BFGS (Nocedal 1980; Liu and Nocedal
 * 1989) with learned scalars instead of a line search.
 *
 * The coordinates of theta are divided into slices. A slice consists of the elements of a tensor
 * that have the same first index. A vector is one slice. If the key `per` is `tensor`, each tensor
 * is one slice. The approximation H of the inverse Hessian has one diagonal block for each slice.
 * The formulas for a slice of n coordinates are:
 *
 *   s = theta_t - theta_{t-1},   y = g_t - g_{t-1} + d |g_t - g_{t-1}| / |s| s
 *   u = -a(t / T) H g
 *
 * The memory contains the newest pairs (s, y), at most `memory` of them. A pair is stored if its
 * curvature is large enough: s.y > 1e-4 |s| |y|. If the new pair is not stored, H does not change.
 * The two-loop recursion over the stored pairs computes H g, with H_0 = c (s_0.y_0) / (y_0.y_0) for
 * the newest pair (s_0, y_0). The term with d is the damping of Schraudolph et al. 2007. If u is
 * longer than b times the longest s in the memory, u is shortened to this length. If the memory is
 * empty, u = -f sqrt(n) g / |g|. If H g is not finite, u = 0.
 *
 * The meta-parameters are the logarithms of a (rate), f (first_step), d (damping), b (growth) and c
 * (scale). The tensor `rate` contains log a at t / T = 0, 1/3, 2/3 and 1. Between these four values
 * of t / T, log a is interpolated linearly. If the number of steps T is unknown, the rule uses the
 * length of the longest training episode. If the loss is multiplied by a positive number, the steps
 * do not change. */
#include <math.h>
#include <string.h>

#include "rule/tensors.h"

enum { GRADIENT, PARAMETERS, PAIRS, MOST_PAIRS = 10, KNOTS = 4 };
#define PAIR(i) \
  {"step_" #i, WL_STATE_COORDINATE}, { "change_" #i, WL_STATE_COORDINATE }
static const wl_state_field fields[PAIRS + 2 * MOST_PAIRS] = {{"gradient", WL_STATE_COORDINATE},
                                                              {"parameters", WL_STATE_COORDINATE},
                                                              PAIR(1),
                                                              PAIR(2),
                                                              PAIR(3),
                                                              PAIR(4),
                                                              PAIR(5),
                                                              PAIR(6),
                                                              PAIR(7),
                                                              PAIR(8),
                                                              PAIR(9),
                                                              PAIR(10)};

/* a pair is stored only if the cosine of the angle between s and y exceeds this number */
static const double LEAST_COSINE = 1e-4;
/* A pair is not stored if |s|^2 or |y|^2 is below TINY, or if |y|^2 is above 1 / TINY. The numbers
 * of such a pair are outside the range of float32. */
static const double TINY = 1e-60;

/* The offsets of the meta-parameters in phi. */
enum { RATE, FIRST_STEP = KNOTS, DAMPING, GROWTH, SCALE, META };

typedef struct lbfgs {
  /* memory: largest number of pairs; steps: number of steps in the longest episode */
  int64_t memory, steps;
  enum { PER_TENSOR, PER_SLICE } per;
  double rate, first_step, damping, growth;
} lbfgs;

/* A slice: a range of consecutive coordinates of theta. */
typedef struct slice {
  int64_t first, size;
} slice;

typedef struct workspace {
  /* slices: number of slices; largest: number of coordinates in the largest slice */
  int64_t slices, largest;
  slice *slice;            /* [slices] */
  double *scratch;         /* [threads][largest] scratch memory for H g */
  /* log a at t / T = 0, 1/3, 2/3 and 1, followed by the exponentials of the other
   * meta-parameters */
  double phi[META];
} workspace;

static const wl_option lbfgs_options[] = {
    {"memory", WL_OPT_INT, "5", NULL, 1, MOST_PAIRS, "1",
     "Largest number of pairs in the memory. A pair consists of a step and the change of the "
     "gradient.",
     WL_SLOT(lbfgs, memory)},
    {"per", WL_OPT_CHOICE, "slice", "tensor|slice", 0, 0, NULL,
     "Part of theta that has a separate memory. tensor: a tensor. slice: the elements of a tensor "
     "that have the same first index.",
     WL_SLOT(lbfgs, per)},
    {"rate", WL_OPT_REAL, "1", NULL, 1e-9, 1e9, "1",
     "Initial value of the learned factor that multiplies a step.", WL_SLOT(lbfgs, rate)},
    {"first_step", WL_OPT_REAL, "0.03", NULL, 1e-12, 1e9, "1",
     "Initial value of the learned root mean square of the first step.",
     WL_SLOT(lbfgs, first_step)},
    {"damping", WL_OPT_REAL, "0.001", NULL, 1e-12, 1e3, "1",
     "Initial value of the learned damping, as a multiple of the curvature along the step.",
     WL_SLOT(lbfgs, damping)},
    {"growth", WL_OPT_REAL, "3", NULL, 1e-3, 1e9, "1",
     "Initial value of the learned largest length of a step, as a multiple of the longest step in "
     "the memory.",
     WL_SLOT(lbfgs, growth)},
    {0}};

/* ---- Creation ------------------------------------------------------------------------------- */

static void lbfgs_destroy(wl_rule *rule) {
  wl_free(rule->impl);
  rule->impl = NULL;
}

static wl_status lbfgs_create(const wl_map *options, const wl_rule_setting *setting,
                              wl_rule *rule) {
  static const int64_t one = 1, knots = KNOTS;
  lbfgs *c = NULL;
  WL_TRY(WL_NEW(c, 1));
  rule->impl = c;
  wl_map_read(options, lbfgs_options, c);
  c->steps = setting->episode_steps;
  rule->tensorwise = true;
  rule->fields = fields;
  rule->n_fields = PAIRS + 2 * (int)c->memory;
  rule->state_width = rule->n_fields;
  rule->reads_theta = true;
  rule->cost = 40 + 20 * (double)c->memory;
  rule->forward_only = "its memory of steps and gradient changes is not differentiated";
  WL_TRY(wl_layout_add(&rule->phi, "rule", "rate", 1, &knots, NULL));
  WL_TRY(wl_layout_add(&rule->phi, "rule", "first_step", 1, &one, NULL));
  WL_TRY(wl_layout_add(&rule->phi, "rule", "damping", 1, &one, NULL));
  WL_TRY(wl_layout_add(&rule->phi, "rule", "growth", 1, &one, NULL));
  return wl_layout_add(&rule->phi, "rule", "scale", 1, &one, NULL);
}

static void lbfgs_init(const wl_rule *rule, uint64_t seed, wl_real *phi) {
  (void)seed;
  const lbfgs *c = rule->impl;
  for (int k = 0; k < KNOTS; k++) phi[RATE + k] = (wl_real)log(c->rate);
  phi[FIRST_STEP] = (wl_real)log(c->first_step);
  phi[DAMPING] = (wl_real)log(c->damping);
  phi[GROWTH] = (wl_real)log(c->growth);
  phi[SCALE] = 0;
}

/* ---- Workspace ------------------------------------------------------------------------------ */

/* Returns the number of slices in a tensor. If `out` is not NULL, the function also writes the
 * slices to `out`. */
static int64_t cut(const lbfgs *c, const wl_tensor_entry *t, slice *out) {
  const int64_t count = c->per == PER_SLICE && t->ndim >= 2 ? t->shape[0] : 1,
                size = t->size / count;
  for (int64_t i = 0; out && i < count; i++) out[i] = (slice){t->offset + i * size, size};
  return count;
}

/* Sets the number of slices, and the number of coordinates in the largest slice. */
static void measure(const lbfgs *c, const wl_layout *theta, workspace *ws) {
  for (int j = 0; j < theta->count; j++) {
    const wl_tensor_entry *const t = &theta->tensors[j];
    const int64_t count = cut(c, t, NULL), size = t->size / count;
    ws->slices += count;
    if (size > ws->largest) ws->largest = size;
  }
}

static size_t lbfgs_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                             int threads) {
  (void)adjoint;
  workspace ws = {0};
  measure(rule->impl, theta, &ws);
  return sizeof ws + (size_t)ws.slices * sizeof(slice) +
         (size_t)(threads * ws.largest) * sizeof(double);
}

static void lbfgs_ws_destroy(void *impl) {
  workspace *ws = impl;
  if (!ws) return;
  wl_free(ws->slice);
  wl_free(ws->scratch);
  wl_free(ws);
}

static wl_status allocate(const lbfgs *c, const wl_layout *theta, int threads, workspace *ws) {
  measure(c, theta, ws);
  WL_TRY(WL_NEW(ws->slice, ws->slices + 1));
  slice *at = ws->slice;
  for (int j = 0; j < theta->count; j++) at += cut(c, &theta->tensors[j], at);
  return WL_NEW(ws->scratch, threads * ws->largest + 1);
}

static wl_status lbfgs_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                 int threads, void **out) {
  (void)adjoint;
  workspace *ws = NULL;
  WL_TRY(WL_NEW(ws, 1));
  const wl_status status = allocate(rule->impl, theta, threads, ws);
  if (status != WL_OK) lbfgs_ws_destroy(ws);
  else *out = ws;
  return status;
}

static void lbfgs_pack(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_real *phi) {
  (void)rule;
  workspace *ws = rule_ws->impl;
  for (int i = 0; i < META; i++) ws->phi[i] = i < KNOTS ? (double)phi[i] : exp((double)phi[i]);
}

/* ---- One step ------------------------------------------------------------------------------- */

static double sum_squares(int64_t n, const wl_real *x) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
  return sum;
}

/* The inner products s.y, s.s and s.q of one pair in the memory. */
typedef struct pair_sums {
  double sy, ss, sq;
} pair_sums;

static pair_sums sum_pair(int64_t n, const wl_real *s, const wl_real *y, const double *q) {
  pair_sums sum = {0};
  for (int64_t i = 0; i < n; i++) {
    const double s_i = (double)s[i];
    sum.sy += s_i * (double)y[i];
    sum.ss += s_i * s_i;
    sum.sq += s_i * q[i];
  }
  return sum;
}

static double dot(int64_t n, const wl_real *x, const double *q) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * q[i];
  return sum;
}

static void add(int64_t n, double factor, const wl_real *restrict x, double *restrict q) {
  for (int64_t i = 0; i < n; i++) q[i] += factor * (double)x[i];
}

/* The arrays of one slice of n coordinates at one step. The fields of the state are `pad` elements
 * apart. */
typedef struct view {
  int64_t n, pad;
  int memory;
  bool first;               /* true: this is step 0 */
  const wl_real *g, *theta; /* g: [n] gradient; theta: [n] parameters */
  const wl_real *in;        /* the slice's state before the step */
  wl_real *out;             /* the slice's state after the step; may be the same array as `in` */
  const double *phi;
  double *q; /* [n] scratch memory for H g */
} view;

/* Returns true if the damped pair has enough positive curvature to be stored. Sets *damping to d
 * |g_t - g_{t-1}| / |s|. */
static bool measure_pair(const view *v, double *damping) {
  const wl_real *const g_before = v->in + GRADIENT * v->pad, *const theta_before =
                                                                 v->in + PARAMETERS * v->pad;
  double ss = 0, sy = 0, yy = 0;
  for (int64_t i = 0; i < v->n; i++) {
    const double s = (double)v->theta[i] - (double)theta_before[i],
                 y = (double)v->g[i] - (double)g_before[i];
    ss += s * s;
    sy += s * y;
    yy += y * y;
  }
  if (!(ss > TINY && yy > TINY && yy < 1 / TINY)) return false;
  const double d = v->phi[DAMPING] * sqrt(yy / ss);
  *damping = d;
  const double damped_sy = sy + d * ss, damped_yy = yy + 2 * d * sy + d * d * ss;
  return damped_yy < 1 / TINY && damped_sy > LEAST_COSINE * sqrt(ss * damped_yy);
}

/* Writes the state after the step. If the new pair is accepted, the new pair becomes the first pair
 * of the memory. The function also stores the current gradient and parameters. The arrays v->in and
 * v->out may be the same. */
static void remember(const view *v) {
  const size_t bytes = (size_t)v->n * sizeof(wl_real);
  double damping = 0;
  /* number of fields that the new pair occupies; 0 if the pair is not stored */
  const int fresh = !v->first && measure_pair(v, &damping) ? 2 : 0;
  for (int field = PAIRS + 2 * v->memory - 1; field >= PAIRS + fresh; field--)
    memmove(v->out + field * v->pad, v->in + (field - fresh) * v->pad, bytes);
  wl_real *const g_before = v->out + GRADIENT * v->pad, *const theta_before =
                                                            v->out + PARAMETERS * v->pad;
  memmove(g_before, v->in + GRADIENT * v->pad, bytes);
  memmove(theta_before, v->in + PARAMETERS * v->pad, bytes);
  wl_real *const s = v->out + PAIRS * v->pad, *const y = s + v->pad;
  for (int64_t i = 0; fresh && i < v->n; i++) {
    s[i] = v->theta[i] - theta_before[i];
    y[i] = (wl_real)((double)v->g[i] - (double)g_before[i] + damping * (double)s[i]);
  }
  memcpy(g_before, v->g, bytes);
  memcpy(theta_before, v->theta, bytes);
}

/* Replaces g in v->q by H g. Returns the length of the longest step in the memory. If the memory is
 * empty, the function returns 0. */
static double two_loops(const view *v) {
  double inverse[MOST_PAIRS], a[MOST_PAIRS], longest = 0;
  int pairs = 0;
  for (; pairs < v->memory; pairs++) {
    const wl_real *const s = v->out + (PAIRS + 2 * pairs) * v->pad, *const y = s + v->pad;
    const pair_sums sum = sum_pair(v->n, s, y, v->q);
    if (!(sum.sy > 0)) break; /* the remaining pairs of the memory are empty */
    inverse[pairs] = 1 / sum.sy;
    longest = fmax(longest, sum.ss);
    a[pairs] = inverse[pairs] * sum.sq;
    add(v->n, -a[pairs], y, v->q);
  }
  if (pairs == 0) return 0;
  const double h0 = v->phi[SCALE] / (inverse[0] * sum_squares(v->n, v->out + (PAIRS + 1) * v->pad));
  for (int64_t i = 0; i < v->n; i++) v->q[i] *= h0;
  while (pairs-- > 0) {
    const wl_real *const s = v->out + (PAIRS + 2 * pairs) * v->pad, *const y = s + v->pad;
    add(v->n, a[pairs] - inverse[pairs] * dot(v->n, y, v->q), s, v->q);
  }
  return sqrt(longest);
}

/* Returns the factor a(t / T). */
static double rate_at(const double *phi, int64_t t, int64_t horizon) {
  const double x = (KNOTS - 1) * fmin(1, (double)t / (double)horizon);
  const int k = x < KNOTS - 1 ? (int)x : KNOTS - 2;
  return exp(phi[RATE + k] + (x - k) * (phi[RATE + k + 1] - phi[RATE + k]));
}

static void update_slice(const view *v, double rate, wl_real *u) {
  for (int64_t i = 0; i < v->n; i++) v->q[i] = (double)v->g[i];
  remember(v);
  const double longest = two_loops(v);
  double sum = 0;
  for (int64_t i = 0; i < v->n; i++) sum += v->q[i] * v->q[i];
  const double length = sqrt(sum);
  const double bound =
      longest > 0 ? v->phi[GROWTH] * longest : v->phi[FIRST_STEP] * sqrt((double)v->n);
  /* If the memory is empty, q contains the gradient, and the step has the length `bound`. */
  double factor = longest > 0 && rate * length <= bound ? rate : bound / length;
  if (!(length > 0 && isfinite(factor * length))) factor = 0;
  for (int64_t i = 0; i < v->n; i++) u[i] = factor > 0 ? (wl_real)(-factor * v->q[i]) : 0;
}

static void lbfgs_step(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const lbfgs *c = rule->impl;
  workspace *const ws = rule_ws->impl;
  const double rate = rate_at(ws->phi, step->t, step->horizon > 0 ? step->horizon : c->steps);
  const int64_t n = rule_ws->theta->size;
  const int threads = rule_ws->threads;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && ws->slices > 1)
  for (int64_t i = 0; i < ws->slices; i++) {
    const int64_t first = ws->slice[i].first;
    const view v = {.n = ws->slice[i].size,
                    .pad = wl_pad(n),
                    .memory = (int)c->memory,
                    .first = step->t == 0,
                    .g = step->g + first,
                    .theta = step->theta + first,
                    .in = step->s_in + first,
                    .out = step->s_out + first,
                    .phi = ws->phi,
                    .q = ws->scratch + wl_thread_index() * ws->largest};
    update_slice(&v, rate, step->u + first);
  }
  wl_tensors_clear_padding(n, rule->n_fields, step->s_out);
  wl_tensors_clear_padding(n, 1, step->u);
}

const wl_rule_ops wl_rule_lbfgs = {
    .name = "lbfgs",
    .summary =
        "limited-memory BFGS with learned rates, a learned damping and a learned largest step",
    .options = lbfgs_options,
    .create = lbfgs_create,
    .destroy = lbfgs_destroy,
    .init = lbfgs_init,
    .pack = lbfgs_pack,
    .step = lbfgs_step,
    .ws_create = lbfgs_ws_create,
    .ws_destroy = lbfgs_ws_destroy,
    .ws_bytes = lbfgs_ws_bytes};
