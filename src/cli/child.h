/* child.h - runs another program, and waits until the program ends or its time limit has passed. */
#ifndef WL_CLI_CHILD_H
#define WL_CLI_CHILD_H

#include "base/status.h"

typedef struct wl_child {
  /* command line of the program; argv[0] is searched in PATH; the last element is NULL */
  char *const *argv;
  const char *output; /* path of the file that receives the program's standard output */
  const char *errors; /* path of the file that receives the program's standard error */
  double seconds;     /* time limit: the program is ended after this number of seconds */
} wl_child;

enum { WL_CHILD_LATE = 124, WL_CHILD_NOT_RUN = 127 };

/* Runs the program with an empty standard input. *code receives the program's exit code, or 128 + N
 * if signal N ended the program. *code is WL_CHILD_LATE if the time limit ended the program, and
 * WL_CHILD_NOT_RUN if the program could not be executed. If the calling process ends, the program
 * also ends. */
wl_status wl_child_run(const wl_child *child, int *code);

#endif
