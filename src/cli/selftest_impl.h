/* selftest_impl.h - declares the state of a self-test and the functions that run and report its
 * checks. Only the files selftest*.c include this header. */
#ifndef WL_CLI_SELFTEST_IMPL_H
#define WL_CLI_SELFTEST_IMPL_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

enum {
  WL_SELFTEST_WORDS = 32,
  WL_SELFTEST_DETAIL = 512,
  WL_SELFTEST_JOBS = 4,
  WL_SELFTEST_DIGEST = 64
};

typedef enum wl_verdict { WL_PASSED, WL_FAILED, WL_SKIPPED } wl_verdict;

typedef struct wl_selftest {
  /* folder for temporary files, such as the outputs of processes */
  char folder[PATH_MAX];
  char program[PATH_MAX]; /* this program */
  char *launcher
      /* words of the command that starts two ranks; the last element is NULL; the first is NULL if
       * there is no launcher */
      [WL_SELFTEST_WORDS];
  /* message that says why checks with two ranks are skipped, if there is no launcher */
  const char *no_launcher;
  /* result of the current check in words, or the reason for its failure */
  char detail[WL_SELFTEST_DETAIL];
  char plain[WL_SELFTEST_JOBS]
            /* digest of each job after a training on one rank and one thread; "" before this
             * training */
            [WL_SELFTEST_DIGEST];
  /* only checks whose names contain this string are run; NULL means that all checks run */
  const char *only;
  /* number of processes that were started so far, which becomes part of the names of their output
   * files */
  int processes;
  int counts[WL_SKIPPED + 1];     /* number of checks with each verdict */
  FILE *out;                      /* the table */
  json_t *rows;                   /* rows of the table as JSON, for the option --json */
} wl_selftest;

/* Type of a function that runs a check. `what` is the pointer that was passed to
 * wl_selftest_report. */
typedef wl_verdict (*wl_selftest_check)(wl_selftest *s, const void *what);

/* Runs a check, prints its row of the table and adds the row to s->rows. Skips a check that --only
 * excludes. */
void wl_selftest_report(wl_selftest *s, const char *name, wl_selftest_check check,
                        const void *what);

/* Runs all checks. */
void wl_selftest_all(wl_selftest *s);

#endif
