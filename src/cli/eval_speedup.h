/* eval_speedup.h - measures the speed-ups of a trained optimizer over tuned hand-designed rules. */
#ifndef WL_CLI_EVAL_SPEEDUP_H
#define WL_CLI_EVAL_SPEEDUP_H

#include "cli/commands.h"

/* Runs `warploom eval RUN --speedup SUITE`. `path` is the path of the trained optimizer. If `path`
 * is NULL, only the curves of the suite's baselines are computed. Collective. */
wl_status wl_eval_speedup(wl_cli *cli, const char *path);

/* Prints the keys of a suite, as the last part of the help page of `eval`. */
void wl_eval_help_suite(bool roff, FILE *out);

#endif
