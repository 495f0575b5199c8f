/* usage.h - prints the usage of a benchmark, for --help and for wrong arguments. */
#ifndef WL_BENCH_USAGE_H
#define WL_BENCH_USAGE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

/* Prints the text on standard output if --help requested it, otherwise on standard error. Returns the exit code. */
static inline int print_usage(const char *text, bool asked) {
  fputs(text, asked ? stdout : stderr);
  return asked ? 0 : WL_ERR_USAGE;
}

#endif
