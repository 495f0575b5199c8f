/* feature_adjoint.c - computes the adjoint of the rules that feature_net.h describes. The code
 * computes one tensor of one step at a time, in double precision.
 *
 * A name that ends with `bar` is the name of an adjoint: fbar is the adjoint of f. The code
 * normalises a feature f over N coordinates, which are the coordinates of a tensor or of one tap
 * (position) of a convolution's kernel: x = f / n with n = sqrt(e + mean f^2). The adjoint of f is
 *
 *   fbar = (xbar - x (sum x xbar) / N) / n
 *
 * The code therefore needs two passes over the coordinates of a tensor. The first pass over the
 * coordinates computes the adjoint of the network and the sums of x xbar. The second pass over the
 * coordinates computes the adjoints of the features. The code then computes the adjoints of the
 * moments of rows and columns, which contribute to the adjoint of g^2 of every coordinate. The code
 * runs on one thread. */
#include <math.h>
#include <string.h>

#include "rule/feature_net.h"

/* The index of the first feature of each kind among the features of a rule. The value -1 means that
 * the rule has no feature of this kind. */
typedef struct positions {
  int g, clip, p, m, v, m_normal, inverse, g_factored, g_normal, r, c, inverse_r, inverse_c,
      m_factored;
} positions;
static const positions positions_of[] = {
    [WL_FEATURES_MLP] = {0, -1, 1, 2, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
    [WL_FEATURES_SMALL_FC] = {0, -1, 1, 2, 5, 6, 9, 10, -1, 13, 16, 19, 22, 25},
    [WL_FEATURES_CELO2] = {0, 1, 2, 3, 6, 7, 10, 11, 14, 15, 18, 21, 24, 27}};

enum { STRIDE = WL_MOST_FEATURES + 1, DIRECTION = WL_MOST_FEATURES };
enum { MOST_INPUTS = WL_NET_MOST_WIDTH, MOST_LAYERS = WL_NET_MOST_LAYERS + 1 };

/* The inputs, the scratch memory and the results of the adjoint of one tensor. */
typedef struct work {
  const wl_feature_rule *f;
  wl_feature_ws *ws;
  const wl_inner_step *step;
  int j;
  const wl_tensor *tensor;
  const wl_feature_tensor *own;
  const wl_feature_view *view;
  const double *inverse; /* [taps][WL_MOST_FEATURES] factor 1 / n that normalises each feature */
  double
      /* [size][STRIDE] for each coordinate: the features x, which xbar overwrites, and the
       * network's output */
      *features;
  double *dots;             /* [taps][WL_MOST_FEATURES] sums of x xbar over each tap */
  /* [rows] arrays for each decay: the adjoints of R, of the row factor of g and of the row factor
   * of m */
  double *row_bar[3][3];
  /* [columns] arrays for each decay: the adjoints of C and of the column factor */
  double *column_bar[2][3];
  const wl_real *lam;       /* [pad] adjoint of u, from the tensor's first coordinate onwards */
  wl_real *mu; /* [state] in: adjoint of the new state; out: adjoint of the old state */
  double *phi_grad;
  double rate; /* learning rate of this step; used only by celo2 */
} work;

/* ---- Features ------------------------------------------------------------------------------- */

typedef struct point {
  double g, p, m[WL_MOST_MOMENTA], v, inverse;
  int64_t row, column;
} point;

static bool factors(const work *w) { return w->f->kind != WL_FEATURES_MLP; }

static point point_at(const work *w, int64_t i) {
  const wl_feature_view *const v = w->view;
  point x = {.g = (double)v->g[i], .p = (double)v->p[i], .row = i, .column = i};
  if (w->f->kind == WL_FEATURES_CELO2) x.g = fmax(-1000, fmin(1000, x.g));
  for (int j = 0; j < w->f->momenta; j++) x.m[j] = (double)v->m_out[j][i];
  if (!factors(w)) return x;
  x.v = (double)v->v_out[i];
  x.inverse = 1 / sqrt(x.v + (w->f->kind == WL_FEATURES_CELO2 ? 1e-8 : 1e-6));
  if (!v->factored) return x;
  const int64_t line = i / v->line, k = i % v->line;
  x.row = v->row[line] + (v->row_advances ? k : 0);
  x.column = v->column[line] + (v->column_advances ? k : 0);
  return x;
}

/* Some features of decay j are multiples of g or of m_j. The function g_factor returns the number
 * by which g is multiplied, and m_factor returns the number by which m_j is multiplied. */
static double g_factor(const work *w, const point *x, int j) {
  const wl_factor_tables *const t = &w->view->table;
  const double row = (double)t->g_factor[j][x->row];
  return w->view->factored ? row * (double)t->c_factor[j][x->column] : row;
}
static double m_factor(const work *w, const point *x, int j) {
  return w->view->factored ? g_factor(w, x, j) : (double)w->view->table.m_factor[j][x->row];
}

static void put_factored(const work *w, const point *x, const positions *at, double *f) {
  const wl_factor_tables *const t = &w->view->table;
  const bool matrix = w->view->factored;
  for (int j = 0; j < WL_FACTORED; j++) {
    f[at->g_factored + j] = x->g * g_factor(w, x, j);
    f[at->m_factored + j] = x->m[j] * m_factor(w, x, j);
    f[at->r + j] = (double)t->r[j][x->row];
    f[at->inverse_r + j] = (double)t->inverse_r[j][x->row];
    f[at->c + j] = matrix ? (double)t->c[j][x->column] : f[at->r + j];
    f[at->inverse_c + j] = matrix ? (double)t->inverse_c[j][x->column] : f[at->inverse_r + j];
  }
}

static void put_features(const work *w, const point *x, double *f) {
  const positions *const at = &positions_of[w->f->kind];
  f[at->g] = x->g;
  f[at->p] = x->p;
  for (int j = 0; j < w->f->momenta; j++) f[at->m + j] = x->m[j];
  if (!factors(w)) return;
  f[at->v] = x->v;
  f[at->inverse] = x->inverse;
  for (int j = 0; j < w->f->momenta; j++) f[at->m_normal + j] = x->m[j] * x->inverse;
  if (at->clip >= 0) f[at->clip] = fmax(-0.1, fmin(0.1, x->g));
  if (at->g_normal >= 0) f[at->g_normal] = x->g * x->inverse;
  put_factored(w, x, at, f);
}

/* Returns how many features of this tensor the network reads. */
static int features_read(const work *w) {
  const bool few = w->f->kind == WL_FEATURES_CELO2 && !w->tensor->matrix;
  return few ? WL_VECTOR_FEATURES : w->f->features;
}

/* Computes the normalised features x of all coordinates and writes them to w->features. */
static void normalised_features(const work *w) {
  for (int64_t i = 0; i < w->tensor->size; i++) {
    const point x = point_at(w, i);
    double *const f = w->features + i * STRIDE;
    const double *const inverse = w->inverse + i % w->own->taps * WL_MOST_FEATURES;
    put_features(w, &x, f);
    for (int k = 0; k < w->f->features; k++) f[k] *= inverse[k];
  }
}

/* ---- The net -------------------------------------------------------------------------------- */

/* The inputs of each layer and the outputs of the network, for one coordinate. */
typedef struct activations {
  double x[MOST_LAYERS][MOST_INPUTS];
  double out[4];
} activations;

static void net_forward(const work *w, const double *features, activations *a) {
  const wl_feature_rule *const f = w->f;
  const int read = features_read(w);
  memset(a->x[0], 0, sizeof a->x[0]);
  memcpy(a->x[0], features, (size_t)read * sizeof *features);
  memcpy(a->x[0] + f->features, w->ws->time, (size_t)f->times * sizeof *features);
  for (int l = 0; l <= f->layers; l++) {
    const int inputs = wl_feature_inputs(f, l), units = wl_feature_units(f, l);
    const double *const weight = w->ws->phi.phi + f->weight[l];
    double *const y = l < f->layers ? a->x[l + 1] : a->out;
    memcpy(y, w->ws->phi.phi + f->bias[l], (size_t)units * sizeof *y);
    for (int k = 0; k < inputs; k++)
      for (int u = 0; u < units; u++) y[u] += a->x[l][k] * weight[k * units + u];
    for (int u = 0; l < f->layers && u < units; u++) y[u] = fmax(0, y[u]);
  }
}

/* Computes the adjoint of the network for one coordinate. Reads the adjoints of the outputs, writes
 * the adjoints of the features to `bar`, and adds the adjoints of the weights to phi_grad. */
static void net_backward(const work *w, const activations *a, const double *out_bar, double *bar) {
  const wl_feature_rule *const f = w->f;
  double above[MOST_INPUTS] = {0}, below[MOST_INPUTS];
  memcpy(above, out_bar, (size_t)f->outputs * sizeof *above);
  for (int l = f->layers; l >= 0; l--) {
    const int inputs = wl_feature_inputs(f, l), units = wl_feature_units(f, l);
    const double *const weight = w->ws->phi.phi + f->weight[l];
    double *const weight_bar = w->phi_grad + f->weight[l], *const bias_bar =
                                                               w->phi_grad + f->bias[l];
    for (int u = 0; u < units; u++) bias_bar[u] += above[u];
    for (int k = 0; k < inputs; k++) {
      double sum = 0;
      for (int u = 0; u < units; u++) {
        sum += weight[k * units + u] * above[u];
        weight_bar[k * units + u] += a->x[l][k] * above[u];
      }
      below[k] = l > 0 && !(a->x[l][k] > 0) ? 0 : sum;
    }
    memcpy(above, below, (size_t)inputs * sizeof *above);
  }
  memset(bar, 0, (size_t)f->features * sizeof *bar);
  memcpy(bar, above, (size_t)features_read(w) * sizeof *bar);
}

/* ---- From u to the network's outputs -------------------------------------------------------- */

/* Computes the adjoints of the network's outputs o_0 and o_1 for mlp and small_fc. The update of
 * mlp and small_fc is u = -c o_0 exp(e o_1), where c is `step_scale` and e is `exponent_scale`. */
static void scaled_bar(const work *w, int64_t i, const double *out, double *bar) {
  const double scale = -w->f->step_scale * exp(w->f->exponent_scale * out[1]),
               u_bar = (double)w->lam[i];
  bar[0] = scale * u_bar;
  bar[1] = w->f->exponent_scale * scale * out[0] * u_bar;
}

/* Computes the adjoint dbar of the network's first output d for celo2, and writes dbar to
 * w->features. The update of celo2 is u = -a (d / n + w p) with n = sqrt(epsilon + mean d^2), where
 * the mean is over a tap. */
static void direction_bars(const work *w) {
  activations a;
  const int64_t size = w->tensor->size, taps = w->own->taps;
  for (int64_t i = 0; i < size; i++) {
    net_forward(w, w->features + i * STRIDE, &a);
    w->features[i * STRIDE + DIRECTION] = a.out[0];
  }
  for (int64_t tap = 0; tap < taps; tap++) {
    double square = 0, dot = 0;
    for (int64_t i = tap; i < size; i += taps) {
      const double d = w->features[i * STRIDE + DIRECTION];
      square += d * d;
      dot += d * -w->rate * (double)w->lam[i];
    }
    const double count = (double)(size / taps), n = sqrt(w->f->epsilon + square / count);
    for (int64_t i = tap; i < size; i += taps) {
      double *const d = &w->features[i * STRIDE + DIRECTION];
      *d = (-w->rate * (double)w->lam[i] - *d * dot / (count * n * n)) / n;
    }
  }
}

/* Replaces the features x by their adjoints xbar, and sets `dots` to the sums of x xbar. This
 * computation is the first pass over the coordinates. */
static void net_pass(const work *w) {
  activations a;
  memset(w->dots, 0, (size_t)(w->own->taps * WL_MOST_FEATURES) * sizeof *w->dots);
  for (int64_t i = 0; i < w->tensor->size; i++) {
    double *const x = w->features + i * STRIDE, *const dots =
                                                    w->dots + i % w->own->taps * WL_MOST_FEATURES;
    double out_bar[4] = {0}, bar[WL_MOST_FEATURES];
    net_forward(w, x, &a);
    if (w->f->kind == WL_FEATURES_CELO2) out_bar[0] = x[DIRECTION];
    else scaled_bar(w, i, a.out, out_bar);
    net_backward(w, &a, out_bar, bar);
    for (int k = 0; k < w->f->features; k++) {
      dots[k] += x[k] * bar[k];
      x[k] = bar[k];
    }
  }
}

/* ---- From features to state and tables ------------------------------------------------------ */

/* The adjoints of the values from which the features of a coordinate are computed. */
typedef struct point_bar {
  double g, p, m[WL_MOST_MOMENTA], v;
} point_bar;

static double cube(double x) { return x * x * x; }

static void factored_bar(const work *w, const point *x, const double *bar, point_bar *out) {
  const positions *const at = &positions_of[w->f->kind];
  const wl_factor_tables *const t = &w->view->table;
  for (int j = 0; j < WL_FACTORED; j++) {
    const double g_bar = bar[at->g_factored + j], m_bar = bar[at->m_factored + j];
    const double r_bar =
        bar[at->r + j] - 0.5 * bar[at->inverse_r + j] * cube((double)t->inverse_r[j][x->row]);
    out->g += g_bar * g_factor(w, x, j);
    out->m[j] += m_bar * m_factor(w, x, j);
    w->row_bar[0][j][x->row] += r_bar;
    if (w->view->factored) {
      const double both = g_bar * x->g + m_bar * x->m[j];
      w->row_bar[1][j][x->row] += both * (double)t->c_factor[j][x->column];
      w->column_bar[1][j][x->column] += both * (double)t->g_factor[j][x->row];
      w->column_bar[0][j][x->column] +=
          bar[at->c + j] - 0.5 * bar[at->inverse_c + j] * cube((double)t->inverse_c[j][x->column]);
    } else {
      w->row_bar[1][j][x->row] += g_bar * x->g;
      w->row_bar[2][j][x->row] += m_bar * x->m[j];
      w->row_bar[0][j][x->row] +=
          bar[at->c + j] - 0.5 * bar[at->inverse_c + j] * cube((double)t->inverse_r[j][x->row]);
    }
  }
}

static void feature_bar(const work *w, const point *x, const double *bar, point_bar *out) {
  const positions *const at = &positions_of[w->f->kind];
  out->g += bar[at->g];
  out->p += bar[at->p];
  for (int j = 0; j < w->f->momenta; j++) out->m[j] += bar[at->m + j];
  if (!factors(w)) return;
  double inverse_bar = bar[at->inverse];
  for (int j = 0; j < w->f->momenta; j++) {
    out->m[j] += bar[at->m_normal + j] * x->inverse;
    inverse_bar += bar[at->m_normal + j] * x->m[j];
  }
  if (at->clip >= 0 && fabs(x->g) < 0.1) out->g += bar[at->clip];
  if (at->g_normal >= 0) {
    out->g += bar[at->g_normal] * x->inverse;
    inverse_bar += bar[at->g_normal] * x->g;
  }
  out->v += bar[at->v] - 0.5 * inverse_bar * cube(x->inverse);
  factored_bar(w, x, bar, out);
}

/* Adds the adjoint of Adam's step x = q1 m_0 / sqrt(q2 v + 1e-8), which celo2 uses for vectors. */
static void adam_bar(const work *w, const point *x, int64_t i, point_bar *out) {
  const double done = (double)(w->step->t + 1), rate = w->rate * w->f->vector_rate;
  const double q1 = 1 / (1 - pow(w->ws->phi.m[0], done)), q2 = 1 / (1 - pow(w->ws->phi.v, done));
  const double inverse = 1 / sqrt(q2 * x->v + 1e-8), bar = -rate * (double)w->lam[i];
  out->m[0] += bar * q1 * inverse;
  out->v -= 0.5 * bar * q1 * x->m[0] * q2 * cube(inverse);
  out->p += bar * w->f->weight_decay;
}

/* ---- Moments -------------------------------------------------------------------------------- */

/* Computes the adjoint of new = b old + (1 - b) x, where b is `decay`. Replaces the adjoint of
 * `new` in *mu by the adjoint of `old`, and returns the adjoint of x. */
static double moment_bar(double decay, double bar, double old, double x, wl_real *mu,
                         double *decay_bar) {
  const double total = bar + (double)*mu;
  *mu = (wl_real)(decay * total);
  *decay_bar += total * (old - x);
  return (1 - decay) * total;
}

typedef struct decay_bars {
  double m[WL_MOST_MOMENTA], v, factored[WL_FACTORED];
} decay_bars;

/* Computes the adjoints of the old moments of one coordinate. Returns the adjoints of g and p. The
 * argument `bar` contains the adjoints of the values from which the features are computed. */
static point_bar coordinate_bar(const work *w, int64_t i, point_bar bar, decay_bars *decays) {
  const int64_t pad = wl_pad(w->ws->tensors.n), at = w->tensor->offset + i;
  const wl_feature_view *const v = w->view;
  const double raw = (double)v->g[i];
  const bool cut = w->f->kind == WL_FEATURES_CELO2 && fabs(raw) > 1000;
  const double g = cut ? copysign(1000, raw) : raw;
  for (int j = 0; j < w->f->momenta; j++)
    bar.g += moment_bar(w->ws->phi.m[j], bar.m[j], (double)v->m_in[j][i], g, w->mu + j * pad + at,
                        &decays->m[j]);
  if (factors(w))
    bar.g += 2 * g *
             moment_bar(w->ws->phi.v, bar.v, (double)v->v_in[i], g * g,
                        w->mu + w->f->momenta * pad + at, &decays->v);
  if (cut) bar.g = 0;
  return bar;
}

/* Adds the contributions of the row factors r to the adjoints of R, for decay k. A row factor is r
 * = q^-1/2 with q = R / (mean R + 1e-9). If q is at most 1e-9, r is constant and contributes
 * nothing. */
static void row_factor_bar(const work *w, int k) {
  const int64_t rows = w->tensor->factored.rows;
  const wl_real *const r = w->view->table.r[k], *const factor = w->view->table.g_factor[k];
  for (int64_t group = 0; group < w->own->groups; group++) {
    double sum = 0, mean_bar = 0;
    for (int64_t i = 0; i < rows; i++)
      if (w->own->row_group[i] == group) sum += (double)r[i];
    const double mean = sum / (double)w->own->second + 1e-9;
    for (int64_t i = 0; i < rows; i++) {
      if (w->own->row_group[i] != group || !((double)r[i] / mean > 1e-9)) continue;
      const double bar = -0.5 * w->row_bar[1][k][i] * cube((double)factor[i]);
      w->row_bar[0][k][i] += bar / mean;
      mean_bar -= bar * (double)r[i] / (mean * mean);
    }
    for (int64_t i = 0; i < rows; i++)
      if (w->own->row_group[i] == group) w->row_bar[0][k][i] += mean_bar / (double)w->own->second;
  }
}

/* Arrays with one element for each row of a tensor, or for each column. */
typedef struct lines {
  /* count: number of rows or columns; length: number of elements in a row or column */
  int64_t count, length;
  double *bar;         /* [count] in: adjoint of R or C; out: adjoint of the sums of squares */
  const wl_real *old;  /* [count] values of R or C before the step */
  wl_real *mu;         /* [count] in: adjoint of the new R or C; out: adjoint of `old` */
  const wl_real *sums; /* [WL_LINE_GROUPS][stride] sums of squares of g for each group of lines */
} lines;

/* Writes the adjoints of the old R or C to l->mu. Replaces the adjoints of R or C in l->bar by the
 * adjoints of the sums of squares of g. */
static void square_bars(const work *w, int k, const lines *l, decay_bars *decays) {
  const int64_t stride = w->tensor->factored.rows + w->tensor->factored.columns;
  for (int64_t i = 0; i < l->count; i++) {
    double sum = 0;
    for (int group = 0; group < WL_LINE_GROUPS; group++) sum += (double)l->sums[group * stride + i];
    const double x = sum / (double)l->length + 1e-30;
    l->bar[i] = moment_bar(w->ws->phi.factored[k], l->bar[i], (double)l->old[i], x, l->mu + i,
                           &decays->factored[k]) /
                (double)l->length;
  }
}

static void matrix_bars(const work *w, int k, decay_bars *decays) {
  const int64_t at = (w->f->momenta + 1) * wl_pad(w->ws->tensors.n),
                rows = w->tensor->factored.rows;
  const int64_t row = at + k * w->ws->rows + w->tensor->row_at,
                column = at + WL_FACTORED * w->ws->rows + k * w->ws->columns + w->tensor->column_at;
  const wl_real *const sums = wl_feature_squares(w->ws, w->j), *const c = w->view->table.c[k],
                       *const factor = w->view->table.c_factor[k];
  row_factor_bar(w, k);
  for (int64_t i = 0; i < w->tensor->factored.columns; i++)
    if ((double)c[i] > 1e-9)
      w->column_bar[0][k][i] -= 0.5 * w->column_bar[1][k][i] * cube((double)factor[i]);
  square_bars(w, k,
              &(lines){.count = rows,
                       .length = w->own->largest,
                       .bar = w->row_bar[0][k],
                       .old = w->step->s_in + row,
                       .mu = w->mu + row,
                       .sums = sums},
              decays);
  square_bars(w, k,
              &(lines){.count = w->tensor->factored.columns,
                       .length = w->own->second,
                       .bar = w->column_bar[0][k],
                       .old = w->step->s_in + column,
                       .mu = w->mu + column,
                       .sums = sums + rows},
              decays);
}

static void vector_bars(const work *w, int k, decay_bars *decays) {
  const int64_t at =
      (w->f->momenta + 1) * wl_pad(w->ws->tensors.n) + k * w->ws->rows + w->tensor->row_at;
  const wl_factor_tables *const t = &w->view->table;
  for (int64_t i = 0; i < w->tensor->size; i++) {
    const point x = point_at(w, i);
    const double bar = w->row_bar[0][k][i] -
                       0.5 * w->row_bar[1][k][i] * cube((double)t->g_factor[k][i]) -
                       0.5 * w->row_bar[2][k][i] * cube((double)t->m_factor[k][i]);
    w->row_bar[0][k][i] = moment_bar(w->ws->phi.factored[k], bar, (double)w->step->s_in[at + i],
                                     x.g * x.g + 1e-30, w->mu + at + i, &decays->factored[k]);
  }
}

/* Returns the contribution of the rows and columns to the adjoint of g^2 of one coordinate. */
static double square_bar(const work *w, const point *x) {
  double bar = 0;
  for (int k = 0; k < WL_FACTORED; k++) {
    bar += w->row_bar[0][k][x->row];
    if (w->view->factored) bar += w->column_bar[0][k][x->column];
  }
  return bar;
}

/* ---- One tensor, one step ------------------------------------------------------------------- */

static void carve_bars(work *w) {
  double *at = w->ws->adjoint.bars;
  const int64_t rows = w->tensor->factored.rows, columns = w->tensor->factored.columns;
  const int64_t all = WL_FACTORED * (3 * rows + 2 * columns);
  memset(at, 0, (size_t)(factors(w) ? all : 0) * sizeof *at);
  for (int k = 0; k < WL_FACTORED; k++) {
    for (int i = 0; i < 3; i++, at += rows) w->row_bar[i][k] = at;
    for (int i = 0; i < 2; i++, at += columns) w->column_bar[i][k] = at;
  }
}

/* Computes the adjoints of the features of coordinate i from the adjoints xbar of the normalised
 * features. */
static void denormalise(const work *w, const point *x, int64_t i, double *bar) {
  const int64_t tap = i % w->own->taps * WL_MOST_FEATURES;
  const double *const x_bar = w->features + i * STRIDE, *const inverse = w->inverse + tap,
                      *const dots = w->dots + tap;
  const double count = (double)(w->tensor->size / w->own->taps);
  double f[WL_MOST_FEATURES];
  put_features(w, x, f);
  for (int k = 0; k < w->f->features; k++)
    bar[k] = (x_bar[k] - f[k] * inverse[k] * dots[k] / count) * inverse[k];
}

static void add_decays(const work *w, const decay_bars *decays) {
  const wl_feature_rule *const f = w->f;
  if (!f->learned_decays) return;
  const wl_feature_phi *const phi = &w->ws->phi;
  for (int j = 0; j < f->momenta; j++)
    w->phi_grad[f->decay_at.m + j] -= phi->m[j] > 0 ? 10 * (1 - phi->m[j]) * decays->m[j] : 0;
  w->phi_grad[f->decay_at.v] -= phi->v > 0 ? 10 * (1 - phi->v) * decays->v : 0;
  for (int k = 0; k < WL_FACTORED; k++)
    w->phi_grad[f->decay_at.factored + k] -=
        phi->factored[k] > 0 ? 10 * (1 - phi->factored[k]) * decays->factored[k] : 0;
}

/* Computes the adjoint of one tensor at one step. If gbar is not NULL, the function writes the
 * adjoint of g to gbar. The function adds the adjoint of p to thetabar. The arrays gbar and
 * thetabar start with the tensor's first coordinate. */
static void tensor_backward(work *w, wl_real *gbar, wl_real *thetabar) {
  const bool adam = w->f->adam_vectors && !w->tensor->matrix;
  decay_bars decays = {0};
  carve_bars(w);
  if (!adam) {
    normalised_features(w);
    if (w->f->kind == WL_FEATURES_CELO2) direction_bars(w);
    net_pass(w);
  }
  point_bar *const bars = (point_bar *)(void *)w->features;
  for (int64_t i = 0; i < w->tensor->size; i++) {
    const point x = point_at(w, i);
    double bar[WL_MOST_FEATURES];
    point_bar of_point = {0};
    if (adam) adam_bar(w, &x, i, &of_point);
    else {
      denormalise(w, &x, i, bar);
      feature_bar(w, &x, bar, &of_point);
      if (w->f->kind == WL_FEATURES_CELO2)
        of_point.p -= w->rate * w->f->weight_decay * (double)w->lam[i];
    }
    /* a point_bar is smaller than a row of w->features, so this line overwrites only rows that are
     * no longer needed */
    bars[i] = of_point;
  }
  for (int k = 0; factors(w) && k < WL_FACTORED; k++)
    if (w->tensor->matrix) matrix_bars(w, k, &decays);
    else vector_bars(w, k, &decays);
  for (int64_t i = 0; i < w->tensor->size; i++) {
    const point x = point_at(w, i);
    point_bar bar = bars[i];
    if (factors(w)) bar.g += 2 * x.g * square_bar(w, &x);
    bar = coordinate_bar(w, i, bar, &decays);
    if (gbar) gbar[i] = (wl_real)bar.g;
    thetabar[i] += (wl_real)bar.p;
  }
  add_decays(w, &decays);
}
_Static_assert(sizeof(point_bar) <= STRIDE * sizeof(double),
               "a point_bar overwrites a row of features, so it must not be larger than the row");

/* ---- A chunk -------------------------------------------------------------------------------- */

static wl_inner_step step_of(const wl_rule_chunk *chunk, const wl_feature_ws *ws, int64_t state,
                             int64_t k) {
  const int64_t pad = chunk->blocks * WL_LANES;
  return (wl_inner_step){.t = chunk->t0 + k,
                         .horizon = chunk->horizon,
                         .loss = NAN,
                         .blocks = chunk->blocks,
                         .g = chunk->g + k * pad,
                         .theta = chunk->theta + k * pad,
                         .s_in = ws->adjoint.states + k * state,
                         .s_out = ws->adjoint.states + (k + 1) * state};
}

static void step_backward(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_rule_chunk *chunk,
                          int64_t k, wl_real *mu, double *phi_grad) {
  const wl_feature_rule *f = rule->impl;
  wl_feature_ws *const ws = rule_ws->impl;
  const int64_t pad = chunk->blocks * WL_LANES;
  const wl_inner_step step = step_of(chunk, ws, wl_rule_state_reals(rule, rule_ws->theta), k);
  const wl_schedule schedule = wl_schedule_over(&f->schedule, chunk->horizon);
  wl_feature_rule_advance(rule, rule_ws, &step);
  for (int j = 0; j < ws->tensors.count; j++) {
    const wl_tensor *const t = &ws->tensors.tensor[j];
    work w = {.f = f,
              .ws = ws,
              .step = &step,
              .j = j,
              .tensor = t,
              .own = &ws->tensor[j],
              .view = &ws->view[j],
              .inverse = wl_feature_inverse(ws, j),
              .features = ws->adjoint.features,
              .dots = ws->adjoint.dots,
              .lam = chunk->lam + t->offset,
              .mu = mu,
              .phi_grad = phi_grad,
              .rate = wl_schedule_rate(&schedule, f->rate, step.t)};
    tensor_backward(&w, chunk->gbar ? chunk->gbar + k * pad + t->offset : NULL,
                    chunk->lam + t->offset);
  }
  if (chunk->gbar) wl_tensors_clear_padding(ws->tensors.n, 1, chunk->gbar + k * pad);
}

/* Adds loss_weight[k] times the gradient of the outer loss at theta_k to the adjoint of theta. */
static void add_loss_gradient(const wl_rule_chunk *chunk, int64_t k) {
  if (chunk->loss_grad == NULL || chunk->loss_weight[k] == 0) return;
  const int64_t pad = chunk->blocks * WL_LANES;
  const wl_real weight = (wl_real)chunk->loss_weight[k];
  for (int64_t i = 0; i < pad; i++) chunk->lam[i] += weight * chunk->loss_grad[k * pad + i];
}

void wl_feature_rule_backward(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_rule_chunk *chunk,
                              double *phi_grad) {
  wl_feature_ws *const ws = rule_ws->impl;
  const int64_t state = wl_rule_state_reals(rule, rule_ws->theta);
  wl_real *const mu = chunk->mu ? chunk->mu : ws->adjoint.mu;
  if (!chunk->mu) memset(mu, 0, (size_t)state * sizeof *mu);
  memcpy(ws->adjoint.states, chunk->state, (size_t)state * sizeof *ws->adjoint.states);
  for (int64_t k = 0; k + 1 < chunk->steps; k++) {
    const wl_inner_step step = step_of(chunk, ws, state, k);
    wl_feature_rule_advance(rule, rule_ws, &step);
  }
  for (int64_t k = chunk->steps - 1; k >= 0; k--) {
    step_backward(rule, rule_ws, chunk, k, mu, phi_grad);
    add_loss_gradient(chunk, k);
  }
}
