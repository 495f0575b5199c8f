/* feature_net.c - one step of the rules of feature_net.h, and their creation; the adjoint is in feature_adjoint.c. */
#include "rule/feature_net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rule/newton_schulz.h"

enum { ROW_TABLES = 3, COLUMN_TABLES = 2, TABLES = WL_FACTORED };

static const wl_state_field mlp_fields[] = {
    {"momentum1", WL_STATE_COORDINATE}, {"momentum2", WL_STATE_COORDINATE},
    {"momentum3", WL_STATE_COORDINATE}, {"momentum4", WL_STATE_COORDINATE},
    {"momentum5", WL_STATE_COORDINATE}, {"momentum6", WL_STATE_COORDINATE}};
static const wl_state_field factored_fields[] = {{"momentum1", WL_STATE_COORDINATE},
                                                 {"momentum2", WL_STATE_COORDINATE},
                                                 {"momentum3", WL_STATE_COORDINATE},
                                                 {"second_moment", WL_STATE_COORDINATE},
                                                 {"rows1", WL_STATE_ROW},
                                                 {"rows2", WL_STATE_ROW},
                                                 {"rows3", WL_STATE_ROW},
                                                 {"columns1", WL_STATE_COLUMN},
                                                 {"columns2", WL_STATE_COLUMN},
                                                 {"columns3", WL_STATE_COLUMN}};
enum { FACTORED_FIELDS = sizeof factored_fields / sizeof *factored_fields };

static bool factors(const wl_feature_rule *f) { return f->kind != WL_FEATURES_MLP; }

/* ---- Creation ------------------------------------------------------------------------------- */

void wl_feature_rule_destroy(wl_rule *rule) {
  wl_free(rule->impl);
  rule->impl = NULL;
}

static wl_status add_layers(wl_feature_rule *f, wl_layout *phi) {
  char name[WL_NAME_SIZE];
  for (int l = 0; l <= f->layers; l++) {
    const int64_t units = wl_feature_units(f, l), shape[] = {wl_feature_inputs(f, l), units};
    snprintf(name, sizeof name, "layer%d.weight", l + 1);
    WL_TRY(wl_layout_add(phi, "rule", name, 2, shape, &f->weight[l]));
    snprintf(name, sizeof name, "layer%d.bias", l + 1);
    WL_TRY(wl_layout_add(phi, "rule", name, 1, &units, &f->bias[l]));
  }
  return WL_OK;
}

static wl_status add_decays(wl_feature_rule *f, wl_layout *phi) {
  const int64_t momenta = f->momenta, one = 1, factored = WL_FACTORED;
  WL_TRY(wl_layout_add(phi, "rule", "momentum_decays", 1, &momenta, &f->m_at));
  WL_TRY(wl_layout_add(phi, "rule", "rms_decay", 1, &one, &f->v_at));
  return wl_layout_add(phi, "rule", "adafactor_decays", 1, &factored, &f->factored_at);
}

/* FLOP of a coordinate-step, forward and backward. */
static double cost_of(const wl_feature_rule *f) {
  double weights = 0;
  for (int l = 0; l <= f->layers; l++)
    weights += (double)wl_feature_inputs(f, l) * wl_feature_units(f, l);
  return 6 * weights + 20.0 * f->features + (f->newton_schulz ? 400 : 0);
}

static wl_status read_keys(wl_feature_rule *f, const wl_map *options, const wl_rule *rule,
                           int64_t steps) {
  wl_map_read(options, rule->ops->options, f);
  f->layers = f->hidden.count;
  if (f->layers < 1 || f->layers > WL_NET_MOST_LAYERS)
    return wl_map_fail(options, "hidden", "has %d layers; give the units of 1 to %d layers",
                       f->layers, WL_NET_MOST_LAYERS);
  for (int l = 0; l < f->layers; l++) f->width[l] = (int)f->hidden.at[l];
  return wl_schedule_complete(&f->schedule, options, steps);
}

wl_status wl_feature_rule_create(const wl_feature_rule *fixed, const wl_map *options,
                                 const wl_rule_setting *setting, wl_rule *rule) {
  wl_feature_rule *f = NULL;
  WL_TRY(WL_NEW(f, 1));
  rule->impl = f;
  *f = *fixed;
  WL_TRY(read_keys(f, options, rule, setting->episode_steps));
  rule->tensorwise = true;
  rule->fields = factors(f) ? factored_fields : mlp_fields;
  rule->n_fields = factors(f) ? FACTORED_FIELDS : WL_MOST_MOMENTA;
  rule->state_width = factors(f) ? f->momenta + 1 : f->momenta;
  rule->reads_theta = true;
  rule->cost = cost_of(f);
  if (f->newton_schulz) rule->forward_only = "Newton-Schulz steps";
  WL_TRY(add_layers(f, &rule->phi));
  return f->learned_decays ? add_decays(f, &rule->phi) : WL_OK;
}

/* Weights are truncated normal with standard deviation 1 / sqrt(inputs); all other meta-parameters are zero. */
void wl_feature_rule_init(const wl_rule *rule, uint64_t seed, wl_real *phi) {
  const wl_feature_rule *f = rule->impl;
  memset(phi, 0, (size_t)rule->phi.size * sizeof *phi);
  for (int l = 0; l <= f->layers; l++) {
    const int in = wl_feature_inputs(f, l);
    const wl_stream stream = {
        .seed = seed, .purpose = WL_FOR_META_INIT, .space = WL_SPACE_TRAIN, .step = (uint64_t)l};
    wl_rng_truncated_normal(stream, 0, (int64_t)in * wl_feature_units(f, l), 1 / sqrt((double)in),
                            phi + f->weight[l]);
  }
}

static double decay_of(double configured, const double *shift) {
  const double decay = 1 - (1 - configured) * (shift ? exp(10 * *shift) : 1);
  return fmax(0, fmin(1, decay));
}

/* ---- Workspace ------------------------------------------------------------------------------ */

/* Index of an element in the tensor without the axes of `dropped`, a set of bits. */
static int64_t reduced_index(const wl_tensor_entry *b, int64_t element, unsigned dropped) {
  int64_t index = 0, stride = 1;
  for (int a = b->ndim - 1; a >= 0; a--) {
    const int64_t i = element % b->shape[a];
    element /= b->shape[a];
    if (dropped & 1u << a) continue;
    index += i * stride;
    stride *= b->shape[a];
  }
  return index;
}

static int64_t lines_of(const wl_tensor_entry *b) { return b->size / b->shape[b->ndim - 1]; }

/* Sets the indices of a matrix; returns the address of the next tensor's indices. */
static int32_t *index_matrix(const wl_tensor_entry *b, const wl_factored *factored, wl_feature_tensor *t,
                             int32_t *at) {
  const unsigned largest = 1u << factored->largest, second = 1u << factored->second;
  const int last = b->ndim - 1;
  t->line = b->shape[last];
  t->lines = lines_of(b);
  t->row_advances = factored->largest != last;
  t->column_advances = factored->second != last;
  t->second = b->shape[factored->second];
  t->largest = b->shape[factored->largest];
  t->groups = factored->rows / t->second;
  int32_t *const row = at, *const column = row + t->lines, *const group = column + t->lines;
  for (int64_t l = 0; l < t->lines; l++) {
    row[l] = (int32_t)reduced_index(b, l * t->line, largest);
    column[l] = (int32_t)reduced_index(b, l * t->line, second);
  }
  for (int64_t i = 0; i < b->size; i++)
    group[reduced_index(b, i, largest)] = (int32_t)reduced_index(b, i, largest | second);
  t->line_row = row;
  t->line_column = column;
  t->row_group = group;
  return group + factored->rows;
}

static int64_t taps_of(const wl_feature_rule *f, const wl_tensor *t) {
  return f->kind == WL_FEATURES_CELO2 ? t->taps : 1;
}

static int64_t index_size(const wl_layout *theta) {
  int64_t size = 1;
  for (int j = 0; j < theta->count; j++)
    if (theta->tensors[j].ndim >= 2)
      size += 2 * lines_of(&theta->tensors[j]) + wl_factored_of(&theta->tensors[j]).rows;
  return size;
}

static int64_t padded(int width) { return (width + WL_NET_ROWS - 1) / WL_NET_ROWS * WL_NET_ROWS; }

/* Reals of a tensor's packed first layer. */
static int64_t packed_size(const wl_feature_rule *f) {
  return wl_pad((f->features + 1) * padded(f->width[0]));
}

/* Reals of the layers above the first, which tensors share. */
static int64_t upper_size(const wl_feature_rule *f) {
  int64_t size = 0;
  for (int l = 1; l < f->layers; l++) size += (padded(f->width[l - 1]) + 1) * padded(f->width[l]);
  return wl_pad(size + 2 * (padded(f->width[f->layers - 1]) + 1));
}

/* Lengths of the workspace's arrays, for the allocation and for the memory estimate. */
typedef struct lengths {
  int64_t index, packed, partial, part, table, sums, inverse, scratch, copies, largest, state;
} lengths;

static lengths lengths_of(const wl_rule *rule, const wl_layout *theta, const wl_tensors *all,
                          int threads) {
  const wl_feature_rule *f = rule->impl;
  lengths n = {.index = index_size(theta), .packed = theta->count * packed_size(f)};
  for (int j = 0; j < all->count; j++) {
    const wl_tensor *const t = &all->tensor[j];
    const int64_t taps = taps_of(f, t), factored = t->factored.rows + t->factored.columns;
    n.part += padded(f->width[0]) * factored;
    if (factors(f) && t->matrix) n.partial += WL_LINE_GROUPS * factored;
    if (factors(f))
      n.table += TABLES * (ROW_TABLES * t->factored.rows + COLUMN_TABLES * t->factored.columns);
    n.sums += t->pieces * taps * WL_MOST_FEATURES;
    n.inverse += taps * WL_MOST_FEATURES;
    n.largest = t->size > n.largest ? t->size : n.largest;
    if (!f->newton_schulz || !t->matrix) continue;
    const int64_t scratch = wl_orthogonal_scratch(t, false);
    n.scratch = scratch > n.scratch ? scratch : n.scratch;
  }
  n.copies = n.scratch > 0 ? threads : 0;
  n.state = wl_rule_state_reals(rule, theta);
  return n;
}

static bool has_adjoint(const wl_rule *rule, bool adjoint) {
  return adjoint && !rule->forward_only;
}

size_t wl_feature_rule_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                int threads) {
  wl_tensors all;
  lengths n = {0};
  if (wl_tensors_create(theta, &all) == WL_OK) n = lengths_of(rule, theta, &all, threads);
  wl_tensors_clear(&all);
  int64_t reals = n.packed + upper_size(rule->impl) + n.partial + n.part + n.table + n.inverse +
                  n.copies * n.scratch,
          doubles = rule->phi.size + n.sums + n.inverse;
  if (has_adjoint(rule, adjoint)) {
    reals += (WL_CHUNK_STEPS + 2) * n.state;
    doubles += n.largest * (WL_MOST_FEATURES + 1) + n.inverse + n.table;
  }
  return sizeof(wl_feature_ws) + wl_tensors_bytes(theta) + (size_t)n.index * sizeof(int32_t) +
         (size_t)theta->count * (sizeof(wl_feature_tensor) + sizeof(wl_feature_view) +
                                 sizeof(wl_packed_net) + 3 * sizeof(int64_t)) +
         (size_t)reals * sizeof(wl_real) + (size_t)doubles * sizeof(double);
}

void wl_feature_rule_ws_destroy(void *impl) {
  wl_feature_ws *ws = impl;
  if (!ws) return;
  wl_tensors_clear(&ws->tensors);
  void *const owned[] = {ws->upper,     ws->partial_at, ws->part_at, ws->part,      ws->inverse_at,
                         ws->tensor,    ws->index,      ws->view,    ws->net,       ws->packed,
                         ws->phi_copy,  ws->partial,    ws->table,   ws->piece_sum, ws->inverse,
                         ws->tap_scale, ws->scratch,    ws->states,  ws->mu,        ws->features,
                         ws->dots,      ws->bars};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  wl_free(ws);
}

static void index_tensors(const wl_feature_rule *f, const wl_layout *theta, wl_feature_ws *ws) {
  int32_t *at = ws->index;
  int64_t sums = 0, partial = 0, inverse = 0, part = 0;
  for (int j = 0; j < theta->count; j++) {
    wl_feature_tensor *const t = &ws->tensor[j];
    const wl_tensor *const tensor = &ws->tensors.tensor[j];
    const int64_t factored = tensor->factored.rows + tensor->factored.columns;
    ws->partial_at[j] = partial;
    ws->inverse_at[j] = inverse;
    ws->part_at[j] = part;
    part += padded(f->width[0]) * factored;
    if (factors(f) && tensor->matrix) partial += WL_LINE_GROUPS * factored;
    inverse += taps_of(f, tensor) * WL_MOST_FEATURES;
    *t = (wl_feature_tensor){.line = tensor->size, .lines = 1, .row_advances = true};
    t->taps = taps_of(f, tensor);
    t->sums = sums;
    sums += tensor->pieces * t->taps * WL_MOST_FEATURES;
    ws->rows += tensor->factored.rows;
    ws->columns += tensor->factored.columns;
    if (tensor->matrix) at = index_matrix(&theta->tensors[j], &tensor->factored, t, at);
  }
}

static wl_status allocate_adjoint(const lengths *n, wl_feature_ws *ws) {
  WL_TRY(WL_NEW(ws->states, (WL_CHUNK_STEPS + 1) * n->state + 1));
  WL_TRY(WL_NEW(ws->mu, n->state + 1));
  WL_TRY(WL_NEW(ws->features, n->largest * (WL_MOST_FEATURES + 1) + 1));
  WL_TRY(WL_NEW(ws->dots, n->inverse + 1));
  return WL_NEW(ws->bars, n->table + 1);
}

static wl_status allocate(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads,
                          wl_feature_ws *ws) {
  const wl_feature_rule *f = rule->impl;
  WL_TRY(wl_tensors_create(theta, &ws->tensors));
  const lengths n = lengths_of(rule, theta, &ws->tensors, threads);
  ws->kernel = wl_feature_kernel_select();
  ws->packed_size = packed_size(f);
  ws->scratch_size = n.scratch;
  WL_TRY(WL_NEW(ws->tensor, theta->count + 1));
  WL_TRY(WL_NEW(ws->view, theta->count + 1));
  WL_TRY(WL_NEW(ws->net, theta->count + 1));
  WL_TRY(WL_NEW(ws->partial_at, theta->count + 1));
  WL_TRY(WL_NEW(ws->inverse_at, theta->count + 1));
  WL_TRY(WL_NEW(ws->part_at, theta->count + 1));
  WL_TRY(WL_NEW(ws->part, n.part + 1));
  WL_TRY(WL_NEW(ws->index, n.index));
  WL_TRY(WL_NEW(ws->packed, n.packed + 1));
  WL_TRY(WL_NEW(ws->upper, upper_size(f)));
  WL_TRY(WL_NEW(ws->phi_copy, rule->phi.size));
  WL_TRY(WL_NEW(ws->partial, n.partial + 1));
  WL_TRY(WL_NEW(ws->table, n.table + 1));
  WL_TRY(WL_NEW(ws->piece_sum, n.sums + 1));
  WL_TRY(WL_NEW(ws->inverse, n.inverse + 1));
  WL_TRY(WL_NEW(ws->tap_scale, n.inverse + 1));
  WL_TRY(WL_NEW(ws->scratch, n.copies * n.scratch + 1));
  index_tensors(f, theta, ws);
  return has_adjoint(rule, adjoint) ? allocate_adjoint(&n, ws) : WL_OK;
}

wl_status wl_feature_rule_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                    int threads, void **out) {
  wl_feature_ws *ws = NULL;
  WL_TRY(WL_NEW(ws, 1));
  const wl_status status = allocate(rule, theta, adjoint, threads, ws);
  if (status != WL_OK) wl_feature_rule_ws_destroy(ws);
  else *out = ws;
  return status;
}

/* ---- Moments of rows and columns ------------------------------------------------------------ */

const wl_real *wl_feature_squares(const wl_feature_ws *ws, int j) {
  return ws->partial + ws->partial_at[j];
}

static void take_squares(wl_feature_ws *ws, int threads) {
  const wl_tensors *const all = &ws->tensors;
  const int tasks = all->count * WL_LINE_GROUPS;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && all->pieces > 1)
  for (int task = 0; task < tasks; task++) {
    const int j = task / WL_LINE_GROUPS, group = task % WL_LINE_GROUPS;
    const wl_tensor *const t = &all->tensor[j];
    const wl_feature_tensor *const own = &ws->tensor[j];
    if (!t->matrix) continue;
    const int64_t size = (own->lines + WL_LINE_GROUPS - 1) / WL_LINE_GROUPS, first = group * size;
    const int64_t count = own->lines - first < size ? own->lines - first : size;
    const int64_t rows = t->factored.rows, both = rows + t->factored.columns;
    wl_real *const sums = ws->partial + ws->partial_at[j] + group * both;
    memset(sums, 0, (size_t)both * sizeof *sums);
    if (count > 0) ws->kernel->squares(&ws->view[j], first, count, sums, sums + rows);
  }
}

/* new = b old + (1 - b) (mean square + 1e-30) of `count` rows or columns. */
static void follow(double decay, const wl_real *old, wl_real *new, int64_t count,
                   const wl_real *sums, int64_t stride, int64_t length) {
  for (int64_t i = 0; i < count; i++) {
    double sum = 0;
    for (int group = 0; group < WL_LINE_GROUPS; group++) sum += (double)sums[group * stride + i];
    new[i] = (wl_real)(decay * (double)old[i] + (1 - decay) * (sum / (double)length + 1e-30));
  }
}

static double safe_inverse_root(double x) { return 1 / sqrt(fmax(x, 1e-9)); }

/* Tables of a matrix's rows, from R in `r`. */
static void fill_rows(const wl_feature_tensor *t, int64_t rows, const wl_real *r, wl_real *inverse,
                      wl_real *factor) {
  for (int64_t group = 0; group < t->groups; group++) {
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
      if (t->row_group[i] == group) sum += (double)r[i];
    const double mean = sum / (double)t->second + 1e-9;
    for (int64_t i = 0; i < rows; i++)
      if (t->row_group[i] == group) factor[i] = (wl_real)safe_inverse_root((double)r[i] / mean);
  }
  for (int64_t i = 0; i < rows; i++) inverse[i] = (wl_real)(1 / sqrt((double)r[i] + 1e-8));
}

static void factor_matrix(wl_feature_ws *ws, int j, const wl_real *rows_in, wl_real *rows_out,
                          const wl_real *columns_in, wl_real *columns_out) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const wl_feature_tensor *const own = &ws->tensor[j];
  const int64_t rows = t->factored.rows, columns = t->factored.columns;
  const wl_real *const sums = wl_feature_squares(ws, j);
  wl_factor_tables *const table = &ws->view[j].table;
  for (int k = 0; k < WL_FACTORED; k++) {
    wl_real *const r = rows_out + k * ws->rows, *const c = columns_out + k * ws->columns;
    follow(ws->phi.factored[k], rows_in + k * ws->rows, r, rows, sums, rows + columns,
           own->largest);
    follow(ws->phi.factored[k], columns_in + k * ws->columns, c, columns, sums + rows,
           rows + columns, own->second);
    fill_rows(own, rows, r, (wl_real *)table->inverse_r[k], (wl_real *)table->g_factor[k]);
    wl_real *const inverse = (wl_real *)table->inverse_c[k], *const factor =
                                                                 (wl_real *)table->c_factor[k];
    for (int64_t i = 0; i < columns; i++) {
      inverse[i] = (wl_real)(1 / sqrt((double)c[i] + 1e-8));
      factor[i] = (wl_real)safe_inverse_root((double)c[i]);
    }
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
    wl_real *const inverse = (wl_real *)table->inverse_r[k],
                   *const g_factor = (wl_real *)table->g_factor[k],
                   *const m_factor = (wl_real *)table->m_factor[k];
    for (int64_t i = 0; i < t->size; i++) {
      const double g = clipped(f, (double)ws->view[j].g[i]);
      v[i] = (wl_real)(decay * (double)old[i] + (1 - decay) * (g * g + 1e-30));
      inverse[i] = (wl_real)(1 / sqrt((double)v[i] + 1e-8));
      g_factor[i] = (wl_real)safe_inverse_root((double)v[i] + 1e-9);
      m_factor[i] = (wl_real)(1 / sqrt((double)v[i] + 1e-6));
    }
    table->r[k] = v;
  }
}

/* ---- One step ------------------------------------------------------------------------------- */

/* The tables of tensor j follow those of tensor j - 1. */
static void set_tables(wl_feature_ws *ws, int j, int64_t *at) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  wl_factor_tables *const table = &ws->view[j].table;
  for (int k = 0; k < WL_FACTORED; k++) {
    wl_real *const rows = ws->table + *at, *const columns = rows + ROW_TABLES * t->factored.rows;
    table->inverse_r[k] = rows;
    table->g_factor[k] = rows + t->factored.rows;
    table->m_factor[k] = rows + 2 * t->factored.rows;
    table->inverse_c[k] = columns;
    table->c_factor[k] = columns + t->factored.columns;
    *at += ROW_TABLES * t->factored.rows + COLUMN_TABLES * t->factored.columns;
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
  take_squares(ws, threads);
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
  return ws->inverse + ws->inverse_at[j];
}

/* Mean square of `count` entries of a table. */
static double mean_square(const wl_real *table, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)table[i] * (double)table[i];
  return sum / (double)count;
}

/* Sums over the tensor of the squares of those features that are table entries. */
static void table_sums(const wl_feature_rule *f, const wl_feature_ws *ws, int j, double *sum) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const wl_factor_tables *const table = &ws->view[j].table;
  const int64_t rows = t->factored.rows, columns = t->factored.columns;
  double *const at = sum + (f->kind == WL_FEATURES_SMALL_FC ? 13 : 15);
  const double size = (double)t->size;
  for (int k = 0; k < WL_FACTORED; k++) {
    at[k] = size * mean_square(table->r[k], rows);
    at[2 * WL_FACTORED + k] = size * mean_square(table->inverse_r[k], rows);
    at[WL_FACTORED + k] = t->matrix ? size * mean_square(table->c[k], columns) : at[k];
    at[3 * WL_FACTORED + k] =
        t->matrix ? size * mean_square(table->inverse_c[k], columns) : at[2 * WL_FACTORED + k];
  }
}

static void normalise(const wl_feature_rule *f, wl_feature_ws *ws, int j) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const wl_feature_tensor *const own = &ws->tensor[j];
  const int64_t stride = own->taps * WL_MOST_FEATURES;
  const double *const sums = ws->piece_sum + own->sums;
  double *const inverse = ws->inverse + ws->inverse_at[j];
  wl_real *const scale = ws->tap_scale + ws->inverse_at[j];
  for (int64_t i = 0; i < stride; i++) {
    inverse[i] = 0;
    for (int64_t piece = 0; piece < t->pieces; piece++) inverse[i] += sums[piece * stride + i];
  }
  if (factors(f) && own->taps == 1) table_sums(f, ws, j, inverse);
  for (int64_t i = 0; i < stride; i++) {
    inverse[i] = 1 / sqrt(f->epsilon + inverse[i] * (double)own->taps / (double)t->size);
    scale[i] = (wl_real)inverse[i];
  }
  ws->view[j].tap_scale = scale;
}

void wl_feature_rule_advance(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const wl_feature_rule *f = rule->impl;
  wl_feature_ws *const ws = rule_ws->impl;
  const wl_tensors *const all = &ws->tensors;
  const int threads = rule_ws->threads;
  static const double tau[WL_TIMES] = {1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5};
  for (int i = 0; i < f->times; i++) ws->time[i] = tanh((double)step->t / tau[i] - 1);
  for (int j = 0; j < all->count; j++) set_view(f, ws, j, step);
  if (factors(f)) factor_all(f, ws, step, threads);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && all->pieces > 1)
  for (int64_t i = 0; i < all->pieces; i++) {
    const wl_piece *const p = &all->piece[i];
    const wl_tensor *const t = &all->tensor[p->tensor];
    const wl_feature_tensor *const own = &ws->tensor[p->tensor];
    const int64_t stride = own->taps * WL_MOST_FEATURES;
    double *const sums = ws->piece_sum + own->sums + (i - t->first_piece) * stride;
    memset(sums, 0, (size_t)stride * sizeof *sums);
    ws->kernel->moments(&ws->view[p->tensor], p->first - t->offset, p->count, sums);
  }
  for (int j = 0; j < all->count; j++) normalise(f, ws, j);
  wl_tensors_clear_padding(all->n, (int)rule->state_width, step->s_out);
}

/* ---- The net of a tensor -------------------------------------------------------------------- */

/* Packs unit `unit` of the first layer: its weights include the normalisers, its bias the time inputs. */
static double first_bias(const wl_feature_rule *f, const wl_feature_ws *ws, int unit) {
  const double *const weight = ws->phi.phi + f->weight[0];
  double bias = ws->phi.phi[f->bias[0] + unit];
  for (int i = 0; i < f->times; i++)
    bias += weight[(f->features + i) * f->width[0] + unit] * ws->time[i];
  return bias;
}

static double weight_of(const wl_feature_rule *f, const wl_feature_ws *ws, const double *inverse,
                        int layer, int input, int unit) {
  const double weight = ws->phi.phi[f->weight[layer] + input * wl_feature_units(f, layer) + unit];
  return layer == 0 && inverse ? weight * inverse[input] : weight;
}

/* Whether the contributions of table entries to the first layer are computed in advance. */
static bool folds(const wl_feature_rule *f, const wl_feature_tensor *t, const wl_tensor *tensor) {
  return factors(f) && tensor->matrix && t->taps == 1 && t->line % WL_LANES == 0;
}

static int first_table(const wl_feature_rule *f) {
  return f->kind == WL_FEATURES_SMALL_FC ? 13 : 15;
}

/* Feature that the net reads as input k. */
static int feature_of(const wl_feature_rule *f, bool folded, int k) {
  return folded && k >= first_table(f) ? k + 4 * WL_FACTORED : k;
}

/* part [units][count] = contribution of the tables of rows, or of columns, to each unit. */
static void fold_tables(const wl_feature_rule *f, const wl_feature_ws *ws, int j, bool rows,
                        wl_real *part) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const wl_factor_tables *const table = &ws->view[j].table;
  const double *const inverse = wl_feature_inverse(ws, j);
  const int64_t count = rows ? t->factored.rows : t->factored.columns;
  const int first = first_table(f) + (rows ? 0 : WL_FACTORED), second = first + 2 * WL_FACTORED;
  memset(part, 0, (size_t)(padded(f->width[0]) * count) * sizeof *part);
  for (int unit = 0; unit < f->width[0]; unit++)
    for (int k = 0; k < WL_FACTORED; k++) {
      const wl_real *const a = rows ? table->r[k] : table->c[k], *const b =
                                                                     rows ? table->inverse_r[k]
                                                                          : table->inverse_c[k];
      const wl_real by_a = (wl_real)weight_of(f, ws, inverse, 0, first + k, unit),
                    by_b = (wl_real)weight_of(f, ws, inverse, 0, second + k, unit);
      wl_real *const out = part + unit * count;
      for (int64_t i = 0; i < count; i++) out[i] += by_a * a[i] + by_b * b[i];
    }
}

/* One tile of `rows` units from `first` on; units and inputs of padding stay zero. */
static wl_real *pack_tile(const wl_feature_rule *f, const wl_feature_ws *ws, const double *inverse,
                          int layer, const int *shape, wl_real *out) {
  const int inputs = shape[0], first = shape[1], rows = shape[2];
  const int units = wl_feature_units(f, layer);
  const bool folded = layer == 0 && shape[3];
  const int real_inputs = layer == 0 ? inputs : f->width[layer - 1];
  for (int r = 0; r < rows; r++) {
    const int unit = first + r;
    const bool there = unit < units;
    out[r] = (wl_real)(!there       ? 0
                       : layer == 0 ? first_bias(f, ws, unit)
                                    : ws->phi.phi[f->bias[layer] + unit]);
    for (int k = 0; k < inputs; k++)
      out[(k + 1) * rows + r] =
          (wl_real)(there && k < real_inputs
                        ? weight_of(f, ws, inverse, layer, feature_of(f, folded, k), unit)
                        : 0);
  }
  return out + (inputs + 1) * rows;
}

static int outputs_read(const wl_feature_rule *f) { return f->kind == WL_FEATURES_CELO2 ? 1 : 2; }

/* Packs all units of a layer as tiles; returns the address of the next layer. */
static wl_real *pack_layer(const wl_feature_rule *f, const wl_feature_ws *ws, const double *inverse,
                           int layer, const int *shape, wl_real *out) {
  for (int first = 0; first < padded(f->width[layer]); first += WL_NET_ROWS)
    out = pack_tile(f, ws, inverse, layer, (int[]){shape[0], first, WL_NET_ROWS, shape[1]}, out);
  return out;
}

/* The layers above the first, which depend on phi alone. */
static void pack_upper(const wl_feature_rule *f, wl_feature_ws *ws) {
  wl_real *out = ws->upper;
  for (int l = 1; l < f->layers; l++)
    out = pack_layer(f, ws, NULL, l, (int[]){(int)padded(f->width[l - 1]), false}, out);
  const int inputs = (int)padded(f->width[f->layers - 1]);
  pack_tile(f, ws, NULL, f->layers, (int[]){inputs, 0, outputs_read(f), false}, out);
}

static void pack_net(const wl_feature_rule *f, wl_feature_ws *ws, int j) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const bool few = f->kind == WL_FEATURES_CELO2 && !t->matrix, folded = folds(f, &ws->tensor[j], t);
  const int64_t rows = t->factored.rows;
  wl_real *const parts = ws->part + ws->part_at[j],
                 *const weight = ws->packed + j * ws->packed_size,
                 *const columns = parts + padded(f->width[0]) * rows;
  wl_packed_net *const net = &ws->net[j];
  *net = (wl_packed_net){.inputs = few      ? WL_VECTOR_FEATURES
                                   : folded ? f->features - 4 * WL_FACTORED
                                            : f->features,
                         .row_part = folded ? parts : NULL,
                         .column_part = columns,
                         .rows = rows,
                         .columns = t->factored.columns,
                         .layers = f->layers,
                         .magnitude = outputs_read(f) == 2,
                         .scale = (wl_real)(f->kind == WL_FEATURES_CELO2 ? 1 : -f->step_scale),
                         .exponent = (wl_real)f->exponent_scale,
                         .weight = weight,
                         .upper = ws->upper};
  for (int l = 0; l < f->layers; l++) net->width[l] = (int)padded(f->width[l]);
  if (folded) fold_tables(f, ws, j, true, parts);
  if (folded) fold_tables(f, ws, j, false, columns);
  const double *const inverse = ws->tensor[j].taps > 1 ? NULL : wl_feature_inverse(ws, j);
  pack_layer(f, ws, inverse, 0, (int[]){net->inputs, folded}, weight);
}

void wl_feature_rule_pack(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_real *phi) {
  const wl_feature_rule *f = rule->impl;
  wl_feature_ws *ws = rule_ws->impl;
  for (int64_t i = 0; i < rule->phi.size; i++) ws->phi_copy[i] = (double)phi[i];
  const double *const shift = f->learned_decays ? ws->phi_copy : NULL;
  ws->phi.phi = ws->phi_copy;
  for (int j = 0; j < f->momenta; j++)
    ws->phi.m[j] = decay_of(f->m_decay[j], shift ? shift + f->m_at + j : NULL);
  ws->phi.v = decay_of(f->v_decay, shift ? shift + f->v_at : NULL);
  for (int j = 0; j < WL_FACTORED; j++)
    ws->phi.factored[j] = decay_of(f->factored_decay[j], shift ? shift + f->factored_at + j : NULL);
  pack_upper(f, ws);
}

/* ---- Celo2 ---------------------------------------------------------------------------------- */

/* u from the net's output in u, tap by tap: N(u) / RMS, decay. */
static void finish_matrix(const wl_feature_rule *f, const wl_feature_ws *ws, int j, double rate,
                          wl_real *scratch) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const int64_t taps = ws->tensor[j].taps;
  wl_real *const u = ws->view[j].u;
  const wl_real *const p = ws->view[j].p;
  if (f->newton_schulz && t->matrix) wl_orthogonal(t, false, u, scratch);
  if (taps == 1) {
    const double sum = ws->kernel->sum_squares(t->size, u);
    ws->kernel->rescale(t->size, -rate / sqrt(f->epsilon + sum / (double)t->size), u,
                        -rate * f->weight_decay, p);
    return;
  }
  for (int64_t tap = 0; tap < taps; tap++) {
    double sum = 0;
    for (int64_t i = tap; i < t->size; i += taps) sum += (double)u[i] * u[i];
    const wl_real along =
                      (wl_real)(-rate / sqrt(f->epsilon + sum * (double)taps / (double)t->size)),
                  decay = (wl_real)(-rate * f->weight_decay);
    for (int64_t i = tap; i < t->size; i += taps) u[i] = along * u[i] + decay * p[i];
  }
}

/* Adam on the moments m_0 (.9) and v (.95) of the state; epsilon is inside the root. */
static void finish_vector(const wl_feature_rule *f, const wl_feature_ws *ws, int j, int64_t t,
                          double rate) {
  const wl_feature_view *const v = &ws->view[j];
  const double q1 = 1 / (1 - pow(ws->phi.m[0], (double)(t + 1))),
               q2 = 1 / (1 - pow(ws->phi.v, (double)(t + 1)));
  for (int64_t i = 0; i < ws->tensors.tensor[j].size; i++) {
    const double x = q1 * (double)v->m_out[0][i] / sqrt(q2 * (double)v->v_out[i] + 1e-8);
    v->u[i] = (wl_real)(-rate * (x + f->weight_decay * (double)v->p[i]));
  }
}

static void finish_celo2(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const wl_feature_rule *f = rule->impl;
  wl_feature_ws *const ws = rule_ws->impl;
  const wl_schedule schedule = wl_schedule_over(&f->schedule, step->horizon);
  const double rate = wl_schedule_rate(&schedule, f->rate, step->t);
  const int threads = rule_ws->threads;
#pragma omp parallel for schedule(dynamic, 1) \
    num_threads(threads) if (threads > 1 && f->newton_schulz)
  for (int j = 0; j < ws->tensors.count; j++) {
    const bool matrix = ws->tensors.tensor[j].matrix;
    if (!matrix && f->adam_vectors) finish_vector(f, ws, j, step->t, rate * f->vector_rate);
    else finish_matrix(f, ws, j, rate, ws->scratch + wl_thread_index() * ws->scratch_size);
  }
}

void wl_feature_rule_step(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const wl_feature_rule *f = rule->impl;
  wl_feature_ws *const ws = rule_ws->impl;
  const wl_tensors *const all = &ws->tensors;
  const int threads = rule_ws->threads;
  wl_feature_rule_advance(rule, rule_ws, step);
  for (int j = 0; j < all->count; j++) pack_net(f, ws, j);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && all->pieces > 1)
  for (int64_t i = 0; i < all->pieces; i++) {
    const wl_piece *const p = &all->piece[i];
    const wl_tensor *const t = &all->tensor[p->tensor];
    if (f->adam_vectors && !t->matrix) continue;
    ws->kernel->forward(&ws->view[p->tensor], &ws->net[p->tensor], p->first - t->offset, p->count);
  }
  if (f->kind == WL_FEATURES_CELO2) finish_celo2(rule, rule_ws, step);
  wl_tensors_clear_padding(all->n, 1, step->u);
}
