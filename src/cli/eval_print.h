/* eval_print.h - prints an evaluation as text and as JSON. */
#ifndef WL_CLI_EVAL_PRINT_H
#define WL_CLI_EVAL_PRINT_H

#include <stdio.h>

#include "evaluate/evaluate.h"

/* Prints a table and a verdict for each element of cases [count] as text. */
void wl_eval_print(const wl_trained *trained, const wl_eval_case *cases, int count, FILE *out);
/* Writes the evaluation as JSON to `path`, or to standard output if `path` is "-". */
wl_status wl_eval_print_json(const wl_trained *trained, const wl_eval_case *cases, int count,
                             const char *path);

#endif
