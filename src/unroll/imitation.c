/* imitation.c - creates the teacher of imitation, and computes the weights and losses of imitation.
 * The formulas are in imitation.h. */
#include "unroll/imitation.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define UP_TO_ONE 0, 1

typedef struct keys {
  wl_reals share;
  double force, weight[WL_IMITATION_TERMS], end[WL_IMITATION_TERMS], scale;
  int64_t hold, fade, span;
} keys;

struct wl_imitation {
  keys keys;
  const wl_map *map;
  wl_rule *teacher;
};

const wl_option wl_imitation_options[] = {
    {"share", WL_OPT_REALS, "[1]", NULL, UP_TO_ONE, "1",
     "Probability that an episode imitates the teacher. A list has one number for each stage of the curriculum.",
     WL_SLOT(keys, share)},
    {"force", WL_OPT_REAL, "1", NULL, UP_TO_ONE, "1",
     "Factor f by which the teacher's update is multiplied in each step of an episode that imitates. The update "
     "of the rule has "
     "the factor 1 - f.",
     WL_SLOT(keys, force)},
    {"cosine", WL_OPT_REAL, "0", NULL, UP_TO_ONE, "1",
     "Weight of 1 minus the cosine of the angle between the teacher's and the rule's update, as a mean over "
     "the matrices of theta. The loss of the task has the weight 1 - cosine - magnitude - distance.",
     WL_SLOT(keys, weight[WL_IMITATE_COSINE])},
    {"magnitude", WL_OPT_REAL, "0", NULL, UP_TO_ONE, "1",
     "Weight of the mean difference between the absolute values of the two updates, as a mean over the "
     "matrices of theta.",
     WL_SLOT(keys, weight[WL_IMITATE_MAGNITUDE])},
    {"distance", WL_OPT_REAL, "1", NULL, UP_TO_ONE, "1",
     "Weight of the squared distance between the two updates divided by the squared norm of the teacher's "
     "update.",
     WL_SLOT(keys, weight[WL_IMITATE_DISTANCE])},
    {"hold", WL_OPT_INT, "0", NULL, 0, 1e12, "meta-steps",
     "Number of meta-steps after which `force` and the weights begin to fall.", WL_SLOT(keys, hold)},
    {"fade", WL_OPT_INT, "0", NULL, 0, 1e12, "meta-steps",
     "Meta-step at which `force` reaches 0 and each weight reaches its final value. `force` and the weights "
     "fall linearly. With 0, `force` and the weights are constant.",
     WL_SLOT(keys, fade)},
    {"cosine_end", WL_OPT_REAL, "0.3", NULL, UP_TO_ONE, "1",
     "Final value of the weight `cosine`, as a fraction of the initial value.",
     WL_SLOT(keys, end[WL_IMITATE_COSINE])},
    {"magnitude_end", WL_OPT_REAL, "0", NULL, UP_TO_ONE, "1",
     "Final value of the weight `magnitude`, as a fraction of the initial value.",
     WL_SLOT(keys, end[WL_IMITATE_MAGNITUDE])},
    {"distance_end", WL_OPT_REAL, "0", NULL, UP_TO_ONE, "1",
     "Final value of the weight `distance`, as a fraction of the initial value.",
     WL_SLOT(keys, end[WL_IMITATE_DISTANCE])},
    {"scale", WL_OPT_REAL, "0.01", NULL, 0, DBL_MAX, "1",
     "Factor of the imitation terms, for forward-only estimators. For each term, the differences between "
     "particles are first divided by the root mean square of these differences.",
     WL_SLOT(keys, scale)},
    {"span", WL_OPT_INT, "0", NULL, 0, 1e9, "steps",
     "Number of inner steps over which the teacher's schedule runs. 0 means the number of steps of the episode.", WL_SLOT(keys, span)},
    {NULL, 0, NULL, NULL, 0, 0, NULL, NULL}};

/* ---- Creation ---- */

static const char *const teachers[] = {"adam", "momentum", "nesterov", "muon"};
enum { N_TEACHERS = sizeof teachers / sizeof *teachers };

const wl_variant *wl_imitation_variants(void) {
  static wl_variant variants[N_TEACHERS + 2];
  variants[0] = (wl_variant){"none", "no teacher", NULL};
  for (int i = 0; i < N_TEACHERS; i++)
    for (const wl_variant *rule = wl_rule_variants(); rule->name; rule++)
      if (strcmp(rule->name, teachers[i]) == 0) variants[i + 1] = *rule;
  return variants;
}

static wl_status check(const wl_imitation *m) {
  double sum = 0.0;
  for (int i = 0; i < WL_IMITATION_TERMS; i++) sum += m->keys.weight[i];
  if (sum > 1.0 + 1e-12)
    return wl_map_fail(m->map, "distance",
                       "the sum of cosine, magnitude and distance is %g, but it may be at most 1, because the "
                       "loss of the task has the remaining weight (the default of distance is 1)",
                       sum);
  if (m->keys.fade > 0 && m->keys.fade <= m->keys.hold)
    return wl_map_fail(m->map, "fade", "the value must be larger than `hold`, or 0");
  if (m->teacher->phi.size > 0)
    return wl_map_fail(m->map, "learn", "the teacher cannot have learned scalars: remove `learn`");
  return WL_OK;
}

wl_status wl_imitation_create(const wl_config *config, const wl_rule_setting *setting,
                              wl_imitation **out) {
  const wl_map *map = wl_config_map(config, "imitation", 0);
  *out = NULL;
  if (strcmp(wl_map_variant(map), "none") == 0) return WL_OK;
  wl_imitation *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  m->map = map;
  wl_map_read(map, wl_imitation_options, &m->keys);
  wl_status status = wl_rule_create(map, setting, &m->teacher);
  if (status == WL_OK) status = check(m);
  if (status != WL_OK) wl_imitation_destroy(&m);
  *out = m;
  return status;
}

void wl_imitation_destroy(wl_imitation **imitation) {
  if (!*imitation) return;
  wl_rule_destroy(&(*imitation)->teacher);
  wl_free(*imitation);
  *imitation = NULL;
}

/* ---- Settings ---- */

const wl_rule *wl_imitation_teacher(const wl_imitation *m) { return m->teacher; }
double wl_imitation_scale(const wl_imitation *m) { return m->keys.scale; }

int64_t wl_imitation_span(const wl_imitation *m, int64_t horizon) {
  return m->keys.span > 0 ? m->keys.span : horizon;
}

double wl_imitation_share(const wl_imitation *m, int64_t stage) {
  const wl_reals share = m->keys.share;
  return share.at[share.count == 1 ? 0 : stage];
}

wl_status wl_imitation_check_stages(const wl_imitation *m, int64_t stages) {
  const int count = m->keys.share.count;
  if (count == 1 || count == stages) return WL_OK;
  return wl_map_fail(m->map, "share",
                     "give one number, or one for each of the %lld stages (the last stage has the length "
                     "episode.steps); the list has %d numbers",
                     (long long)stages, count);
}

wl_imitation_weights wl_imitation_at(const wl_imitation *m, int64_t meta_step) {
  const keys *k = &m->keys;
  const double done = k->fade > 0 ? (double)(meta_step - k->hold) / (double)(k->fade - k->hold) : 0;
  const double left = 1.0 - fmin(fmax(done, 0.0), 1.0);
  wl_imitation_weights w = {.force = k->force * left, .task = 1.0};
  for (int i = 0; i < WL_IMITATION_TERMS; i++) {
    w.term[i] = k->weight[i] * (k->end[i] + (1.0 - k->end[i]) * left);
    w.task -= w.term[i];
  }
  if (w.task < 0.0) w.task = 0.0; /* rounding errors may make the weight slightly negative */
  return w;
}

/* ---- Losses ---- */

/* Returns the number of matrices of theta, which are the tensors with more than one dimension.
 * D_cos and D_mag use only the matrices, or all tensors if theta has no matrix. */
static int count_matrices(const wl_layout *theta) {
  int matrices = 0;
  for (int i = 0; i < theta->count; i++) matrices += theta->tensors[i].ndim > 1;
  return matrices;
}

static bool takes(const wl_tensor_entry *tensor, int matrices) {
  return matrices == 0 || tensor->ndim > 1;
}

static double product(const wl_real *a, const wl_real *b, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

static double distance(const wl_real *e, const wl_real *l, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const double d = (double)l[i] - (double)e[i];
    sum += d * d;
  }
  return sum;
}

static double magnitude(const wl_real *e, const wl_real *l, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += fabs(fabs((double)e[i]) - fabs((double)l[i]));
  return sum / (double)n;
}

void wl_imitation_compare(const wl_layout *theta, const wl_real *expert, const wl_real *learned,
                          double term[WL_IMITATION_TERMS]) {
  const int matrices = count_matrices(theta);
  const double share = 1.0 / (double)(matrices > 0 ? matrices : theta->count);
  const double square = product(expert, expert, theta->size);
  term[WL_IMITATE_COSINE] = term[WL_IMITATE_MAGNITUDE] = 0.0;
  term[WL_IMITATE_DISTANCE] = square > 0 ? distance(expert, learned, theta->size) / square : 0.0;
  for (int i = 0; i < theta->count; i++) {
    const wl_tensor_entry *t = &theta->tensors[i];
    const wl_real *e = expert + t->offset, *l = learned + t->offset;
    if (!takes(t, matrices)) continue;
    const double norms = sqrt(product(e, e, t->size) * product(l, l, t->size));
    const double cosine = norms > 0 ? product(e, l, t->size) / norms : 0.0;
    term[WL_IMITATE_COSINE] += share * (1.0 - cosine);
    term[WL_IMITATE_MAGNITUDE] += share * magnitude(e, l, t->size);
  }
}

/* Subtracts slope times the derivative of cos(e, l) with respect to l from `bar`. The derivative is
 * e / (|e| |l|) - <e, l> l / (|e| |l|^3). */
static void cosine_adjoint(double slope, const wl_real *e, const wl_real *l, int64_t n,
                           wl_real *bar) {
  const double squares = product(l, l, n), norms = sqrt(product(e, e, n) * squares);
  if (!(norms > 0)) return;
  const double towards = slope / norms, along = towards * product(e, l, n) / squares;
  for (int64_t i = 0; i < n; i++)
    bar[i] -= (wl_real)(towards * (double)e[i] - along * (double)l[i]);
}

static double sign(double x) { return (double)((x > 0) - (x < 0)); }

static void magnitude_adjoint(double slope, const wl_real *e, const wl_real *l, int64_t n,
                              wl_real *bar) {
  for (int64_t i = 0; i < n; i++)
    bar[i] += (wl_real)(slope / (double)n * sign((double)l[i]) *
                        sign(fabs((double)l[i]) - fabs((double)e[i])));
}

void wl_imitation_adjoint(const wl_layout *theta, const double slope[WL_IMITATION_TERMS],
                          const wl_real *expert, const wl_real *learned, wl_real *bar) {
  const int matrices = count_matrices(theta);
  const double share = 1.0 / (double)(matrices > 0 ? matrices : theta->count);
  const double square = product(expert, expert, theta->size);
  const double factor = square > 0 ? 2.0 * slope[WL_IMITATE_DISTANCE] / square : 0.0;
  for (int64_t i = 0; i < theta->size; i++)
    bar[i] = (wl_real)(factor * ((double)learned[i] - (double)expert[i]));
  for (int i = 0; i < theta->count; i++) {
    const wl_tensor_entry *t = &theta->tensors[i];
    const wl_real *e = expert + t->offset, *l = learned + t->offset;
    if (!takes(t, matrices)) continue;
    if (slope[WL_IMITATE_COSINE] != 0)
      cosine_adjoint(slope[WL_IMITATE_COSINE] * share, e, l, t->size, bar + t->offset);
    if (slope[WL_IMITATE_MAGNITUDE] != 0)
      magnitude_adjoint(slope[WL_IMITATE_MAGNITUDE] * share, e, l, t->size, bar + t->offset);
  }
}
