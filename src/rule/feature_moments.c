/* feature_moments.c - computes the values that a step needs before it computes the network: the new
 * moments, the tables of rows and columns, and the normalisers of the features (feature_net.h). */
#include <math.h>
#include <string.h>

#include "rule/feature_net.h"

/* ---- Moments of rows and columns ------------------------------------------------------------ */

const wl_real *wl_feature_squares(const wl_feature_ws *ws, int j) {
  return ws->partial + ws->tensor[j].partial;
}

/* Sums the squares of g in one group of lines. */
static void take_squares(void *data, int64_t task) {
  const wl_feature_ws *const ws = data;
  const int64_t j = task / WL_LINE_GROUPS, group = task % WL_LINE_GROUPS;
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const wl_feature_tensor *const own = &ws->tensor[j];
  if (!t->matrix) return;
  const int64_t size = (own->lines + WL_LINE_GROUPS - 1) / WL_LINE_GROUPS, first = group * size;
  const int64_t count = own->lines - first < size ? own->lines - first : size;
  const int64_t rows = t->factored.rows, both = rows + t->factored.columns;
  wl_real *const sums = ws->partial + own->partial + group * both;
  memset(sums, 0, (size_t)both * sizeof *sums);
  if (count > 0) ws->kernel->squares(&ws->view[j], first, count, sums, sums + rows);
}

/* Computes the row factors of a matrix from R, which is in `r`. */
static void fill_rows(const wl_feature_kernel *kernel, const wl_feature_tensor *t, int64_t rows,
                      const wl_real *r, wl_real *factor) {
  for (int64_t group = 0; group < t->groups; group++) {
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
      if (t->row_group[i] == group) sum += (double)r[i];
    const wl_inverse_root root = {sum / (double)t->second + 1e-9, 0, 1e-9};
    if (t->groups == 1) kernel->inverse_roots(&root, rows, r, factor);
    else
      for (int64_t i = 0; i < rows; i++)
        if (t->row_group[i] == group) kernel->inverse_roots(&root, 1, r + i, factor + i);
  }
}

static void factor_matrix(wl_feature_ws *ws, int j, const wl_real *rows_in, wl_real *rows_out,
                          const wl_real *columns_in, wl_real *columns_out) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const wl_feature_tensor *const own = &ws->tensor[j];
  const wl_feature_kernel *const kernel = ws->kernel;
  const int64_t rows = t->factored.rows, columns = t->factored.columns;
  const wl_real *const sums = wl_feature_squares(ws, j);
  wl_factor_tables *const table = &ws->view[j].table;
  static const wl_inverse_root inverse = {1, 1e-8, 0}, factor = {1, 0, 1e-9};
  for (int k = 0; k < WL_FACTORED; k++) {
    const double decay = ws->phi.factored[k];
    wl_real *const r = rows_out + k * ws->rows, *const c = columns_out + k * ws->columns;
    kernel->follow(&(wl_follow){decay, (double)own->largest, sums, rows + columns}, rows,
                   rows_in + k * ws->rows, r);
    kernel->follow(&(wl_follow){decay, (double)own->second, sums + rows, rows + columns}, columns,
                   columns_in + k * ws->columns, c);
    fill_rows(kernel, own, rows, r, (wl_real *)table->g_factor[k]);
    kernel->inverse_roots(&inverse, rows, r, (wl_real *)table->inverse_r[k]);
    kernel->inverse_roots(&inverse, columns, c, (wl_real *)table->inverse_c[k]);
    kernel->inverse_roots(&factor, columns, c, (wl_real *)table->c_factor[k]);
    table->r[k] = r;
    table->c[k] = c;
  }
}

static double clipped(const wl_feature_rule *f, double g) {
  return f->kind == WL_FEATURES_CELO2 ? fmax(-1000, fmin(1000, g)) : g;
}

static void factor_vector(const wl_feature_rule *f, wl_feature_ws *ws, int j, const wl_real *in,
                          wl_real *out) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  wl_factor_tables *const table = &ws->view[j].table;
  for (int k = 0; k < WL_FACTORED; k++) {
    const double decay = ws->phi.factored[k];
    const wl_real *const old = in + k * ws->rows;
    wl_real *const v = out + k * ws->rows;
    for (int64_t i = 0; i < t->size; i++) {
      const double g = clipped(f, (double)ws->view[j].g[i]);
      v[i] = (wl_real)(decay * (double)old[i] + (1 - decay) * (g * g + 1e-30));
    }
    static const wl_inverse_root inverse = {1, 1e-8, 0}, g_factor = {1, 1e-9, 1e-9},
                                 m_factor = {1, 1e-6, 0};
    ws->kernel->inverse_roots(&inverse, t->size, v, (wl_real *)table->inverse_r[k]);
    ws->kernel->inverse_roots(&g_factor, t->size, v, (wl_real *)table->g_factor[k]);
    ws->kernel->inverse_roots(&m_factor, t->size, v, (wl_real *)table->m_factor[k]);
    table->r[k] = v;
  }
}

/* ---- One step ------------------------------------------------------------------------------- */

/* Sets the addresses of the tables of tensor j. In memory, these tables follow the tables of tensor
 * j - 1. */
static void set_tables(wl_feature_ws *ws, int j, int64_t *at) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  wl_factor_tables *const table = &ws->view[j].table;
  for (int k = 0; k < WL_FACTORED; k++) {
    wl_real *const rows = ws->table + *at, *const columns = rows + WL_ROW_TABLES * t->factored.rows;
    table->inverse_r[k] = rows;
    table->g_factor[k] = rows + t->factored.rows;
    table->m_factor[k] = rows + 2 * t->factored.rows;
    table->inverse_c[k] = columns;
    table->c_factor[k] = columns + t->factored.columns;
    *at += WL_ROW_TABLES * t->factored.rows + WL_COLUMN_TABLES * t->factored.columns;
  }
}

static void set_view(const wl_feature_rule *f, wl_feature_ws *ws, int j,
                     const wl_inner_step *step) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const wl_feature_tensor *const own = &ws->tensor[j];
  const int64_t pad = wl_pad(ws->tensors.n), o = t->offset;
  wl_feature_view *const v = &ws->view[j];
  *v = (wl_feature_view){.kind = f->kind,
                         .momenta = f->momenta,
                         .factored = t->matrix,
                         .line = own->line,
                         .row = own->line_row,
                         .column = own->line_column,
                         .row_advances = own->row_advances,
                         .column_advances = own->column_advances,
                         .taps = own->taps,
                         .g = step->g + o,
                         .p = step->theta + o,
                         .u = step->u ? step->u + o : NULL,
                         .v_keep = (wl_real)ws->phi.v,
                         .v_take = (wl_real)(1 - ws->phi.v)};
  for (int i = 0; i < f->momenta; i++) {
    v->m_in[i] = step->s_in + i * pad + o;
    v->m_out[i] = step->s_out + i * pad + o;
    v->m_keep[i] = (wl_real)ws->phi.m[i];
    v->m_take[i] = (wl_real)(1 - ws->phi.m[i]);
  }
  v->v_in = step->s_in + f->momenta * pad + o;
  v->v_out = step->s_out + f->momenta * pad + o;
}

static void factor_all(const wl_feature_rule *f, wl_feature_ws *ws, const wl_inner_step *step,
                       int threads) {
  const wl_tensors *const all = &ws->tensors;
  const int64_t at = (f->momenta + 1) * wl_pad(all->n), columns = at + WL_FACTORED * ws->rows;
  int64_t table = 0;
  for (int j = 0; j < all->count; j++) set_tables(ws, j, &table);
  wl_share_out(threads, (int64_t)all->count * WL_LINE_GROUPS, take_squares, ws);
  for (int j = 0; j < all->count; j++) {
    const wl_tensor *const t = &all->tensor[j];
    const int64_t row = at + t->row_at, column = columns + t->column_at;
    if (t->matrix)
      factor_matrix(ws, j, step->s_in + row, step->s_out + row, step->s_in + column,
                    step->s_out + column);
    else factor_vector(f, ws, j, step->s_in + row, step->s_out + row);
  }
}

const double *wl_feature_inverse(const wl_feature_ws *ws, int j) {
  return ws->inverse + ws->tensor[j].inverse;
}

/* Sets `squares` [2][WL_FACTORED] to `size` times the mean squares of the entries of the tables.
 * Each table has `count` entries. The sums do not depend on one another, so the processor can
 * compute them at the same time. */
static void mean_squares(const wl_real *const *table, const wl_real *const *inverse, int64_t count,
                         double size, double (*squares)[WL_FACTORED]) {
  double sum[2][WL_FACTORED] = {{0}};
  for (int64_t i = 0; i < count; i++)
    for (int k = 0; k < WL_FACTORED; k++) {
      sum[0][k] += (double)table[k][i] * (double)table[k][i];
      sum[1][k] += (double)inverse[k][i] * (double)inverse[k][i];
    }
  for (int k = 0; k < WL_FACTORED; k++) {
    squares[0][k] = size * (sum[0][k] / (double)count);
    squares[1][k] = size * (sum[1][k] / (double)count);
  }
}

/* Computes the sum of squares over the tensor for each feature that is a table entry. */
static void table_sums(const wl_feature_rule *f, const wl_feature_ws *ws, int j, double *sum) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const wl_factor_tables *const table = &ws->view[j].table;
  double *const at = sum + (f->kind == WL_FEATURES_SMALL_FC ? 13 : 15);
  const double size = (double)t->size;
  double rows[2][WL_FACTORED], columns[2][WL_FACTORED];
  mean_squares(table->r, table->inverse_r, t->factored.rows, size, rows);
  if (t->matrix) mean_squares(table->c, table->inverse_c, t->factored.columns, size, columns);
  for (int k = 0; k < WL_FACTORED; k++) {
    at[k] = rows[0][k];
    at[2 * WL_FACTORED + k] = rows[1][k];
    at[WL_FACTORED + k] = t->matrix ? columns[0][k] : rows[0][k];
    at[3 * WL_FACTORED + k] = t->matrix ? columns[1][k] : rows[1][k];
  }
}

static void normalise(const wl_feature_rule *f, wl_feature_ws *ws, int j) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const wl_feature_tensor *const own = &ws->tensor[j];
  const int64_t stride = own->taps * WL_MOST_FEATURES;
  const double *const sums = ws->piece_sum + own->sums;
  double *const inverse = ws->inverse + ws->tensor[j].inverse;
  wl_real *const scale = ws->tap_scale + ws->tensor[j].inverse;
  for (int64_t i = 0; i < stride; i++) {
    inverse[i] = 0;
    for (int64_t piece = 0; piece < t->pieces; piece++) inverse[i] += sums[piece * stride + i];
  }
  if (wl_feature_factors(f) && own->taps == 1) table_sums(f, ws, j, inverse);
  for (int64_t i = 0; i < stride; i++) {
    inverse[i] = 1 / sqrt(f->epsilon + inverse[i] * (double)own->taps / (double)t->size);
    scale[i] = (wl_real)inverse[i];
  }
  ws->view[j].tap_scale = scale;
}

/* Computes the moments of one piece of a tensor, and the sums of squares of the piece's
 * features. */
static void take_moments(void *data, int64_t i) {
  const wl_feature_ws *const ws = data;
  const wl_piece *const p = &ws->tensors.piece[i];
  const wl_tensor *const t = &ws->tensors.tensor[p->tensor];
  const wl_feature_tensor *const own = &ws->tensor[p->tensor];
  const int64_t stride = own->taps * WL_MOST_FEATURES;
  double *const sums = ws->piece_sum + own->sums + (i - t->first_piece) * stride;
  memset(sums, 0, (size_t)stride * sizeof *sums);
  ws->kernel->moments(&ws->view[p->tensor], p->first - t->offset, p->count, sums);
}

void wl_feature_rule_advance(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const wl_feature_rule *f = rule->impl;
  wl_feature_ws *const ws = rule_ws->impl;
  const wl_tensors *const all = &ws->tensors;
  const int threads = all->pieces > 1 ? rule_ws->threads : 1;
  static const double tau[WL_TIMES] = {1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5};
  for (int i = 0; i < f->times; i++) ws->time[i] = tanh((double)step->t / tau[i] - 1);
  for (int j = 0; j < all->count; j++) set_view(f, ws, j, step);
  if (wl_feature_factors(f)) factor_all(f, ws, step, threads);
  wl_share_out(threads, all->pieces, take_moments, ws);
  for (int j = 0; j < all->count; j++) normalise(f, ws, j);
  wl_tensors_clear_padding(all->n, (int)rule->state_width, step->s_out);
}
