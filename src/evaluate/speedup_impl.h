/* speedup_impl.h - functions that several speedup files share. Private to src/evaluate. */
#ifndef WL_EVALUATE_SPEEDUP_IMPL_H
#define WL_EVALUATE_SPEEDUP_IMPL_H

#include "evaluate/speedup.h"

/* Returns the curve of the baseline with this name; NULL if there is none. */
wl_baseline_curve *wl_curve_find(wl_task_curves *curves, const char *name);
/* Fills a table that compares the learned rule with one baseline. `curve` and `seconds` have one element for each cell:
 * the curve of the baseline (NULL if there is none), and its seconds per step. */
wl_status wl_speedup_judge(const wl_speedup *speedup, const wl_baseline_curve *const *curve,
                           const double *seconds, wl_speedup_table *out);
/* Compares every cell with the strongest baseline: fills speedup->strongest from the tables. */
wl_status wl_speedup_judge_strongest(wl_speedup *speedup);

#endif
