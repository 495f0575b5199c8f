/* metrics.c - the report of a meta-step as numbers and as a line of JSON. */
#include "train/metrics.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

const char *const wl_metric_names[WL_METRICS + 1] = {"meta_loss",
                                                     "first_loss",
                                                     "last_loss",
                                                     "mean_loss",
                                                     "gradient_norm",
                                                     "learning_rate",
                                                     "units",
                                                     "skipped_units",
                                                     "inner_steps",
                                                     "compute_seconds",
                                                     "compute_seconds_least",
                                                     "wait_seconds",
                                                     "reduce_seconds",
                                                     "io_seconds",
                                                     NULL};

void wl_metrics_values(const wl_meta_report *r, double values[WL_METRICS]) {
  const double all[WL_METRICS] = {r->meta_loss,
                                  r->first_loss,
                                  r->last_loss,
                                  r->mean_loss,
                                  r->gradient_norm,
                                  r->rate,
                                  (double)r->units,
                                  (double)r->skipped,
                                  (double)r->inner_steps,
                                  r->compute_seconds,
                                  r->compute_seconds_least,
                                  r->wait_seconds,
                                  r->reduce_seconds,
                                  r->io_seconds};
  memcpy(values, all, sizeof all);
}

char *wl_metrics_json(int64_t meta_step, const wl_meta_report *report, int restart) {
  double values[WL_METRICS];
  wl_metrics_values(report, values);
  json_t *line = json_object();
  json_object_set_new(line, "meta_step", json_integer((json_int_t)meta_step));
  for (int i = 0; i < WL_METRICS; i++)
    json_object_set_new(line, wl_metric_names[i],
                        isfinite(values[i]) ? json_real(values[i]) : json_null());
  json_object_set_new(line, "restart", json_integer(restart));
  char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
  json_decref(line);
  return text;
}
