/* full_es.c - estimates the meta-gradient by evolution strategies over whole episodes (Metz et al.
 * 2022). Each pair keeps one perturbation during an episode. The objective is the mean loss over
 * minibatches that are drawn at the end of the episode.
 *
 *   g = eps (F(+) - F(-)) / (2 sigma^2),  or eps sign(F(+) - F(-)) / (2 sigma^2) */
#include <math.h>

#include "estimator/antithetic.h"

static wl_status create(const wl_map *map, wl_estimator *e) {
  e->es.loss = WL_ES_LAST;
  return wl_antithetic_create(map, e);
}

/* Returns the mean loss over minibatches that no step of the episode has used. */
static double final_loss(const wl_estimator *e, const wl_estimator_job *job) {
  const wl_unit particle = wl_unit_particle(e->model, job->unit, job->run);
  double sum = 0.0;
  for (int64_t i = 0; i < e->es.batches; i++) {
    const wl_batch batch = {WL_FOR_OUTER_BATCH, e->spec.outer_split, job->unit->horizon + 1 + i};
    sum +=
        wl_task_loss(particle.task, wl_unroll_task_ws(job->ws),
                     &(wl_task_point){&batch, particle.theta, wl_unroll_warp(job->ws)}, NULL, NULL);
  }
  return sum / ((double)e->es.batches * wl_task_loss_scale(wl_unroll_task_ws(job->ws)));
}

static wl_status run(const wl_estimator *e, const wl_estimator_job *job, wl_run_outcome *out) {
  WL_TRY(wl_antithetic_pair(e, job, 0, out));
  if (job->t + job->steps < job->unit->horizon) {
    out->counted = out->counted || e->es.failed_loss > 0;
    /* the episode's meta-loss is the loss at the end of the episode, so earlier windows report 0 */
    out->window.meta_loss = 0.0;
    return WL_OK;
  }
  const double loss = out->window.finite ? final_loss(e, job) : NAN;
  out->loss = wl_antithetic_transformed(e, job->unit, loss);
  out->window.meta_loss = out->loss;
  out->counted = isfinite(out->loss);
  return wl_task_status(job->unit->task);
}

static void finish(const wl_estimator *e, const wl_estimator_job *job,
                   const wl_run_outcome *outcomes) {
  if (!job->vector || job->t + job->steps < job->unit->horizon) return;
  const double scale = 2.0 * e->es.sigma * e->es.sigma * (double)e->es.pairs;
  for (int p = 0; p < (int)e->es.pairs; p++) {
    const double difference = outcomes[2 * p].loss - outcomes[2 * p + 1].loss,
                 taken = e->es.sign ? (double)((difference > 0) - (difference < 0)) : difference;
    wl_antithetic_add(e, taken / scale, wl_antithetic_draw(e, job, p, 0), job->vector);
  }
}

const wl_estimator_ops wl_estimator_full_es = {
    .name = "full_es",
    .summary =
        "evolution strategies over whole episodes; the objective is the loss at the end of the "
        "episode",
    .options = wl_full_es_options,
    .whole_episodes = true,
    .create = create,
    .run = run,
    .finish = finish};
