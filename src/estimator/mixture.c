/* mixture.c - combines the estimates of back-propagation and of truncated evolution strategies
 * (Metz et al. 2019). For each meta-parameter, the weight of an estimate is the inverse of the
 * variance of this estimate over the units.
 *
 *   g = (g_b / v_b + g_e / v_e) / (1 / v_b + 1 / v_e)
 *
 * Here g_b is the estimate of back-propagation, and v_b is its variance. The estimate of evolution
 * strategies is g_e, and its variance is v_e. A unit contributes the vector [g_b, g_e, g_b^2,
 * g_e^2]. Particle 0 uses back-propagation. The state of particle 0 at the end of the window is the
 * unit's next state. Particles 1 and 2 start each window from the same state as particle 0.
 * Particle 1 uses phi + eps, and particle 2 uses phi - eps. */
#include <string.h>

#include "estimator/antithetic.h"

enum { PLUS, MINUS, MAIN, RUNS };

static wl_status create(const wl_map *map, wl_estimator *e) {
  (void)map;
  e->es.pairs = 1;
  e->es.loss = WL_ES_WINDOW;
  e->runs = RUNS;
  e->main_run = MAIN;
  e->shape.particles = RUNS;
  e->width = 4 * e->model->phi.size;
  return WL_OK;
}

static wl_status run(const wl_estimator *e, const wl_estimator_job *job, wl_run_outcome *out) {
  if (job->run != MAIN) {
    const int particle = job->run + 1;
    wl_unit_copy_particle(e->model, job->unit, 0, particle);
    return wl_antithetic_forward(
        e, job, (wl_antithetic_run){particle, 0, job->run == PLUS ? 1 : -1, job->t}, out);
  }
  const wl_window_options options = {.phi_grad = job->vector, .observers = job->observers};
  wl_unroll_set_phi(job->ws, job->phi);
  WL_TRY(wl_window_run(job->ws, job->unit, job->steps, &options, &out->window));
  out->loss = out->window.meta_loss;
  out->counted = out->window.finite;
  return WL_OK;
}

static void finish(const wl_estimator *e, const wl_estimator_job *job,
                   const wl_run_outcome *outcomes) {
  const double slope =
      (outcomes[PLUS].loss - outcomes[MINUS].loss) / (2.0 * e->es.sigma * e->es.sigma);
  if (job->vector)
    wl_antithetic_add(e, slope, wl_antithetic_draw(e, job, 0, job->t),
                      job->vector + e->model->phi.size);
}

static void close(const wl_estimator *e, double *vector) {
  const int64_t n = 2 * e->model->phi.size;
  for (int64_t i = 0; i < n; i++) vector[n + i] = vector[i] * vector[i];
}

static void combine(const wl_estimator *e, const double *sum, int64_t counted, double *gradient) {
  const int64_t n = e->model->phi.size;
  const double units = (double)counted;
  for (int64_t i = 0; i < n; i++) {
    const double b = sum[i] / units, s = sum[n + i] / units;
    const double vb = sum[2 * n + i] / units - b * b, vs = sum[3 * n + i] / units - s * s;
    const double share = vb + vs > 0 && vb > 0 ? vb / (vb + (vs > 0 ? vs : 0)) : 0.0;
    gradient[i] = b + share * (s - b);
  }
}

const wl_estimator_ops wl_estimator_mixture = {
    .name = "mixture",
    .summary =
        "weighted mean of the estimates of back-propagation and of truncated evolution strategies; "
        "the weights are inverse variances",
    .options = wl_mixture_options,
    .traces = true,
    .create = create,
    .run = run,
    .finish = finish,
    .close = close,
    .combine = combine};
