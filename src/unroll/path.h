/* path.h - provides an observer that adds the gradients of Leap and Reptile with respect to
 * theta_0. The formulas are in initialisation.h. */
#ifndef WL_UNROLL_PATH_H
#define WL_UNROLL_PATH_H

#include "unroll/window.h"

typedef struct wl_path {
  const wl_initialisation *initialisation;
  /* [pad] gradient and update of the last inner step; NULL if no tensor is learned from path
   * steps */
  wl_real *g, *u;
  int64_t pad;  /* number of coordinates of theta, padded to whole blocks */
  double loss;  /* inner loss at the start of the last inner step */
  bool open;    /* true if the gradient of the last path step must still be added */
  double *grad; /* vector to which the gradients are added; its layout is initialisation->phi */
} wl_path;

/* Returns an observer that adds to `grad` the gradients of the path steps of a new window. `next`
 * is the next observer in the linked list of observers. Borrows `path` and `grad`. */
wl_observer wl_path_begin(wl_path *path, double *grad, const wl_observer *next);

#endif
