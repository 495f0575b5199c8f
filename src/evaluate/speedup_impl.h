/* speedup_impl.h - functions that the files of speed-ups share. Private to src/evaluate. */
#ifndef WL_EVALUATE_SPEEDUP_IMPL_H
#define WL_EVALUATE_SPEEDUP_IMPL_H

#include "evaluate/speedup.h"

/* Returns the curve of a baseline by its name; NULL if there is none. */
wl_baseline_curve *wl_curve_find(wl_task_curves *curves, const char *name);
/* Fills a table from the cells, and from one baseline's curve (NULL: none) and seconds of a step for each cell. */
wl_status wl_speedup_judge(const wl_speedup *speedup, const wl_baseline_curve *const *curve,
                           const double *seconds, wl_speedup_table *out);

#endif
