/* feature_net.c - the net of the rules of feature_net.h, and one step: packs the weights of each tensor's net for the
 * kernel. */
#include <math.h>
#include <string.h>

#include "rule/feature_net.h"

static double decay_of(double configured, const double *shift) {
  const double decay = 1 - (1 - configured) * (shift ? exp(10 * *shift) : 1);
  return fmax(0, fmin(1, decay));
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
  return wl_feature_factors(f) && tensor->matrix && t->taps == 1 && t->line % WL_LANES == 0;
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
  memset(part, 0, (size_t)(wl_feature_padded(f->width[0]) * count) * sizeof *part);
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
  for (int first = 0; first < wl_feature_padded(f->width[layer]); first += WL_NET_ROWS)
    out = pack_tile(f, ws, inverse, layer, (int[]){shape[0], first, WL_NET_ROWS, shape[1]}, out);
  return out;
}

/* The layers above the first, which depend on phi alone. */
static void pack_upper(const wl_feature_rule *f, wl_feature_ws *ws) {
  wl_real *out = ws->upper;
  for (int l = 1; l < f->layers; l++)
    out = pack_layer(f, ws, NULL, l, (int[]){wl_feature_padded(f->width[l - 1]), false}, out);
  const int inputs = wl_feature_padded(f->width[f->layers - 1]);
  pack_tile(f, ws, NULL, f->layers, (int[]){inputs, 0, outputs_read(f), false}, out);
}

static void pack_net(const wl_feature_rule *f, wl_feature_ws *ws, int j) {
  const wl_tensor *const t = &ws->tensors.tensor[j];
  const bool few = f->kind == WL_FEATURES_CELO2 && !t->matrix, folded = folds(f, &ws->tensor[j], t);
  const int64_t rows = t->factored.rows;
  wl_real *const parts = ws->part + ws->part_at[j],
                 *const weight = ws->packed + j * ws->packed_size,
                 *const columns = parts + wl_feature_padded(f->width[0]) * rows;
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
  for (int l = 0; l < f->layers; l++) net->width[l] = wl_feature_padded(f->width[l]);
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
  if (f->finish) f->finish(rule, rule_ws, step);
  wl_tensors_clear_padding(all->n, 1, step->u);
}
