/* antithetic.c - computes antithetic pairs of inner runs, and the objectives of the runs. The file
 * antithetic.h describes the functions. */
#include "estimator/antithetic.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define ANY 0, 0
#define ES_KEYS                                                            \
  {                                                                        \
    "sigma", WL_OPT_REAL, "0.01", NULL, 1e-9, 1e6, "1",                    \
        "Standard deviation of the perturbations of the meta-parameters.", \
        WL_SLOT(wl_es_setting, sigma)                                      \
  }
#define LOSS_KEYS                                                                                 \
  {"clip",                                                                                        \
   WL_OPT_REALS,                                                                                  \
   "[]",                                                                                          \
   NULL,                                                                                          \
   DBL_MIN,                                                                                       \
   DBL_MAX,                                                                                       \
   "1",                                                                                           \
   "Upper bound to which a loss is clipped: one number, or one for each entry of `task`. For a "  \
   "task with C classes, 1.5 ln C is a usual value. The value [] means no bound.",                \
   WL_SLOT(wl_es_setting, clip)},                                                                 \
      {"transform",                                                                               \
       WL_OPT_CHOICE,                                                                             \
       "plain",                                                                                   \
       "plain|log",                                                                               \
       ANY,                                                                                       \
       "1",                                                                                       \
       "Transform of each loss L after clipping. plain: L itself. log: ln(max(L, 0) + floor).",   \
       WL_SLOT(wl_es_setting, transform)},                                                        \
      {"floor",                                                                                   \
       WL_OPT_REAL,                                                                               \
       "0.01",                                                                                    \
       NULL,                                                                                      \
       0,                                                                                         \
       DBL_MAX,                                                                                   \
       "1",                                                                                       \
       "Number that `transform: log` adds to a loss before the logarithm is computed.",           \
       WL_SLOT(wl_es_setting, floor)},                                                            \
  {                                                                                               \
    "failed_loss", WL_OPT_REAL, "0", NULL, 0, DBL_MAX, "1",                                       \
        "Value that replaces a non-finite loss. If the value is 0, the unit is not counted.",     \
        WL_SLOT(wl_es_setting, failed_loss)                                                       \
  }
#define PAIR_KEY                                                                   \
  {                                                                                \
    "pairs", WL_OPT_INT, "1", NULL, 1, 1024, "pairs",                              \
        "Number of antithetic pairs for each unit.", WL_SLOT(wl_es_setting, pairs) \
  }
#define END \
  { NULL, 0, NULL, NULL, ANY, NULL, NULL }

const wl_option wl_antithetic_options[] = {
    ES_KEYS,
    PAIR_KEY,
    {"loss", WL_OPT_CHOICE, "window", "window|mean|sum|last|telescoping|mean_and_last", ANY, "1",
     "Objective of a window. window: the meta-loss that the section `window` defines. mean: the "
     "mean of the losses of the window's steps. sum: the sum of the losses of the window's steps. "
     "last: the loss at the end of the window. telescoping: the change of the last loss since the "
     "previous window; the sum of these changes over an episode is the final loss. mean_and_last: "
     "a weighted sum of the mean over all steps of the episode and the mean over the steps of the "
     "episode's last window.",
     WL_SLOT(wl_es_setting, loss)},
    {"last_share", WL_OPT_REAL, "0.75", NULL, 0, 1, "1",
     "Weight w of the mean over the last window in the loss mean_and_last. The mean over the "
     "episode has the weight 1 - w.",
     WL_SLOT(wl_es_setting, last_share)},
    LOSS_KEYS,
    END};

const wl_option wl_full_es_options[] = {
    ES_KEYS,
    PAIR_KEY,
    LOSS_KEYS,
    {"batches", WL_OPT_INT, "50", NULL, 1, 1e6, "batches",
     "Number of minibatches that are drawn at the end of the episode. The objective is the mean "
     "loss over these minibatches.",
     WL_SLOT(wl_es_setting, batches)},
    {"sign", WL_OPT_BOOL, "false", NULL, ANY, "1",
     "Use only the sign of the difference between the two losses of a pair.",
     WL_SLOT(wl_es_setting, sign)},
    END};

const wl_option wl_mixture_options[] = {ES_KEYS, END};

/* ---- creation ---- */

/* Sets the weights of the losses in a window: 1 for each loss that the objective uses, and 0 for
 * all other losses. A window of K steps already computes the losses at theta_0 to theta_{K-1}
 * together with the inner gradients. Only the loss at theta_K needs an extra evaluation. */
static wl_status choose_weights(wl_estimator *e) {
  const int64_t steps = e->spec.steps;
  const bool end = e->es.loss == WL_ES_LAST || e->es.loss == WL_ES_TELESCOPING;
  if (e->es.loss == WL_ES_WINDOW) return WL_OK;
  WL_TRY(WL_NEW(e->weights, steps + 1));
  for (int64_t k = 0; k <= steps; k++) e->weights[k] = end == (k == steps);
  e->spec.weights = WL_WEIGHTS_LIST;
  e->spec.list = e->weights;
  e->spec.transform = WL_LOSS_PLAIN;
  return WL_OK;
}

wl_status wl_antithetic_create(const wl_map *map, wl_estimator *e) {
  const wl_reals clip = e->es.clip;
  if (clip.count > 1 && clip.count != e->n_entries)
    return wl_map_fail(map, "clip",
                       "`task` has %d entries, but `clip` has %d bounds: give one bound, or one "
                       "bound for each entry",
                       e->n_entries, clip.count);
  e->spec.second_order = false;
  e->runs = (int)(2 * e->es.pairs);
  e->shape = (wl_unit_shape){.particles = e->runs,
                             .differences = e->es.loss == WL_ES_TELESCOPING ? (int)e->es.pairs : 0};
  return choose_weights(e);
}

/* ---- perturbations ---- */

/* The scratch memory consists of the perturbed phi [phi.size], eps [phi.size] and the K + 1 losses
 * of a window of K steps. The function eps_of returns the start of eps, and losses_of returns the
 * start of the losses. */
static wl_real *eps_of(const wl_estimator *e, const wl_estimator_job *job) {
  return (wl_real *)(void *)(job->scratch + e->model->phi.size);
}
static double *losses_of(const wl_estimator *e, const wl_estimator_job *job) {
  return job->scratch + 2 * e->model->phi.size;
}

const wl_real *wl_antithetic_draw(const wl_estimator *e, const wl_estimator_job *job, int pair,
                                  int64_t drawn_at) {
  const wl_episode *episode = &job->unit->episode;
  const int64_t n = e->model->phi.size;
  const wl_stream stream = {e->seed,
                            WL_FOR_PERTURB,
                            (uint32_t)episode->space,
                            (uint64_t)job->unit->number,
                            (uint64_t)episode->unit,
                            (uint64_t)drawn_at};
  wl_real *const eps = eps_of(e, job);
  wl_rng_normal(stream, (uint64_t)pair * (uint64_t)n, n, e->es.sigma, eps);
  return eps;
}

static void perturb(const wl_estimator *e, const wl_estimator_job *job, wl_antithetic_run run) {
  const wl_real *eps = wl_antithetic_draw(e, job, run.pair, run.drawn_at);
  for (int64_t i = 0; i < e->model->phi.size; i++)
    job->scratch[i] = job->phi[i] + run.sign * (double)eps[i];
  wl_unroll_set_phi(job->ws, job->scratch);
}

/* ---- losses ---- */

static double bound_of(const wl_estimator *e, const wl_unit *unit) {
  const wl_reals clip = e->es.clip;
  return clip.count == 0 ? INFINITY : clip.at[clip.count == 1 ? 0 : e->entry[unit->task_index]];
}

double wl_antithetic_transformed(const wl_estimator *e, const wl_unit *unit, double loss) {
  const double value = !isfinite(loss) && e->es.failed_loss > 0 ? e->es.failed_loss : loss;
  const double bound = bound_of(e, unit), clipped = value > bound ? bound : value;
  if (e->es.transform != WL_ES_LOG) return clipped;
  return log((clipped < 0.0 ? 0.0 : clipped) + e->es.floor);
}

static double mean_of_steps(const wl_estimator *e, const wl_estimator_job *job) {
  double sum = 0.0;
  for (int64_t k = 0; k < job->steps; k++)
    sum += wl_antithetic_transformed(e, job->unit, losses_of(e, job)[k]);
  return sum / (double)job->steps;
}

static double loss_of(const wl_estimator *e, const wl_estimator_job *job,
                      const wl_window_result *window) {
  const double *losses = losses_of(e, job), steps = (double)job->steps,
               horizon = (double)job->unit->horizon;
  switch (e->es.loss) {
    case WL_ES_WINDOW:
      return window->finite ? wl_antithetic_transformed(e, job->unit, window->meta_loss)
                            : wl_antithetic_transformed(e, job->unit, NAN);
    case WL_ES_MEAN: return mean_of_steps(e, job);
    case WL_ES_SUM: return mean_of_steps(e, job) * steps;
    case WL_ES_LAST:
    case WL_ES_TELESCOPING: return wl_antithetic_transformed(e, job->unit, losses[job->steps]);
    case WL_ES_MEAN_AND_LAST: {
      const bool last = job->t + job->steps == job->unit->horizon;
      const double share = last ? e->es.last_share : 0.0;
      return ((1.0 - e->es.last_share) * steps / horizon + share) * mean_of_steps(e, job);
    }
  }
  return NAN;
}

/* ---- runs ---- */

/* Sets the losses that the metrics report. The reported meta-loss is the objective of the
 * estimator. If `failed_loss` is set, this value replaces losses that are not finite. */
static void report(const wl_estimator *e, wl_run_outcome *out) {
  double *const losses[] = {&out->window.first_loss, &out->window.last_loss,
                            &out->window.mean_loss};
  out->window.meta_loss = out->loss;
  for (int i = 0; e->es.failed_loss > 0 && i < 3; i++)
    if (!isfinite(*losses[i])) *losses[i] = e->es.failed_loss;
}

wl_status wl_antithetic_forward(const wl_estimator *e, const wl_estimator_job *job,
                                wl_antithetic_run run, wl_run_outcome *out) {
  double *const losses = losses_of(e, job);
  const wl_window_options options = {
      .losses = losses, .observers = job->observers, .imitation = out->imitation};
  wl_unit particle = wl_unit_particle(e->model, job->unit, run.particle);
  perturb(e, job, run);
  particle.t = job->t;
  if (job->t == 0) WL_TRY(wl_unit_start(job->ws, &particle, &job->unit->episode));
  for (int64_t k = 0; k <= job->steps; k++) losses[k] = NAN;
  WL_TRY(wl_window_forward(job->ws, &particle, job->steps, &options, &out->window));
  wl_unit_keep_particle(job->unit, run.particle, &particle);
  const double scale =
      /* the losses are divided by the task's scale, so that all tasks have equal weight */
      wl_task_loss_scale(wl_unroll_task_ws(job->ws));
  for (int64_t k = 0; k <= job->steps; k++) losses[k] /= scale;
  out->loss = loss_of(e, job, &out->window);
  out->counted = isfinite(out->loss);
  report(e, out);
  return WL_OK;
}

wl_status wl_antithetic_pair(const wl_estimator *e, const wl_estimator_job *job, int64_t drawn_at,
                             wl_run_outcome *outcome) {
  const wl_antithetic_run run = {job->run, job->run / 2, job->run % 2 == 0 ? 1 : -1, drawn_at};
  return wl_antithetic_forward(e, job, run, outcome);
}

/* Returns the part that imitation adds to the difference between the two objectives of an
 * antithetic pair (ELO, arXiv 2607.06772). Let D_i be the i-th imitation term, let a_i be the
 * weight of this term, and let s be the scale of imitation. The returned number is:
 *
 *   s sum_i a_i mean_k d_ik / r_i,   d_ik = D_i(+) - D_i(-) at step k,   r_i^2 = mean of d_ik^2 over pairs and steps */
static double imitation_difference(const wl_estimator *e, const wl_estimator_job *job, int pair,
                                   const wl_run_outcome *outcomes) {
  const double *weight = wl_unroll_imitation(job->ws)->term;
  double total = 0.0;
  for (int i = 0; i < WL_IMITATION_TERMS; i++) {
    double squares = 0.0, sum = 0.0;
    for (int p = 0; p < (int)e->es.pairs; p++)
      for (int64_t k = 0; k < job->steps; k++) {
        const int64_t at = k * WL_IMITATION_TERMS + i;
        const double d = outcomes[2 * p].imitation[at] - outcomes[2 * p + 1].imitation[at];
        squares += d * d;
        if (p == pair) sum += d;
      }
    const double steps = (double)job->steps, count = (double)e->es.pairs * steps;
    if (squares > 0) total += weight[i] * (sum / steps) / sqrt(squares / count);
  }
  return wl_imitation_scale(e->spec.imitation) * total;
}

double wl_antithetic_slope(const wl_estimator *e, const wl_estimator_job *job, int pair,
                           const wl_run_outcome *outcomes) {
  double difference = outcomes[2 * pair].loss - outcomes[2 * pair + 1].loss;
  if (e->es.loss == WL_ES_TELESCOPING) {
    const double before = job->t == job->unit->first ? 0.0 : job->unit->difference[pair];
    job->unit->difference[pair] = difference;
    difference -= before;
  }
  if (job->unit->shape.teacher && *job->unit->imitates)
    difference = wl_unroll_imitation(job->ws)->task * difference +
                 imitation_difference(e, job, pair, outcomes);
  return difference / (2.0 * e->es.sigma * e->es.sigma * (double)e->es.pairs);
}

void wl_antithetic_add(const wl_estimator *e, double slope, const wl_real *direction,
                       double *vector) {
  for (int64_t i = 0; i < e->model->phi.size; i++) vector[i] += slope * (double)direction[i];
}
