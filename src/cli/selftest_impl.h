/* selftest_impl.h - the state of a self-test, its checks and its report. Private to the files of `warploom
 * selftest`. */
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
  char folder[PATH_MAX];  /* folder for temporary files, with an output file for each process */
  char program[PATH_MAX]; /* this program */
  char *launcher
      [WL_SELFTEST_WORDS]; /* words of the command that starts two ranks, then NULL; no words if there is no launcher */
  const char *no_launcher; /* why there is no launcher */
  char detail[WL_SELFTEST_DETAIL]; /* the finding of the running check, or the reason for its failure */
  char plain[WL_SELFTEST_JOBS]
            [WL_SELFTEST_DIGEST]; /* digest of each job that was trained on one rank and thread */
  const char *only;               /* run only checks whose name contains this text; NULL: all checks */
  int processes;                  /* number of processes started so far, used in the names of their files */
  int counts[WL_SKIPPED + 1];     /* number of checks with each verdict */
  FILE *out;                      /* the table */
  json_t *rows;                   /* rows of the table, for --json */
} wl_selftest;

/* A check. `what` is the pointer that was passed to wl_selftest_report. */
typedef wl_verdict (*wl_selftest_check)(wl_selftest *s, const void *what);

/* Runs a check and adds its row to the report. */
void wl_selftest_report(wl_selftest *s, const char *name, wl_selftest_check check,
                        const void *what);

/* Runs all checks. */
void wl_selftest_all(wl_selftest *s);

#endif
