/* path.h - an observer that adds the gradients of Leap and Reptile for theta_0. The formulas are in
 * initialisation.h. */
#ifndef WL_UNROLL_PATH_H
#define WL_UNROLL_PATH_H

#include "unroll/window.h"

typedef struct wl_path {
  const wl_initialisation *initialisation;
  wl_real *g,
      *u; /* [pad] gradient and update of the last step; NULL if no tensor is learned from the path */
  int64_t pad;
  double loss;  /* loss at the start of the last step */
  bool open;    /* the loss at the end of the last step is not yet computed */
  double *grad; /* gradient of theta_0 */
} wl_path;

/* Begins a window. Returns the observer of the window's steps, which adds to `grad`. Borrows `path` and `grad`. */
wl_observer wl_path_begin(wl_path *path, double *grad, const wl_observer *next);

#endif
