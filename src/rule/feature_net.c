/* feature_net.c - computes one step of the rules that feature_net.h describes, and packs the
 * network's weights in the layout of the kernel. */
#include <math.h>
#include <string.h>

#include "rule/feature_net.h"

static double decay_of(double configured, const double *shift) {
  const double decay = 1 - (1 - configured) * (shift ? exp(10 * *shift) : 1);
  return fmax(0, fmin(1, decay));
}

/* ---- The network of a tensor ---------------------------------------------------------------- */

/* Computes bias [units], the biases of the first layer plus the contributions of the time inputs.
 * The time inputs are equal for all tensors. */
static void first_bias(const wl_feature_rule *f, const wl_feature_phi *phi, const double *time,
                       double *bias) {
  const int units = f->width[0];
  const double *const weight = phi->phi + f->weight[0] + f->features * units;
  memcpy(bias, phi->phi + f->bias[0], (size_t)units * sizeof *bias);
  for (int i = 0; i < f->times; i++)
    for (int u = 0; u < units; u++) bias[u] += weight[i * units + u] * time[i];
}

/* Returns true if the contributions of the table entries to the first layer are computed once for
 * each row and column instead of once for each coordinate. */
static bool folds(const wl_feature_rule *f, const wl_feature_tensor *t, const wl_tensor *tensor) {
  return wl_feature_factors(f) && tensor->matrix && t->taps == 1 && t->line % WL_LANES == 0;
}

static int first_table(const wl_feature_rule *f) {
  return f->kind == WL_FEATURES_SMALL_FC ? 13 : 15;
}

/* Returns the index of the feature that the network reads as input k. */
static int feature_of(const wl_feature_rule *f, bool folded, int k) {
  return folded && k >= first_table(f) ? k + 4 * WL_FACTORED : k;
}

/* Computes `part`, the contributions of the row tables or of the column tables to each unit of the
 * first layer. If `bias` is not NULL, the function uses the row tables and includes the bias. If
 * `bias` is NULL, the function uses the column tables. */
static void fold_tables(const wl_feature_rule *f, const wl_feature_ws *ws, int j,
                        const double *bias, wl_real *part) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const wl_factor_tables *const table = &ws->view[j].table;
  const double *const inverse = wl_feature_inverse(ws, j);
  const bool rows = bias != NULL;
  const int first = first_table(f) + (rows ? 0 : WL_FACTORED),
            units = wl_feature_padded(f->width[0]);
  wl_real by[2 * WL_FACTORED * WL_NET_MOST_WIDTH] = {0}, start[WL_NET_MOST_WIDTH] = {0};
  wl_combination c = {.units = units,
                      .by = by,
                      .bias = start,
                      .advances = rows ? ws->view[j].row_advances : ws->view[j].column_advances};
  for (int unit = 0; rows && unit < f->width[0]; unit++) start[unit] = (wl_real)bias[unit];
  for (int k = 0; k < 2 * WL_FACTORED; k++) {
    const int input = first + k + (k < WL_FACTORED ? 0 : WL_FACTORED), of = k % WL_FACTORED;
    const double *const weight = ws->phi.phi + f->weight[0] + input * f->width[0];
    for (int unit = 0; unit < f->width[0]; unit++)
      by[k * units + unit] = (wl_real)(weight[unit] * inverse[input]);
    c.from[k] = k < WL_FACTORED ? (rows ? table->r : table->c)[of]
                                : (rows ? table->inverse_r : table->inverse_c)[of];
  }
  ws->kernel->combine(&c, rows ? t->factored.rows : t->factored.columns, part);
}

/* The biases and weights from which the tiles of a layer are packed. */
typedef struct layer_source {
  const double *bias, *weight; /* bias: [units]; weight: [real_inputs][units] */
  /* [inputs] factor that multiplies the weights of each input; NULL: all factors are 1 */
  const double *scale;
  int units, inputs, real_inputs;
  /* not NULL: input k is the feature with the index feature_of(k); NULL: input k is feature k */
  const wl_feature_rule *folded;
} layer_source;

/* Packs one tile with `rows` units, from the unit `first` onwards. The weights of padding units and
 * of padding inputs are zero. Returns the address after the tile. */
static wl_real *pack_tile(const layer_source *s, int first, int rows, wl_real *out) {
  const int there = s->units - first < rows ? s->units - first : rows;
  memset(out, 0, (size_t)((s->inputs + 1) * rows) * sizeof *out);
  for (int r = 0; r < there; r++) out[r] = (wl_real)s->bias[first + r];
  for (int k = 0; k < s->real_inputs; k++) {
    const int input = s->folded ? feature_of(s->folded, true, k) : k;
    const double scale = s->scale ? s->scale[input] : 1;
    const double *const from = s->weight + input * s->units + first;
    wl_real *const to = out + (k + 1) * rows;
    for (int r = 0; r < there; r++) to[r] = (wl_real)(from[r] * scale);
  }
  return out + (s->inputs + 1) * rows;
}

static int outputs_read(const wl_feature_rule *f) { return f->kind == WL_FEATURES_CELO2 ? 1 : 2; }

/* Packs all tiles of a layer. Returns the address of the next layer. */
static wl_real *pack_layer(const layer_source *s, wl_real *out) {
  for (int first = 0; first < wl_feature_padded(s->units); first += WL_NET_ROWS)
    out = pack_tile(s, first, WL_NET_ROWS, out);
  return out;
}

/* Packs the first layer of a tensor. The first layer is packed again at each step, because the
 * normalisers change. */
static void pack_first(const wl_feature_kernel *kernel, const layer_source *s, wl_real *out) {
  const int tiles = s->units / WL_NET_ROWS, size = (s->inputs + 1) * WL_NET_ROWS;
  if (s->units % WL_NET_ROWS != 0) {
    pack_layer(s, out);
    return;
  }
  kernel->pack(tiles, size, s->bias, 1, out);
  for (int k = 0; k < s->inputs; k++) {
    const int input = s->folded ? feature_of(s->folded, true, k) : k;
    kernel->pack(tiles, size, s->weight + input * s->units, s->scale ? s->scale[input] : 1,
                 out + (k + 1) * WL_NET_ROWS);
  }
}

/* Packs the layers after the first layer. The packed weights of these layers depend only on phi. */
static void pack_upper(const wl_feature_rule *f, wl_feature_ws *ws) {
  wl_real *out = ws->upper;
  for (int l = 1; l <= f->layers; l++) {
    const layer_source source = {.bias = ws->phi.phi + f->bias[l],
                                 .weight = ws->phi.phi + f->weight[l],
                                 .units = wl_feature_units(f, l),
                                 .inputs = wl_feature_padded(f->width[l - 1]),
                                 .real_inputs = f->width[l - 1]};
    out = l < f->layers ? pack_layer(&source, out) : pack_tile(&source, 0, outputs_read(f), out);
  }
}

static void pack_net(const wl_feature_rule *f, wl_feature_ws *ws, int j, const double *bias) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const bool few = f->kind == WL_FEATURES_CELO2 && !t->matrix, folded = folds(f, &ws->tensor[j], t);
  wl_real *const parts = ws->part + ws->tensor[j].part,
                 *const weight = ws->packed + j * ws->packed_size,
                 *const columns = parts + wl_feature_padded(f->width[0]) * t->factored.rows;
  wl_packed_net *const net = &ws->net[j];
  *net = (wl_packed_net){.inputs = few      ? WL_VECTOR_FEATURES
                                   : folded ? f->features - 4 * WL_FACTORED
                                            : f->features,
                         .row_part = folded ? parts : NULL,
                         .column_part = columns,
                         .layers = f->layers,
                         .magnitude = outputs_read(f) == 2,
                         .scale = (wl_real)(f->kind == WL_FEATURES_CELO2 ? 1 : -f->step_scale),
                         .exponent = (wl_real)f->exponent_scale,
                         .weight = weight,
                         .upper = ws->upper};
  for (int l = 0; l < f->layers; l++) net->width[l] = wl_feature_padded(f->width[l]);
  if (folded) fold_tables(f, ws, j, bias, parts);
  if (folded) fold_tables(f, ws, j, NULL, columns);
  pack_first(ws->kernel,
             &(layer_source){.bias = bias,
                             .weight = ws->phi.phi + f->weight[0],
                             .scale = ws->tensor[j].taps > 1 ? NULL : wl_feature_inverse(ws, j),
                             .units = f->width[0],
                             .inputs = net->inputs,
                             .real_inputs = net->inputs,
                             .folded = folded ? f : NULL},
             weight);
}

void wl_feature_rule_pack(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_real *phi) {
  const wl_feature_rule *f = rule->impl;
  wl_feature_ws *ws = rule_ws->impl;
  for (int64_t i = 0; i < rule->phi.size; i++) ws->phi_copy[i] = (double)phi[i];
  const double *const shift = f->learned_decays ? ws->phi_copy : NULL;
  ws->phi.phi = ws->phi_copy;
  for (int j = 0; j < f->momenta; j++)
    ws->phi.m[j] = decay_of(f->m_decay[j], shift ? shift + f->decay_at.m + j : NULL);
  ws->phi.v = decay_of(f->v_decay, shift ? shift + f->decay_at.v : NULL);
  for (int j = 0; j < WL_FACTORED; j++)
    ws->phi.factored[j] =
        decay_of(f->factored_decay[j], shift ? shift + f->decay_at.factored + j : NULL);
  pack_upper(f, ws);
}

/* The arguments of run_piece, which computes the network for one piece of a tensor. */
typedef struct net_work {
  const wl_feature_rule *rule;
  const wl_feature_ws *ws;
} net_work;

static void run_piece(void *data, int64_t i) {
  const net_work *const work = data;
  const wl_feature_ws *const ws = work->ws;
  const wl_piece *const p = &ws->tensors.piece[i];
  const wl_tensor *const t = &ws->tensors.tensor[p->tensor];
  if (work->rule->adam_vectors && !t->matrix) return;
  ws->kernel->forward(&ws->view[p->tensor], &ws->net[p->tensor], p->first - t->offset, p->count);
}

void wl_feature_rule_step(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_inner_step *step) {
  const wl_feature_rule *f = rule->impl;
  wl_feature_ws *const ws = rule_ws->impl;
  const wl_tensors *const all = &ws->tensors;
  wl_feature_rule_advance(rule, rule_ws, step);
  double bias[WL_NET_MOST_WIDTH];
  first_bias(f, &ws->phi, ws->time, bias);
  for (int j = 0; j < all->count; j++) pack_net(f, ws, j, bias);
  wl_share_out(all->pieces > 1 ? rule_ws->threads : 1, all->pieces, run_piece, &(net_work){f, ws});
  if (f->finish) f->finish(rule, rule_ws, step);
  wl_tensors_clear_padding(all->n, 1, step->u);
}
