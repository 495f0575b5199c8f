/* path.c - adds the gradient of each path step. The gradient of a path step is added during the
 * next inner step, because the next inner step computes the loss at the end of the path step. */
#include "unroll/path.h"

#include <math.h>
#include <string.h>

static void close_step(wl_path *p, double next_loss) {
  const wl_path_step whole = {p->g, p->u, p->loss, next_loss};
  if (p->open) wl_initialisation_step(p->initialisation, &whole, p->grad);
  p->open = false;
}

static void observe(void *context, const wl_step_view *step) {
  wl_path *const p = context;
  close_step(p, step->loss);
  memcpy(p->g, step->g, (size_t)p->pad * sizeof *p->g);
  memcpy(p->u, step->u, (size_t)p->pad * sizeof *p->u);
  p->loss = step->loss;
  p->open = true;
}

/* Adds the gradient of the last path step, which ends at theta_K. If a method needs the inner loss
 * at theta_K, the function computes this loss, because no inner step has computed it. */
static void end(void *context, wl_unroll_ws *ws, const wl_unit *unit) {
  wl_path *const p = context;
  close_step(p, p->initialisation->losses ? wl_unroll_inner_loss(ws, unit) : NAN);
}

wl_observer wl_path_begin(wl_path *p, double *grad, const wl_observer *next) {
  p->open = false;
  p->grad = grad;
  return (wl_observer){observe, end, p, next};
}
