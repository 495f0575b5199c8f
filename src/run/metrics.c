/* metrics.c - writes the report of a meta-step as numbers and as a line of JSON. */
#include "run/metrics.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

const wl_metric wl_metrics[WL_METRICS] = {
    {"meta_loss", "meta-loss F, mean over the counted units"},
    {"first_loss", "mean outer loss at the start of the windows"},
    {"last_loss", "mean outer loss at the end of the windows"},
    {"mean_loss", "mean outer loss over the steps of the windows"},
    {"gradient_norm", "Euclidean norm of the mean meta-gradient"},
    {"gradient_variance", "variance of the units' meta-gradients: mean over the units of |g_u - mean g|^2"},
    {"signal_to_noise",
     "|mean g|^2 divided by gradient_variance; if the meta-gradient is pure noise, the value is near 1 / (units - 1)"},
    {"learning_rate", "learning rate of the outer optimizer"},
    {"units", "number of units of the meta-step"},
    {"skipped_units", "number of units of the meta-step that were left out because they became non-finite"},
    {"inner_steps", "number of inner steps T of the longest episode"},
    {"compute_seconds", "time that the slowest rank spent on computation in the meta-step"},
    {"compute_seconds_least", "time that the fastest rank spent on computation in the meta-step"},
    {"wait_seconds", "time spent waiting for the slowest rank, averaged over ranks"},
    {"reduce_seconds", "time that rank 0 spent on the exact sum after all ranks had reached it"},
    {"io_seconds", "time that the training thread of rank 0 spent on files"},
    {"validation_loss", "mean final loss on fixed tasks; NaN in meta-steps without a validation (key outer.validate)"}};

void wl_metrics_values(const wl_meta_report *r, double values[WL_METRICS]) {
  const double all[WL_METRICS] = {r->meta_loss,
                                  r->first_loss,
                                  r->last_loss,
                                  r->mean_loss,
                                  r->gradient_norm,
                                  r->variance,
                                  r->signal_to_noise,
                                  r->rate,
                                  (double)r->units,
                                  (double)r->skipped,
                                  (double)r->inner_steps,
                                  r->compute_seconds,
                                  r->compute_seconds_least,
                                  r->wait_seconds,
                                  r->reduce_seconds,
                                  r->io_seconds,
                                  r->validation_loss};
  memcpy(values, all, sizeof all);
}

/* Returns true if metric i is a count. The counts are the metrics from `units` to `inner_steps`. */
static bool is_count(int i) {
  enum { FIRST_COUNT = 8, LAST_COUNT = 10 };
  return i >= FIRST_COUNT && i <= LAST_COUNT;
}

static json_t *number(int i, double value) {
  if (!isfinite(value)) return json_null();
  return is_count(i) ? json_integer((json_int_t)value) : json_real(value);
}

char *wl_metrics_json(int64_t meta_step, const wl_meta_report *report, int restart) {
  double values[WL_METRICS];
  wl_metrics_values(report, values);
  json_t *line = json_object();
  json_object_set_new(line, "meta_step", json_integer((json_int_t)meta_step));
  for (int i = 0; i < WL_METRICS; i++)
    json_object_set_new(line, wl_metrics[i].name, number(i, values[i]));
  json_object_set_new(line, "restart", json_integer(restart));
  char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
  json_decref(line);
  return text;
}
