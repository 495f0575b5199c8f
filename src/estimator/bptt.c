/* bptt.c - estimates the meta-gradient by back-propagation through the window. The estimate is the
 * exact gradient of the window's meta-loss, but does not include the effects of the window on later
 * windows. */
#include "estimator/estimator.h"

static wl_status create(const wl_map *map, wl_estimator *e) {
  (void)map;
  e->runs = 1;
  e->width = e->model->phi.size;
  return WL_OK;
}

static wl_status run(const wl_estimator *e, const wl_estimator_job *job, wl_run_outcome *out) {
  (void)e;
  const wl_window_options options = {.phi_grad = job->vector, .observers = job->observers};
  WL_TRY(wl_window_run(job->ws, job->unit, job->steps, &options, &out->window));
  out->loss = out->window.meta_loss;
  out->counted = out->window.finite;
  return WL_OK;
}

const wl_estimator_ops wl_estimator_bptt = {
    .name = "bptt",
    .summary = "back-propagation through the inner steps of a window",
    .traces = true,
    .imitates = true,
    .create = create,
    .run = run};
