/* child.h - runs another program and waits until the program ends or its time limit has passed. */
#ifndef WL_CLI_CHILD_H
#define WL_CLI_CHILD_H

#include "base/status.h"

typedef struct wl_child {
  char *const *argv;  /* argv[0] is looked up in PATH; the last is NULL */
  const char *output; /* file for standard output */
  const char *errors; /* file for standard error */
  double seconds;     /* the program is ended after this many seconds */
} wl_child;

enum { WL_CHILD_LATE = 124, WL_CHILD_NOT_RUN = 127 };

/* Runs the program with nothing on standard input. *code is the program's exit code, 128 + N after signal N,
 * WL_CHILD_LATE if the time limit ended the program, WL_CHILD_NOT_RUN if the program could not be executed. If this
 * process ends, the program also ends. */
wl_status wl_child_run(const wl_child *child, int *code);

#endif
