/* metrics.h - lists the metrics of a meta-step, with names and meanings for the JSON lines and the
 * trajectory file. */
#ifndef WL_RUN_METRICS_H
#define WL_RUN_METRICS_H

#include "io/trajectory.h"
#include "train/trainer.h"

enum { WL_METRICS = 17 };

/* All metrics, in the order of the JSON lines. docs/hdf5-schema.md describes them. */
extern const wl_metric wl_metrics[WL_METRICS];
/* Copies the numbers of a report to `values`, in the order of wl_metrics. */
void wl_metrics_values(const wl_meta_report *report, double values[WL_METRICS]);
/* Returns one line of JSON without the newline. The caller frees the string. Non-finite values are written as null. Not
 * collective. */
char *wl_metrics_json(int64_t meta_step, const wl_meta_report *report, int restart);

#endif
