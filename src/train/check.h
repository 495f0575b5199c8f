/* check.h - `warploom check`: every meta-gradient block against central differences. */
#ifndef WL_TRAIN_CHECK_H
#define WL_TRAIN_CHECK_H

#include "base/options.h"
#include "base/layout.h"

/* One block's verdict. Directional derivatives are signed: `analytic` = <gradient, v>. */
typedef struct wl_check_block {
  char name[WL_NAME_SIZE];
  double norm;          /* of the block's gradient */
  double error;         /* largest relative error over directions, at the best h */
  double slope;         /* observed order of the error in h: near 2 where truncation rules */
  bool passed;
} wl_check_block;

typedef struct wl_check_request {
  int directions;       /* random directions for each block */
  double tolerance;     /* relative */
  int64_t windows;      /* windows run before the one that is checked: state is then not zero */
  const char *dump;     /* file to write for an outsider, NULL: none */
} wl_check_request;

typedef struct wl_check_report {
  wl_check_block *blocks; /* [count], owned by the caller (wl_free) */
  int count;
  bool passed;
} wl_check_report;

/* Checks the meta-gradient of one window of unit 0 of every task in the configuration. First order is
 * compared with differences of the function whose inner gradients are frozen at the base point.
 * Needs the float64 build: WL_ERR_USAGE otherwise. Not collective. */
wl_status wl_check(const wl_config *config, const wl_check_request *request, wl_check_report *report);

#endif
