/* speedup_impl.h - declares functions that the files speedup*.c share. Only src/evaluate includes
 * this header. */
#ifndef WL_EVALUATE_SPEEDUP_IMPL_H
#define WL_EVALUATE_SPEEDUP_IMPL_H

#include "evaluate/speedup.h"

/* Returns the curve of the baseline with this name, or NULL if there is none. */
wl_baseline_curve *wl_curve_find(wl_task_curves *curves, const char *name);
/* Returns true if the curve has a result at this horizon. A curve of a rule with a schedule must have runs of exactly
 * this length. */
bool wl_curve_covers(const wl_baseline_curve *curve, int64_t horizon);
/* Returns true if the curve covers the horizon and a rate has a finite loss within the horizon. `curve` may be NULL. */
bool wl_curve_is_usable(const wl_baseline_curve *curve, int64_t horizon);
/* Fills a table that compares the learned rule with one baseline. The two arrays have one element
 * for each cell: `curve` contains the curve of the baseline, or NULL if the baseline has no curve,
 * and `seconds` contains the seconds of an inner step with the baseline. */
wl_status wl_speedup_judge(const wl_speedup *speedup, const wl_baseline_curve *const *curve,
                           const double *seconds, wl_speedup_table *out);
/* Finds the baseline with the lowest loss in each cell, and fills the members `strongest` and
 * `strongest_table` from the tables. */
wl_status wl_speedup_judge_strongest(wl_speedup *speedup);

#endif
