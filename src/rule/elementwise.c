/* elementwise.c - implements what all hand-designed coordinatewise rules share: their options,
 * their learned scalars, their steps and their adjoints.
 *
 * A scalar x is, for example, the rate or the momentum. The value of a scalar may depend on the
 * step t. The coordinates of theta are divided into slots, and the value of a scalar may also
 * depend on the slot. The key `learn_per` chooses how many numbers a learned scalar has:
 *   run           There is one number and one slot.
 *   tensor        Each tensor of theta is a slot and has one number.
 *   step          Each step t < T has one number, and there is one slot.
 *   step_tensor   Each combination of a step t < T and a slot has one number, in phi (T, slots).
 *
 * Steps t >= T use the numbers of step T - 1. The tensor "rule.<key>" of phi contains x
 * (WL_SCALAR_FREE) or the logit of x (WL_SCALAR_UNIT). The functions `step` and `vjp` of a rule
 * receive these coefficients:
 *   value = x_t,   complement = 1 - x_t,   correction q_t = 1 / (1 - P_t),   P_t = x_0 ... x_t
 *
 * The rate is multiplied by the factor of the schedule. With x = sigmoid(phi), the derivatives are
 * dx/dphi = x (1 - x) and dq_t/dphi_i = q_t^2 P_t (1 - x_i) for i <= t.
 *
 * For each block, the backward pass of a chunk first computes the states s_{t0+1} to s_{t0+K}
 * again, with the function `step`. The backward pass then calls `vjp` for the steps in reverse
 * order. Adjoints of scalars are summed in double precision, first over lanes and then over blocks.
 * The result does not depend on the number of threads. */
#include "rule/elementwise.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct elementwise {
  const wl_elementwise *definition;
  wl_elementwise_keys keys;
  bool by_step;
  int64_t rows;   /* number of steps for which a scalar has a separate value: T or 1 */
  int64_t slots;  /* number of slots: the number of tensors, or 1 */
  int64_t count;  /* number of values of each learned scalar, which is rows times slots */
  int32_t *slot;  /* [pad(n)] slot of each coordinate; NULL: there is one slot */
  int64_t blocks; /* number of blocks whose coordinates have an entry in `slot` */
  bool learned[WL_ELEMENTWISE_MAX_SCALARS];
  int64_t offset[WL_ELEMENTWISE_MAX_SCALARS]; /* offset in phi of each learned scalar */
} elementwise;

typedef struct point {
  double value, complement, power, correction;
} point;
typedef struct point_bar {
  double value, correction;
} point_bar;

typedef struct workspace {
  /* [scalars][count] numbers that are computed from phi; `power` is used only if scalars are
   * learned for each step */
  double *value, *complement, *power;
  wl_schedule schedule;  /* schedule of the current episode */
  point *points;         /* [WL_CHUNK_STEPS][slots][scalars] coefficients of each step */
  point_bar *bars;       /* [WL_CHUNK_STEPS][slots][scalars] adjoints of the coefficients */
  wl_coefficient *lanes; /* [WL_CHUNK_STEPS][scalars] coefficients of the current block */
} workspace;

/* ---- creation ---- */

/* Returns the index of the learnable scalar with this key. If there is no such scalar, the function
 * returns -1. */
static int learnable(const wl_elementwise *definition, const char *key) {
  for (int i = 0; i < definition->scalars; i++)
    if (definition->scalar[i].range != WL_SCALAR_CONSTANT &&
        strcmp(definition->scalar[i].key, key) == 0)
      return i;
  return -1;
}

static wl_status fail_learn(const elementwise *e, const wl_map *options, const char *key,
                            const char *rule) {
  char known[256] = "";
  for (int i = 0; i < e->definition->scalars; i++) {
    if (e->definition->scalar[i].range == WL_SCALAR_CONSTANT) continue;
    const size_t used = strlen(known);
    snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
             e->definition->scalar[i].key);
  }
  return wl_map_fail(
      options, "learn",
      "the list contains '%s', but the rule %s has no such learnable scalar; its learnable scalars "
      "are %s",
      key, rule, known);
}

static wl_status read_learn(elementwise *e, const wl_map *options, const char *rule) {
  for (int k = 0; k < e->keys.learn.count; k++) {
    const char *const key = e->keys.learn.at[k];
    const int i = learnable(e->definition, key);
    if (i < 0) return fail_learn(e, options, key, rule);
    if (e->definition->scalar[i].range == WL_SCALAR_UNIT && !(e->keys.scalar[i] > 0))
      return wl_map_fail(
          options, key,
          "the start value of a learned %s must be above 0 and below 1, for example 0.5", key);
    e->learned[i] = true;
  }
  return WL_OK;
}

/* Makes each tensor of theta a slot, and stores the index of the slot for each coordinate. */
static wl_status make_slots(elementwise *e, const wl_map *options, const wl_rule_setting *setting) {
  const wl_layout *theta = setting->theta;
  if (setting->mixture || theta == NULL || theta->count == 0)
    return wl_map_fail(options, "learn_per",
                       "the value '%s' needs a training on a single task; choose run or step",
                       e->by_step ? "step_tensor" : "tensor");
  e->slots = theta->count;
  e->blocks = wl_blocks(theta->size);
  WL_TRY(WL_NEW(e->slot, wl_pad(theta->size)));
  for (int j = 0; j < theta->count; j++)
    for (int64_t i = 0; i < theta->tensors[j].size; i++) e->slot[theta->tensors[j].offset + i] = j;
  for (int64_t i = theta->size; i < wl_pad(theta->size); i++) e->slot[i] = theta->count - 1;
  return WL_OK;
}

static wl_status read_learn_per(elementwise *e, const wl_map *options,
                                const wl_rule_setting *setting) {
  bool any = false;
  for (int i = 0; i < e->definition->scalars; i++) any = any || e->learned[i];
  e->rows = e->slots = 1;
  e->by_step = any && e->keys.learn_per >= WL_PER_STEP;
  if (e->by_step) e->rows = setting->episode_steps;
  if (any && (e->keys.learn_per == WL_PER_TENSOR || e->keys.learn_per == WL_PER_STEP_TENSOR))
    WL_TRY(make_slots(e, options, setting));
  e->count = e->rows * e->slots;
  return WL_OK;
}

static wl_status add_blocks(elementwise *e, wl_layout *phi) {
  for (int i = 0; i < e->definition->scalars; i++) {
    if (!e->learned[i]) continue;
    char name[WL_NAME_SIZE];
    snprintf(name, sizeof name, "rule.%s", e->definition->scalar[i].key);
    const int64_t table[2] = {e->rows, e->slots};
    const bool both = e->by_step && e->slot != NULL;
    WL_TRY(wl_layout_add(phi, "rule", name, both ? 2 : 1, both ? table : &e->count, &e->offset[i]));
  }
  return WL_OK;
}

wl_status wl_elementwise_create(const wl_elementwise *definition, const wl_map *options,
                                const wl_rule_setting *setting, wl_rule *rule) {
  WL_CHECK(definition->scalars <= WL_ELEMENTWISE_MAX_SCALARS);
  WL_CHECK(definition->state_width <= WL_ELEMENTWISE_MAX_WIDTH);
  WL_CHECK(setting->episode_steps >= 1);
  elementwise *e = NULL;
  WL_TRY(WL_NEW(e, 1));
  rule->impl = e; /* if a later call fails, wl_elementwise_destroy frees `e` */
  e->definition = definition;
  rule->state_width = definition->state_width;
  rule->reads_theta = definition->reads_theta;
  rule->cost = definition->cost;
  wl_map_read(options, rule->ops->options, &e->keys);
  WL_TRY(wl_schedule_complete(&e->keys.schedule, options, setting->episode_steps));
  WL_TRY(read_learn(e, options, rule->ops->name));
  WL_TRY(read_learn_per(e, options, setting));
  return add_blocks(e, &rule->phi);
}

void wl_elementwise_destroy(wl_rule *rule) {
  elementwise *e = rule->impl;
  if (e == NULL) return;
  wl_free(e->slot);
  wl_free(e);
  rule->impl = NULL;
}

/* Sets every number of a learned scalar to the configured value. The function draws no random
 * numbers. */
void wl_elementwise_init(const wl_rule *rule, uint64_t seed, wl_real *phi) {
  (void)seed;
  const elementwise *e = rule->impl;
  for (int i = 0; i < e->definition->scalars; i++) {
    if (!e->learned[i]) continue;
    const double x = e->keys.scalar[i];
    const bool unit = e->definition->scalar[i].range == WL_SCALAR_UNIT;
    for (int64_t j = 0; j < e->count; j++)
      phi[e->offset[i] + j] = (wl_real)(unit ? log(x / (1 - x)) : x);
  }
}

/* ---- workspace ---- */

static int64_t point_count(const elementwise *e) {
  return WL_CHUNK_STEPS * e->slots * e->definition->scalars;
}

size_t wl_elementwise_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                               int threads) {
  (void)theta, (void)adjoint, (void)threads;
  const elementwise *e = rule->impl;
  const size_t scalars = (size_t)e->definition->scalars;
  return sizeof(workspace) + 3 * scalars * (size_t)e->count * sizeof(double) +
         (size_t)point_count(e) * (sizeof(point) + sizeof(point_bar)) +
         WL_CHUNK_STEPS * scalars * sizeof(wl_coefficient);
}

/* Computes the values of scalar i from phi. If phi is NULL or the scalar is not learned, the
 * function uses the configured value. */
static void decode(const elementwise *e, workspace *w, int i, const wl_real *phi) {
  const bool unit = e->definition->scalar[i].range == WL_SCALAR_UNIT;
  double *value = w->value + i * e->count, *complement = w->complement + i * e->count;
  double *power = w->power + i * e->count;
  const bool from_phi = phi != NULL && e->learned[i];
  for (int64_t j = 0; j < e->count; j++) {
    const double x = from_phi ? (double)phi[e->offset[i] + j] : 0;
    value[j] = !from_phi ? e->keys.scalar[i] : unit ? 1 / (1 + exp(-x)) : x;
    complement[j] = !unit ? 0 : from_phi ? 1 / (1 + exp(x)) : 1 - value[j];
    power[j] = j < e->slots ? value[j] : power[j - e->slots] * value[j];
  }
}

void wl_elementwise_pack(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi) {
  const elementwise *e = rule->impl;
  for (int i = 0; i < e->definition->scalars; i++) decode(e, ws->impl, i, phi);
}

static wl_status allocate(const elementwise *e, workspace *w) {
  const int64_t numbers = e->definition->scalars * e->count;
  WL_TRY(WL_NEW(w->value, numbers));
  WL_TRY(WL_NEW(w->complement, numbers));
  WL_TRY(WL_NEW(w->power, numbers));
  WL_TRY(WL_NEW(w->points, point_count(e)));
  WL_TRY(WL_NEW(w->bars, point_count(e)));
  return WL_NEW(w->lanes, WL_CHUNK_STEPS * e->definition->scalars);
}

/* If no scalar is learned, the values do not depend on phi, so the caller need not call `pack`
 * after this function. */
wl_status wl_elementwise_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                   int threads, void **out) {
  (void)adjoint, (void)threads;
  const elementwise *e = rule->impl;
  WL_CHECK(e->slot == NULL || wl_blocks(theta->size) <= e->blocks);
  workspace *w = NULL;
  WL_TRY(WL_NEW(w, 1));
  const wl_status status = allocate(e, w);
  if (status != WL_OK) {
    wl_elementwise_ws_destroy(w);
    return status;
  }
  for (int i = 0; i < e->definition->scalars; i++) decode(e, w, i, NULL);
  *out = w;
  return WL_OK;
}

void wl_elementwise_ws_destroy(void *impl) {
  workspace *w = impl;
  if (w == NULL) return;
  wl_free(w->value);
  wl_free(w->complement);
  wl_free(w->power);
  wl_free(w->points);
  wl_free(w->bars);
  wl_free(w->lanes);
  wl_free(w);
}

/* ---- coefficients ---- */

/* Returns the index of the number that a scalar has for step t and a slot. */
static int64_t number_at(const elementwise *e, int64_t t, int64_t slot) {
  return (t < e->rows ? t : e->rows - 1) * e->slots + slot;
}

/* Returns the product P_t = x_0 x_1 ... x_t of scalar i. */
static double power_at(const elementwise *e, const workspace *w, int i, int64_t t, int64_t slot) {
  const double *value = w->value + i * e->count;
  const double *power = w->power + i * e->count;
  const int64_t number = number_at(e, t, slot), beyond = t - (e->rows - 1);
  if (!e->by_step) return pow(value[slot], (double)(t + 1));
  return beyond <= 0 ? power[number] : power[number] * pow(value[number], (double)beyond);
}

static point point_at(const elementwise *e, const workspace *w, int i, int64_t t, int64_t slot) {
  const int64_t j = i * e->count + number_at(e, t, slot);
  point p = {.value = w->value[j], .complement = w->complement[j]};
  if (i == 0) p.value *= wl_schedule_rate(&w->schedule, 1.0, t);
  if (e->definition->scalar[i].range == WL_SCALAR_UNIT) {
    p.power = power_at(e, w, i, t, slot);
    p.correction = 1 / (1 - p.power);
  }
  return p;
}

static void tabulate(const elementwise *e, workspace *w, int64_t t0, int64_t steps,
                     int64_t horizon) {
  point *p = w->points;
  w->schedule = wl_schedule_over(&e->keys.schedule, horizon);
  for (int64_t k = 0; k < steps; k++)
    for (int64_t slot = 0; slot < e->slots; slot++)
      for (int i = 0; i < e->definition->scalars; i++) *p++ = point_at(e, w, i, t0 + k, slot);
}

static int64_t slot_of(const elementwise *e, int64_t coordinate) {
  return e->slot != NULL ? e->slot[coordinate] : 0;
}

/* Copies the coefficients of a block's coordinates to w->lanes, for `steps` steps. If all lanes
 * belong to one slot, the function sets `loaded` to this slot. If `loaded` is already the number of
 * this slot, the function does not copy the coefficients again. If the lanes belong to several
 * slots, the function sets `loaded` to -1. */
static void load_lanes(const elementwise *e, workspace *w, int64_t block, int64_t steps,
                       int64_t *loaded) {
  const int64_t first = slot_of(e, block * WL_LANES),
                last = slot_of(e, block * WL_LANES + WL_LANES - 1);
  if (first == last && first == *loaded) return;
  const int scalars = e->definition->scalars;
  for (int64_t k = 0; k < steps; k++) {
    for (int l = 0; l < WL_LANES; l++) {
      const point *p = w->points + (k * e->slots + slot_of(e, block * WL_LANES + l)) * scalars;
      for (int i = 0; i < scalars; i++) {
        wl_coefficient *c = w->lanes + k * scalars + i;
        c->value[l] = (wl_real)p[i].value;
        c->complement[l] = (wl_real)p[i].complement;
        c->correction[l] = (wl_real)p[i].correction;
      }
    }
  }
  *loaded = first == last ? first : -1;
}

/* ---- one step, and the adjoint of a chunk ---- */

void wl_elementwise_step(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step) {
  const elementwise *e = rule->impl;
  workspace *w = ws->impl;
  const int64_t size = e->definition->state_width * WL_LANES;
  _Alignas(WL_ALIGN) wl_real next[WL_ELEMENTWISE_MAX_WIDTH * WL_LANES];
  int64_t loaded = -1;
  tabulate(e, w, step->t, 1, step->horizon);
  for (int64_t b = 0; b < step->blocks; b++) {
    load_lanes(e, w, b, 1, &loaded);
    const int64_t at = b * WL_LANES;
    e->definition->step(w->lanes, step->g + at,
                        e->definition->reads_theta ? step->theta + at : NULL,
                        size ? step->s_in + b * size : NULL, next, step->u + at);
    if (size) memcpy(step->s_out + b * size, next, (size_t)size * sizeof *next);
  }
}

/* Computes the states s [steps+1][width][16] of one block before and after each step of a chunk. */
static void replay(const elementwise *e, const workspace *w, const wl_rule_chunk *chunk,
                   int64_t block, wl_real *s) {
  const int64_t size = e->definition->state_width * WL_LANES;
  _Alignas(WL_ALIGN) wl_real u[WL_LANES];
  memcpy(s, chunk->state + block * size, (size_t)size * sizeof *s);
  for (int64_t k = 0; k < chunk->steps; k++) {
    const int64_t at = (k * chunk->blocks + block) * WL_LANES;
    e->definition->step(w->lanes + k * e->definition->scalars, chunk->g + at,
                        e->definition->reads_theta ? chunk->theta + at : NULL, s + k * size,
                        s + (k + 1) * size, u);
  }
}

/* Adds the contributions of one block to the adjoints of the learned scalars at step k. The
 * contributions of the lanes are added in ascending order of the lanes. */
static void gather(const elementwise *e, workspace *w, int64_t k, int64_t block,
                   const wl_coefficient_bar *bar) {
  const int scalars = e->definition->scalars;
  for (int i = 0; i < scalars; i++) {
    if (!e->learned[i]) continue;
    for (int l = 0; l < WL_LANES; l++) {
      point_bar *sum = w->bars + (k * e->slots + slot_of(e, block * WL_LANES + l)) * scalars + i;
      sum->value += (double)bar[i].value[l];
      sum->correction += (double)bar[i].correction[l];
    }
  }
}

/* Adds loss_weight[k] times the gradient of the outer loss at theta_k to the adjoint of theta. If
 * the weight is zero, the function does not read the gradient, and the pointer to the gradient may
 * be NULL. */
static void add_loss_gradient(const wl_rule_chunk *chunk, int64_t k, int64_t at, wl_real *lam) {
  if (chunk->loss_grad == NULL || chunk->loss_weight[k] == 0) return;
  const wl_real weight = (wl_real)chunk->loss_weight[k];
  const wl_real *grad = chunk->loss_grad + at;
  for (int l = 0; l < WL_LANES; l++) lam[l] += weight * grad[l];
}

static void block_backward(const elementwise *e, workspace *w, const wl_rule_chunk *chunk,
                           int64_t block, bool learns) {
  const wl_elementwise *rule = e->definition;
  const int64_t size = rule->state_width * WL_LANES;
  _Alignas(WL_ALIGN) wl_real s[(WL_CHUNK_STEPS + 1) * WL_ELEMENTWISE_MAX_WIDTH * WL_LANES];
  _Alignas(WL_ALIGN) wl_real unwanted[WL_LANES], unkept[WL_ELEMENTWISE_MAX_WIDTH * WL_LANES];
  _Alignas(WL_ALIGN) wl_real thetabar[WL_LANES] = {0};
  /* the array is set to zero below, because vjp does not set all entries */
  wl_coefficient_bar bar[WL_ELEMENTWISE_MAX_SCALARS];
  wl_real *lam = chunk->lam + block * WL_LANES;
  wl_real *mu = chunk->mu ? chunk->mu + block * size : unkept;
  if (!chunk->mu) memset(unkept, 0, (size_t)size * sizeof *unkept);
  if (size) replay(e, w, chunk, block, s);
  if (learns) memset(bar, 0, (size_t)rule->scalars * sizeof *bar);
  for (int64_t k = chunk->steps - 1; k >= 0; k--) {
    const int64_t at = (k * chunk->blocks + block) * WL_LANES;
    rule->vjp(w->lanes + k * rule->scalars, chunk->g + at,
              rule->reads_theta ? chunk->theta + at : NULL, s + k * size, s + (k + 1) * size, lam,
              mu, chunk->gbar ? chunk->gbar + at : unwanted, thetabar, bar);
    if (learns) gather(e, w, k, block, bar);
    for (int l = 0; rule->reads_theta && l < WL_LANES; l++) lam[l] += thetabar[l];
    add_loss_gradient(chunk, k, at, lam);
  }
}

/* Returns the derivative of a scalar's value with respect to its number in phi. The product P_t
 * also depends on the number in phi, but the function omits this dependence. */
static double direct_slope(const elementwise *e, const workspace *w, int i, int64_t t,
                           int64_t number) {
  const int64_t at = i * e->count + number;
  if (e->definition->scalar[i].range == WL_SCALAR_UNIT) return w->value[at] * w->complement[at];
  return i == 0 ? wl_schedule_rate(&w->schedule, 1.0, t) : 1;
}

/* For a scalar that has one learned value, or one learned value for each tensor: adds the
 * contributions of x_t and q_t to the adjoint of phi. */
static void fold_constant(const elementwise *e, const workspace *w, const wl_rule_chunk *chunk,
                          int i, double *phi_grad) {
  const bool unit = e->definition->scalar[i].range == WL_SCALAR_UNIT;
  for (int64_t slot = 0; slot < e->slots; slot++) {
    const double complement = w->complement[i * e->count + slot];
    double sum = 0;
    for (int64_t k = 0; k < chunk->steps; k++) {
      const int64_t t = chunk->t0 + k, at = (k * e->slots + slot) * e->definition->scalars + i;
      const point *p = w->points + at;
      const point_bar *bar = w->bars + at;
      sum += direct_slope(e, w, i, t, slot) * bar->value;
      if (unit)
        sum += bar->correction * p->correction * p->correction * p->power * (double)(t + 1) *
               complement;
    }
    phi_grad[e->offset[i] + slot] += sum;
  }
}

/* For one slot of a scalar that has a learned value for each step: adds the contributions of x_t
 * and q_t to the adjoint of phi. The correction q_t depends on the learned numbers of all steps up
 * to t. */
static void fold_steps(const elementwise *e, const workspace *w, const wl_rule_chunk *chunk, int i,
                       int64_t slot, double *phi_grad) {
  const bool unit = e->definition->scalar[i].range == WL_SCALAR_UNIT;
  /* sum of qbar_t q_t^2 P_t over the steps from t onwards, where qbar_t is the adjoint of q_t */
  double tail = 0;
  for (int64_t t = chunk->t0 + chunk->steps - 1; t >= (unit ? 0 : chunk->t0); t--) {
    const int64_t j = number_at(e, t, slot), k = t - chunk->t0;
    double sum = 0;
    if (k >= 0) {
      const int64_t at = (k * e->slots + slot) * e->definition->scalars + i;
      const point *p = w->points + at;
      const point_bar *bar = w->bars + at;
      sum = direct_slope(e, w, i, t, j) * bar->value;
      tail += bar->correction * p->correction * p->correction * p->power;
    }
    phi_grad[e->offset[i] + j] += unit ? sum + tail * w->complement[i * e->count + j] : sum;
  }
}

void wl_elementwise_backward(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                             double *phi_grad) {
  const elementwise *e = rule->impl;
  workspace *w = ws->impl;
  const bool learns = rule->phi.size > 0 && phi_grad != NULL;
  int64_t loaded = -1;
  tabulate(e, w, chunk->t0, chunk->steps, chunk->horizon);
  if (learns) memset(w->bars, 0, (size_t)point_count(e) * sizeof *w->bars);
  for (int64_t b = 0; b < chunk->blocks; b++) {
    load_lanes(e, w, b, chunk->steps, &loaded);
    block_backward(e, w, chunk, b, learns);
  }
  for (int i = 0; learns && i < e->definition->scalars; i++) {
    if (!e->learned[i]) continue;
    if (!e->by_step) fold_constant(e, w, chunk, i, phi_grad);
    for (int64_t slot = 0; e->by_step && slot < e->slots; slot++)
      fold_steps(e, w, chunk, i, slot, phi_grad);
  }
}
