/* feature_kernel.c - implements the functions that feature_kernel.h declares. The file is compiled
 * once for each instruction set.
 *
 * Each lane of a vector contains one coordinate. The code computes the network for a group of
 * VECTORS vectors at a time, so that the features of the group fit in the L1 cache. A layer is
 * computed in tiles of WL_NET_ROWS units, and the sums of a tile are in registers. */
#include "rule/feature_kernel.h"

#include "rule/vector.h"

/* number of vectors in a group: 4 if the processor has 32 vector registers, 2 if the processor has
 * 16 vector registers */
#if VECTOR_BYTES == 64
enum { VECTORS = 4 };
#else
enum { VECTORS = 2 };
#endif
enum { GROUP = VECTORS * VECTOR_LANES, HALF = VECTORS / 2 };

/* ---- Rows and columns ----------------------------------------------------------------------- */

/* The row or column numbers of the lanes of a vector. The type is used if the coordinates in the
 * vector are in several lines. Lane number l has the row or column number first + after[l]. The
 * largest row or column number of the lanes is `most`. */
typedef int32_t lanes __attribute__((vector_size(VECTOR_LANES * sizeof(int32_t))));
typedef struct spread {
  int32_t first, most;
  lanes after;
} spread;

/* The rows and columns of the coordinates that are in one vector. */
typedef struct place {
  int64_t left;
  /* true: the coordinates are in several lines, and `rows` and `columns` contain the row and column
   * numbers of the lanes */
  bool apart;
  int64_t row, column; /* if `apart` is false: row and column of the first lane */
  spread rows, columns;
} place;

/* The current coordinate of a pass: the number of its line and its position k in the line. */
typedef struct cursor {
  int64_t line, k;
} cursor;

INLINE cursor cursor_at(const wl_feature_view *w, int64_t i) {
  return w->factored ? (cursor){i / w->line, i % w->line} : (cursor){0, i};
}

INLINE void move_on(const wl_feature_view *w, cursor *c) {
  c->k += VECTOR_LANES;
  while (w->factored && c->k >= w->line) {
    c->k -= w->line;
    c->line++;
  }
}

INLINE lanes lane_numbers(void) {
  lanes numbers;
  for (int l = 0; l < VECTOR_LANES; l++) numbers[l] = l;
  return numbers;
}

/* Sets the indices of the lanes from `from` to `last`. If the index advances along a line, the
 * indices are first, first + 1, and so on. If the index does not advance, all lanes from `from` to
 * `last` have the index `first`. Lanes after `last` have the index of `last`. */
INLINE void spread_line(spread *s, int32_t from, int32_t last, int32_t first, bool advances) {
  const int32_t step = advances ? -1 : 0, end = first + ((last - from) & step);
  const lanes number = lane_numbers(), index = first + ((number - from) & step);
  const lanes beyond = index > end, before = number < from;
  s->after = (s->after & before) | (((index & ~beyond) | (end & beyond)) & ~before);
  s->first = first < s->first ? first : s->first;
  s->most = end > s->most ? end : s->most;
}

NOINLINE void spread_place(const wl_feature_view *w, cursor c, place *at) {
  const int32_t count = (int32_t)(at->left < VECTOR_LANES ? at->left : VECTOR_LANES);
  spread rows = {.first = INT32_MAX}, columns = rows;
  for (int32_t from = 0; from < count;) {
    const int32_t k = (int32_t)c.k, next = from + (int32_t)(w->line - c.k),
                  last = (next < count ? next : count) - 1;
    spread_line(&rows, from, last, w->row[c.line] + (w->row_advances ? k : 0), w->row_advances);
    spread_line(&columns, from, last, w->column[c.line] + (w->column_advances ? k : 0),
                w->column_advances);
    c = (cursor){c.line + 1, 0};
    from = next;
  }
  rows.after -= rows.first;
  columns.after -= columns.first;
  at->rows = rows;
  at->columns = columns;
}

INLINE void find_place(const wl_feature_view *w, cursor c, int64_t left, place *at) {
  at->left = left;
  at->apart = false;
  at->row = at->column = c.k;
  if (!w->factored) return;
  at->apart = c.k + (left < VECTOR_LANES ? left : VECTOR_LANES) > w->line;
  if (at->apart) {
    spread_place(w, c, at);
    return;
  }
  at->row = w->row[c.line] + (w->row_advances ? c.k : 0);
  at->column = w->column[c.line] + (w->column_advances ? c.k : 0);
}

#if VECTOR_BYTES == 64 && !defined(WL_DOUBLE)
/* If all table entries are in one vector, a load and a permutation are faster than a gather
 * instruction. */
INLINE vec gather(const wl_real *table, const spread *s) {
  const __m512i after = (__m512i)s->after;
  const int32_t beyond = VECTOR_LANES - 1 - (s->most - s->first);
  if (beyond < 0) return (vec)_mm512_i32gather_ps(after, table + s->first, sizeof *table);
  const __mmask16 read = (__mmask16)(0xffff >> beyond);
  return (vec)_mm512_permutexvar_ps(after, _mm512_maskz_loadu_ps(read, table + s->first));
}
#else
INLINE vec gather(const wl_real *table, const spread *s) {
  vec v;
  for (int l = 0; l < VECTOR_LANES; l++) v[l] = table[s->first + s->after[l]];
  return v;
}
#endif

INLINE vec row_of(const wl_feature_view *w, const wl_real *table, const place *at) {
  if (at->apart) return gather(table, &at->rows);
  return w->row_advances ? load_some(table + at->row, at->left) : splat(table[at->row]);
}

INLINE vec column_of(const wl_feature_view *w, const wl_real *table, const place *at) {
  if (at->apart) return gather(table, &at->columns);
  return w->column_advances ? load_some(table + at->column, at->left) : splat(table[at->column]);
}

/* ---- Features ------------------------------------------------------------------------------- */

/* The values from which the features of a vector of coordinates are computed. */
typedef struct moment {
  vec g, p, m[WL_MOST_MOMENTA], v;
} moment;

INLINE int momenta_of(const int kind) {
  return kind == WL_FEATURES_MLP ? WL_MOST_MOMENTA : WL_FACTORED;
}

INLINE vec take_gradient(const wl_feature_view *w, const int kind, int64_t i, int64_t left) {
  const vec g = load_some(w->g + i, left);
  return kind == WL_FEATURES_CELO2 ? maximum(splat(-1000), minimum(splat(1000), g)) : g;
}

/* Computes the features that use the factored moments. The features g r c start at the index
 * `first`. The features R, C, 1 / sqrt R, 1 / sqrt C and m r c start at the index `rest`. If
 * `tables` is false, the function computes only the last of these five features, m r c. */
INLINE void factored_features(const wl_feature_view *w, const moment *x, const place *at, vec *f,
                              const int first, const int rest, const bool tables) {
  const wl_factor_tables *const t = &w->table;
  const int step = WL_FACTORED * VECTORS;
  UNROLL for (int j = 0; j < WL_FACTORED; j++) {
    const vec by_row = row_of(w, t->g_factor[j], at);
    vec *const out = f + (rest + j) * VECTORS, *const scaled = tables ? out + 4 * step : out;
    if (w->factored) {
      const vec factor = by_row * column_of(w, t->c_factor[j], at);
      f[(first + j) * VECTORS] = x->g * factor;
      *scaled = x->m[j] * factor;
    } else {
      f[(first + j) * VECTORS] = x->g * by_row;
      *scaled = x->m[j] * row_of(w, t->m_factor[j], at);
    }
    if (!tables) continue;
    out[0] = row_of(w, t->r[j], at);
    out[2 * step] = row_of(w, t->inverse_r[j], at);
    out[step] = w->factored ? column_of(w, t->c[j], at) : out[0];
    out[3 * step] = w->factored ? column_of(w, t->inverse_c[j], at) : out[2 * step];
  }
}

/* Computes the features of one vector of coordinates, and writes feature k to f[k * VECTORS]. */
INLINE void features(const wl_feature_view *w, const int kind, const moment *x, const place *at,
                     vec *f, const bool tables) {
  const int momenta = momenta_of(kind);
  int k = 0;
#define PUT(value) f[k++ * VECTORS] = (value)
  PUT(x->g);
  if (kind == WL_FEATURES_CELO2)
    PUT(maximum(splat((wl_real)-0.1), minimum(splat((wl_real)0.1), x->g)));
  PUT(x->p);
  UNROLL for (int j = 0; j < momenta; j++) PUT(x->m[j]);
  if (kind == WL_FEATURES_MLP) return;
  const wl_real small = kind == WL_FEATURES_CELO2 ? (wl_real)1e-8 : (wl_real)1e-6;
  const vec inverse = (wl_real)1 / root(x->v + small);
  PUT(x->v);
  UNROLL for (int j = 0; j < WL_FACTORED; j++) PUT(x->m[j] * inverse);
  PUT(inverse);
  if (kind == WL_FEATURES_CELO2) {
    f[14 * VECTORS] = x->g * inverse;
    factored_features(w, x, at, f, 11, 15, tables);
  } else {
    factored_features(w, x, at, f, 10, 13, tables);
  }
#undef PUT
}

INLINE int feature_count(const int kind) {
  return kind == WL_FEATURES_MLP ? 8 : kind == WL_FEATURES_SMALL_FC ? 28 : 30;
}

/* ---- Sums of squares of the gradient over rows and columns ---------------------------------- */

INLINE double add_lanes(vec a) {
  double sum = 0;
  for (int l = 0; l < VECTOR_LANES; l++) sum += (double)a[l];
  return sum;
}

static void squares_of_line(const wl_feature_view *w, const int kind, int64_t line, wl_real *rows,
                            wl_real *columns) {
  vec sum = {0};
  wl_real *const along_row = rows + w->row[line], *const along_column = columns + w->column[line];
  for (int64_t k = 0; k < w->line; k += VECTOR_LANES) {
    const int64_t left = w->line - k;
    const vec g = take_gradient(w, kind, line * w->line + k, left), square = g * g;
    sum += square;
    if (w->row_advances) store_some(along_row + k, load_some(along_row + k, left) + square, left);
    if (w->column_advances)
      store_some(along_column + k, load_some(along_column + k, left) + square, left);
  }
  const wl_real all = (wl_real)add_lanes(sum);
  if (!w->row_advances) *along_row += all;
  if (!w->column_advances) *along_column += all;
}

static void squares(const wl_feature_view *w, int64_t first, int64_t count, wl_real *rows,
                    wl_real *columns) {
  for (int64_t line = first; line < first + count; line++)
    if (w->kind == WL_FEATURES_CELO2) squares_of_line(w, WL_FEATURES_CELO2, line, rows, columns);
    else squares_of_line(w, WL_FEATURES_SMALL_FC, line, rows, columns);
}

/* ---- Tables of rows and columns, in double -------------------------------------------------- */

static void follow(const wl_follow *f, int64_t count, const wl_real *restrict old,
                   wl_real *restrict new) {
  for (int64_t i = 0; i < count; i++) {
    double sum = 0;
    UNROLL for (int group = 0; group < WL_LINE_GROUPS; group++) sum +=
        (double)f->sums[group * f->stride + i];
    new[i] = (wl_real)(f->decay * (double)old[i] + (1 - f->decay) * (sum / f->length + 1e-30));
  }
}

INLINE void roots_of(const wl_inverse_root *f, int64_t count, const wl_real *restrict x,
                     wl_real *restrict out, const bool divide) {
  const double divisor = f->divisor, shift = f->shift, least = f->least;
  for (int64_t i = 0; i < count; i++) {
    const double y = (divide ? (double)x[i] / divisor : (double)x[i]) + shift;
    out[i] = (wl_real)(1 / sqrt(y < least ? least : y));
  }
}

static void inverse_roots(const wl_inverse_root *f, int64_t count, const wl_real *x, wl_real *out) {
  if (f->divisor == 1) roots_of(f, count, x, out, false);
  else roots_of(f, count, x, out, true);
}

static void pack(int tiles, int size, const double *from, double scale, wl_real *to) {
  typedef double units __attribute__((vector_size(WL_NET_ROWS * sizeof(double)), aligned(8)));
  typedef wl_real packed
      __attribute__((vector_size(WL_NET_ROWS * sizeof(wl_real)), aligned(sizeof(wl_real))));
  for (int tile = 0; tile < tiles; tile++)
    *(packed *)(to + tile * size) =
        __builtin_convertvector(*(const units *)(from + tile * WL_NET_ROWS) * scale, packed);
}

/* Returns the weighted sum of one entry of each table. The entries are in `one`, and the weights
 * are in `by`. */
INLINE vec combine_one(const vec *by, const vec *one) {
  vec sum = {0};
  UNROLL for (int k = 0; k < 2 * WL_FACTORED; k++) sum += by[k] * one[k];
  return sum;
}

static void combine_along(const wl_combination *c, int64_t count, wl_real *out) {
  for (int64_t i = 0; i < count; i += VECTOR_LANES) {
    vec one[2 * WL_FACTORED], by[2 * WL_FACTORED];
    UNROLL for (int k = 0; k < 2 * WL_FACTORED; k++) one[k] = load_some(c->from[k] + i, count - i);
    for (int unit = 0; unit < c->units; unit++, out += VECTOR_LANES) {
      UNROLL for (int k = 0; k < 2 * WL_FACTORED; k++) by[k] = splat(c->by[k * c->units + unit]);
      store_some(out, c->bias[unit] + combine_one(by, one), VECTOR_LANES);
    }
  }
}

static void combine_across(const wl_combination *c, int64_t count, wl_real *out) {
  for (int unit = 0; unit < c->units; unit += VECTOR_LANES) {
    const int64_t left = c->units - unit;
    vec one[2 * WL_FACTORED], by[2 * WL_FACTORED];
    UNROLL for (int k = 0; k < 2 * WL_FACTORED; k++) by[k] =
        load_some(c->by + k * c->units + unit, left);
    const vec bias = load_some(c->bias + unit, left);
    for (int64_t i = 0; i < count; i++) {
      UNROLL for (int k = 0; k < 2 * WL_FACTORED; k++) one[k] = splat(c->from[k][i]);
      store_some(out + i * c->units + unit, bias + combine_one(by, one), left);
    }
  }
}

static void combine(const wl_combination *c, int64_t count, wl_real *out) {
  if (c->advances) combine_along(c, count, out);
  else combine_across(c, count, out);
}

/* ---- Moments -------------------------------------------------------------------------------- */

INLINE void new_moment(const wl_feature_view *w, const int kind, int64_t i, int64_t left,
                       moment *x) {
  const int momenta = momenta_of(kind);
  x->g = take_gradient(w, kind, i, left);
  x->p = load_some(w->p + i, left);
  UNROLL for (int j = 0; j < momenta; j++) {
    x->m[j] = w->m_keep[j] * load_some(w->m_in[j] + i, left) + w->m_take[j] * x->g;
    store_some(w->m_out[j] + i, x->m[j], left);
  }
  if (kind == WL_FEATURES_MLP) return;
  x->v = w->v_keep * load_some(w->v_in + i, left) + w->v_take * (x->g * x->g);
  store_some(w->v_out + i, x->v, left);
}

/* Adds the squares of the features to the sums of the taps to which the lanes belong. */
static void add_by_tap(const wl_feature_view *w, int64_t i, int64_t left, const vec *f,
                       double *sums) {
  for (int64_t l = 0; l < VECTOR_LANES && l < left; l++) {
    double *const of_tap = sums + (i + l) % w->taps * WL_MOST_FEATURES;
    for (int k = 0; k < WL_MOST_FEATURES; k++) {
      const double x = (double)f[k * VECTORS][l];
      of_tap[k] += x * x;
    }
  }
}

/* Sets the features of the lanes from number `left` onwards to zero. */
NOINLINE void clear_beyond(int64_t left, int inputs, vec *f) {
  mask inside;
  for (int l = 0; l < VECTOR_LANES; l++) inside[l] = l < left ? -1 : 0;
  for (int k = 0; k < inputs; k++) f[k * VECTORS] = choose(inside, f[k * VECTORS], splat(0));
}

/* Some features are entries of tables. The function short_count returns the number of features that
 * are not table entries. Among all features, the k-th feature that is not a table entry has the
 * index that short_number returns. */
INLINE int short_count(const int kind) {
  return kind == WL_FEATURES_MLP ? 8 : feature_count(kind) - 4 * WL_FACTORED;
}
INLINE int short_number(const int kind, const int k) {
  return kind == WL_FEATURES_MLP || k < short_count(kind) - WL_FACTORED ? k : k + 4 * WL_FACTORED;
}

/* Computes the new moments and the features of one vector of coordinates. */
INLINE void moment_features(const wl_feature_view *w, const int kind, int64_t i, int64_t left,
                            cursor *c, vec *f, const bool tables) {
  place at;
  moment x;
  find_place(w, *c, left, &at);
  new_moment(w, kind, i, left, &x);
  features(w, kind, &x, &at, f, tables);
  move_on(w, c);
}

/* Adds the squared features of one vector of coordinates to the sums. The features of a full vector
 * are not stored in memory. */
INLINE void add_vector(const wl_feature_view *w, const int kind, int64_t i, int64_t left, cursor *c,
                       vec *sum) {
  const int inputs = short_count(kind);
  vec f[WL_MOST_FEATURES * VECTORS];
  moment_features(w, kind, i, left, c, f, false);
  if (left < VECTOR_LANES) clear_beyond(left, inputs, f);
  UNROLL for (int k = 0; k < inputs; k++) sum[k] = add_square(sum[k], f[k * VECTORS]);
}

INLINE void moments_of(const wl_feature_view *w, const int kind, int64_t first, int64_t count,
                       double *sums) {
  const int inputs = short_count(kind);
  const int64_t full = first + count - count % VECTOR_LANES;
  vec sum[WL_MOST_FEATURES] = {{0}};
  cursor c = cursor_at(w, first);
  for (int64_t i = first; i < full; i += VECTOR_LANES)
    add_vector(w, kind, i, VECTOR_LANES, &c, sum);
  if (full < first + count) add_vector(w, kind, full, first + count - full, &c, sum);
  for (int k = 0; k < inputs; k++) sums[short_number(kind, k)] = add_lanes(sum[k]);
}

static void moments_by_tap(const wl_feature_view *w, int64_t first, int64_t count, double *sums) {
  vec f[WL_MOST_FEATURES * VECTORS];
  cursor c = cursor_at(w, first);
  for (int64_t i = first; i < first + count; i += VECTOR_LANES) {
    moment_features(w, WL_FEATURES_CELO2, i, first + count - i, &c, f, true);
    add_by_tap(w, i, first + count - i, f, sums);
  }
}

static void moments(const wl_feature_view *w, int64_t first, int64_t count, double *sums) {
  if (w->kind == WL_FEATURES_MLP) moments_of(w, WL_FEATURES_MLP, first, count, sums);
  else if (w->kind == WL_FEATURES_SMALL_FC) moments_of(w, WL_FEATURES_SMALL_FC, first, count, sums);
  else if (w->taps > 1) moments_by_tap(w, first, count, sums);
  else moments_of(w, WL_FEATURES_CELO2, first, count, sums);
}

/* ---- The net -------------------------------------------------------------------------------- */

/* Adds W x to the sums of one tile. The weights that belong to one input are contiguous in memory.
 * The arguments `rows` and `vectors` are compile-time constants. */
INLINE void multiply(const wl_real *weight, int inputs, const vec *x, vec (*sum)[VECTORS],
                     const int rows, const int vectors) {
#pragma GCC unroll 4
  for (int k = 0; k < inputs; k++) {
    const wl_real *const column = weight + k * rows;
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < vectors; v++) sum[r][v] +=
        column[r] * x[k * VECTORS + v];
  }
}

INLINE void finish_tile(vec (*sum)[VECTORS], vec *y, const int rows, const int vectors,
                        const bool relu) {
  UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < vectors; v++)
      y[r * VECTORS + v] = relu ? maximum(splat(0), sum[r][v]) : sum[r][v];
}

/* The numbers of rows and of vectors in a tile, which are compile-time constants. */
typedef struct extent {
  int rows, vectors;
} extent;

/* Computes y = W x + b for the units of one tile. */
INLINE void tile(const wl_real *weight, int inputs, const vec *x, vec *y, const extent of,
                 const bool relu) {
  vec sum[WL_NET_ROWS][VECTORS];
  UNROLL for (int r = 0; r < of.rows; r++) UNROLL for (int v = 0; v < of.vectors; v++) sum[r][v] =
      splat(weight[r]);
  multiply(weight + of.rows, inputs, x, sum, of.rows, of.vectors);
  finish_tile(sum, y, of.rows, of.vectors, relu);
}

/* Pointers to the contributions of the tables to the first layer, for each vector of a group. */
typedef struct parts {
  const wl_real *row[VECTORS], *column[VECTORS];
  bool row_advances, column_advances;
} parts;

INLINE vec part_of(const wl_real *p, int unit, const bool advances) {
  return advances ? load_some(p + unit * VECTOR_LANES, VECTOR_LANES) : splat(p[unit]);
}

/* Computes the first layer of the network. The arguments row_advances and column_advances state
 * which index increases along a line. In a matrix, exactly one of the two indices increases. In a
 * convolution, both indices may increase. */
INLINE void first_layer(const wl_packed_net *net, const parts *add, const vec *x, vec *y,
                        const bool row_advances, const bool column_advances) {
  const wl_real *weight = net->weight;
  for (int unit = 0; unit < net->width[0]; unit += WL_NET_ROWS) {
    vec sum[WL_NET_ROWS][VECTORS];
    UNROLL for (int r = 0; r < WL_NET_ROWS; r++) UNROLL for (int v = 0; v < VECTORS; v++)
        sum[r][v] = part_of(add->row[v], unit + r, row_advances) +
                    part_of(add->column[v], unit + r, column_advances);
    multiply(weight + WL_NET_ROWS, net->inputs, x, sum, WL_NET_ROWS, VECTORS);
    finish_tile(sum, y + unit * VECTORS, WL_NET_ROWS, VECTORS, true);
    weight += (net->inputs + 1) * WL_NET_ROWS;
  }
}

NOINLINE void first_with_parts(const wl_packed_net *net, const parts *add, const vec *x, vec *y) {
  if (!add->row_advances) first_layer(net, add, x, y, false, true);
  else if (!add->column_advances) first_layer(net, add, x, y, true, false);
  else first_layer(net, add, x, y, true, true);
}

/* Computes the network's outputs for `vectors` vectors of coordinates from their features x. If the
 * features include the table entries, `add` is NULL. If the features do not include the table
 * entries, `add` points to the contributions of the table entries to the first layer. */
INLINE void net_of(const wl_packed_net *net, const parts *add, const vec *x, vec *y,
                   const int vectors) {
  vec hidden[2][WL_NET_MOST_WIDTH * VECTORS];
  const wl_real *weight = net->weight;
  int inputs = net->inputs;
  for (int layer = 0; layer < net->layers; layer++) {
    vec *const to = hidden[layer % 2];
    if (layer == 1) weight = net->upper;
    if (layer == 0 && add) first_with_parts(net, add, x, to);
    else
      for (int row = 0; row < net->width[layer]; row += WL_NET_ROWS) {
        tile(weight, inputs, x, to + row * VECTORS, (extent){WL_NET_ROWS, vectors}, true);
        weight += (inputs + 1) * WL_NET_ROWS;
      }
    x = to;
    inputs = net->width[layer];
  }
  if (net->layers == 1) weight = net->upper;
  if (net->magnitude) tile(weight, inputs, x, y, (extent){2, vectors}, false);
  else tile(weight, inputs, x, y, (extent){1, vectors}, false);
}

NOINLINE void run_net(const wl_packed_net *net, const parts *add, const vec *x, vec *y) {
  net_of(net, add, x, y, VECTORS);
}

/* Computes the network's outputs for the first half of a group's vectors. This half is enough for
 * the last group of a tensor if the other half contains no coordinates. */
NOINLINE void run_half(const wl_packed_net *net, const vec *x, vec *y) {
  net_of(net, NULL, x, y, HALF);
}

INLINE void load_moment(const wl_feature_view *w, const int kind, int64_t i, int64_t left,
                        moment *x) {
  const int momenta = momenta_of(kind);
  x->g = take_gradient(w, kind, i, left);
  x->p = load_some(w->p + i, left);
  UNROLL for (int j = 0; j < momenta; j++) x->m[j] = load_some(w->m_out[j] + i, left);
  if (kind != WL_FEATURES_MLP) x->v = load_some(w->v_out + i, left);
}

static void scale_by_tap(const wl_feature_view *w, int64_t i, vec *f) {
  for (int l = 0; l < VECTOR_LANES; l++) {
    const wl_real *const scale = w->tap_scale + (i + l) % w->taps * WL_MOST_FEATURES;
    for (int k = 0; k < WL_MOST_FEATURES; k++) f[k * VECTORS][l] *= scale[k];
  }
}

INLINE void forward_of(const wl_feature_view *w, const int kind, const wl_packed_net *net,
                       int64_t first, int64_t count, const bool folded) {
  vec f[WL_MOST_FEATURES * VECTORS], y[2 * VECTORS];
  const int inputs = folded ? short_count(kind) : feature_count(kind);
  cursor c = cursor_at(w, first);
  parts add = {.row_advances = w->row_advances, .column_advances = w->column_advances};
  place at;
  for (int64_t i = first; i < first + count; i += GROUP) {
    for (int v = 0; v < VECTORS; v++) {
      const int64_t lane = i + v * VECTOR_LANES, left = first + count - lane;
      moment x;
      /* if a vector of the group contains no coordinates, the code copies the group's first
       * vector */
      if (left <= 0) {
        for (int k = 0; k < inputs; k++) f[k * VECTORS + v] = f[k * VECTORS];
        add.row[v] = add.row[0];
        add.column[v] = add.column[0];
        continue;
      }
      find_place(w, c, left, &at);
      load_moment(w, kind, lane, left, &x);
      features(w, kind, &x, &at, f + v, !folded);
      if (kind == WL_FEATURES_CELO2 && w->taps > 1) scale_by_tap(w, lane, f + v);
      if (folded) {
        add.row[v] = net->row_part + at.row * net->width[0];
        add.column[v] = net->column_part + at.column * net->width[0];
      }
      move_on(w, &c);
    }
    if (!folded && first + count - i <= HALF * VECTOR_LANES) run_half(net, f, y);
    else run_net(net, folded ? &add : NULL, f, y);
    for (int v = 0; v < VECTORS; v++) {
      const int64_t lane = i + v * VECTOR_LANES, left = first + count - lane;
      if (left <= 0) break;
      vec u = net->scale * y[v];
      if (net->magnitude)
        u *= exp2_clipped((net->exponent * (wl_real)1.4426950408889634) * y[VECTORS + v]);
      store_some(w->u + lane, u, left);
    }
  }
}

static void forward(const wl_feature_view *w, const wl_packed_net *net, int64_t first,
                    int64_t count) {
  const bool folded = net->row_part != NULL, celo2 = w->kind == WL_FEATURES_CELO2;
  if (w->kind == WL_FEATURES_MLP) forward_of(w, WL_FEATURES_MLP, net, first, count, false);
  else if (celo2 && folded) forward_of(w, WL_FEATURES_CELO2, net, first, count, true);
  else if (celo2) forward_of(w, WL_FEATURES_CELO2, net, first, count, false);
  else if (folded) forward_of(w, WL_FEATURES_SMALL_FC, net, first, count, true);
  else forward_of(w, WL_FEATURES_SMALL_FC, net, first, count, false);
}

/* ---- Celo2's output ------------------------------------------------------------------------- */

static double sum_squares(int64_t n, const wl_real *u) {
  /* each run of RUN elements is summed in the type wl_real; the sums of the runs are added in
   * double precision */
  enum { RUN = 4096 };
  double all = 0;
  for (int64_t first = 0; first < n; first += RUN) {
    vec sum = {0};
    const int64_t end = first + RUN < n ? first + RUN : n;
    for (int64_t i = first; i < end; i += VECTOR_LANES) {
      const vec x = load_some(u + i, end - i);
      sum += x * x;
    }
    all += add_lanes(sum);
  }
  return all;
}

static void rescale(int64_t n, double along, wl_real *u, double decay, const wl_real *p) {
  for (int64_t i = 0; i < n; i += VECTOR_LANES)
    store_some(u + i,
               (wl_real)along * load_some(u + i, n - i) + (wl_real)decay * load_some(p + i, n - i),
               n - i);
}

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
extern const wl_feature_kernel JOIN(wl_feature_kernel_, WL_VARIANT);
const wl_feature_kernel JOIN(wl_feature_kernel_, WL_VARIANT) = {
    squares, moments, forward, follow, inverse_roots, pack, combine, sum_squares, rescale};
