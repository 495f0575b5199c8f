/* speedup_impl.h - the function that speedup_run.c calls in speedup.c. Private to src/evaluate. */
#ifndef WL_EVALUATE_SPEEDUP_IMPL_H
#define WL_EVALUATE_SPEEDUP_IMPL_H

#include "evaluate/speedup.h"

/* Fills a table from the cells, and from one baseline's curve and seconds of a step for each cell. */
wl_status wl_speedup_judge(const wl_speedup *speedup, const wl_baseline_curve *const *curve,
                           const double *seconds, wl_speedup_table *out);

#endif
