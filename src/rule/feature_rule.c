/* feature_rule.c - creates the rules that feature_net.h describes, and their workspaces.
 *
 * The file feature_moments.c computes moments, tables and normalisers. The file feature_net.c
 * computes the network and one step. The file feature_adjoint.c computes the adjoint. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rule/feature_net.h"
#include "rule/newton_schulz.h"

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
  WL_TRY(wl_layout_add(phi, "rule", "momentum_decays", 1, &momenta, &f->decay_at.m));
  WL_TRY(wl_layout_add(phi, "rule", "rms_decay", 1, &one, &f->decay_at.v));
  return wl_layout_add(phi, "rule", "adafactor_decays", 1, &factored, &f->decay_at.factored);
}

/* Returns the estimated number of floating-point operations of a coordinate-step, including the
 * backward pass. */
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
    return wl_map_fail(
        options, "hidden",
        "the list has %d numbers; give the number of units of each layer, for 1 to %d layers",
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
  rule->fields = wl_feature_factors(f) ? factored_fields : mlp_fields;
  rule->n_fields = wl_feature_factors(f) ? FACTORED_FIELDS : WL_MOST_MOMENTA;
  rule->state_width = wl_feature_factors(f) ? f->momenta + 1 : f->momenta;
  rule->reads_theta = true;
  rule->cost = cost_of(f);
  if (f->newton_schulz) rule->forward_only = "its Newton-Schulz steps are not differentiated";
  WL_TRY(add_layers(f, &rule->phi));
  return f->learned_decays ? add_decays(f, &rule->phi) : WL_OK;
}

/* Draws the weights of each layer from a truncated normal distribution with the standard deviation
 * 1 / sqrt(inputs). All other meta-parameters start at zero. */
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

/* ---- Workspace ------------------------------------------------------------------------------ */

/* Returns the index that an element has if the axes in the bit set `dropped` are removed from the
 * tensor. */
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

/* Sets the indices of the lines and rows of a matrix. Returns the address of the next tensor's
 * indices. */
static int32_t *index_matrix(const wl_tensor_entry *b, const wl_factored *factored,
                             wl_feature_tensor *t, int32_t *at) {
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

/* Returns the number of wl_real elements in the packed first layer of a tensor. */
static int64_t packed_size(const wl_feature_rule *f) {
  return wl_pad((f->features + 1) * wl_feature_padded(f->width[0]));
}

/* Returns the number of wl_real elements in the packed layers after the first layer. All tensors
 * use the same copy of these layers. */
static int64_t upper_size(const wl_feature_rule *f) {
  int64_t size = 0;
  for (int l = 1; l < f->layers; l++)
    size += (wl_feature_padded(f->width[l - 1]) + 1) * wl_feature_padded(f->width[l]);
  return wl_pad(size + 2 * (wl_feature_padded(f->width[f->layers - 1]) + 1));
}

/* The lengths of the arrays in a workspace. The allocation and the memory estimate use these
 * lengths. */
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
    n.part += wl_feature_padded(f->width[0]) * factored;
    if (wl_feature_factors(f) && t->matrix) n.partial += WL_LINE_GROUPS * factored;
    if (wl_feature_factors(f))
      n.table +=
          WL_FACTORED * (WL_ROW_TABLES * t->factored.rows + WL_COLUMN_TABLES * t->factored.columns);
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
         (size_t)theta->count *
             (sizeof(wl_feature_tensor) + sizeof(wl_feature_view) + sizeof(wl_packed_net)) +
         (size_t)reals * sizeof(wl_real) + (size_t)doubles * sizeof(double);
}

void wl_feature_rule_ws_destroy(void *impl) {
  wl_feature_ws *ws = impl;
  if (!ws) return;
  wl_tensors_clear(&ws->tensors);
  const wl_feature_adjoint *a = &ws->adjoint;
  void *const owned[] = {ws->tensor,  ws->index,     ws->view,    ws->net,       ws->packed,
                         ws->upper,   ws->phi_copy,  ws->part,    ws->partial,   ws->table,
                         ws->inverse, ws->piece_sum, ws->scratch, ws->tap_scale, a->states,
                         a->mu,       a->features,   a->dots,     a->bars};
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
    *t = (wl_feature_tensor){.line = tensor->size,
                             .lines = 1,
                             .row_advances = true,
                             .taps = taps_of(f, tensor),
                             .sums = sums,
                             .partial = partial,
                             .inverse = inverse,
                             .part = part};
    part += wl_feature_padded(f->width[0]) * factored;
    if (wl_feature_factors(f) && tensor->matrix) partial += WL_LINE_GROUPS * factored;
    inverse += t->taps * WL_MOST_FEATURES;
    sums += tensor->pieces * t->taps * WL_MOST_FEATURES;
    ws->rows += tensor->factored.rows;
    ws->columns += tensor->factored.columns;
    if (tensor->matrix) at = index_matrix(&theta->tensors[j], &tensor->factored, t, at);
  }
}

static wl_status allocate_adjoint(const lengths *n, wl_feature_adjoint *a) {
  WL_TRY(WL_NEW(a->states, (WL_CHUNK_STEPS + 1) * n->state + 1));
  WL_TRY(WL_NEW(a->mu, n->state + 1));
  WL_TRY(WL_NEW(a->features, n->largest * (WL_MOST_FEATURES + 1) + 1));
  WL_TRY(WL_NEW(a->dots, n->inverse + 1));
  return WL_NEW(a->bars, n->table + 1);
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
  return has_adjoint(rule, adjoint) ? allocate_adjoint(&n, &ws->adjoint) : WL_OK;
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
