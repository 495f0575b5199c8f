/* child.h - runs another program, and waits until the program ends or its time limit has passed. */
#ifndef WL_CLI_CHILD_H
#define WL_CLI_CHILD_H

#include "base/status.h"

typedef struct wl_child {
  char *const *argv;  /* argv[0] is searched in PATH; the last element is NULL */
  const char *output; /* file for standard output */
  const char *errors; /* file for standard error */
  double seconds;     /* the program is ended after this number of seconds */
} wl_child;

enum { WL_CHILD_LATE = 124, WL_CHILD_NOT_RUN = 127 };

/* Runs the program with an empty standard input. *code receives the program's exit code, or 128 + N after signal N. It
 * is WL_CHILD_LATE if the time limit ended the program, and WL_CHILD_NOT_RUN if the program could not be executed. If
 * this process ends, the program also ends. */
wl_status wl_child_run(const wl_child *child, int *code);

#endif
