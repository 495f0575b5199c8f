/* usage.h - a benchmark's answer to --help, and to arguments that it does not take. */
#ifndef WL_BENCH_USAGE_H
#define WL_BENCH_USAGE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

/* Prints the text, where it was asked for to standard output; the exit code. */
static inline int print_usage(const char *text, bool asked) {
  fputs(text, asked ? stdout : stderr);
  return asked ? 0 : WL_ERR_USAGE;
}

#endif
