/* window_fixture.h - declares the functions that the tests of windows share. The functions create a problem from
 * YAML, run a window and return all results. These functions also compare results exactly or within a tolerance. */
#ifndef WL_TEST_WINDOW_FIXTURE_H
#define WL_TEST_WINDOW_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "train/problem.h"
#include "train/schema.h"

/* Relative tolerance for comparing two computations whose operations have a different order. */
#ifdef WL_DOUBLE
#define CLOSE 1e-11
#else
#define CLOSE 2e-4
#endif

#define assert_ok(call)                                              \
  do {                                                               \
    if ((call) != WL_OK) fail_msg("%s: %s", #call, wl_last_error()); \
  } while (0)

/* Contains a problem that is created from a configuration, and the initial meta-parameters of the problem. */
typedef struct problem {
  wl_config *config;
  wl_problem of;
  double *phi; /* [phi.size] */
} problem;

problem open_problem(const char *yaml);
void close_problem(problem *p);

/* Contains all results of one window. */
typedef struct outcome {
  int64_t n_phi, n, steps;
  wl_window_result result;
  double *gradient; /* [n_phi] */
  double *losses;   /* [steps+1] */
  wl_real *theta;   /* [n] theta at the end of the window */
} outcome;

/* Selects what run_request() runs: `before` windows of the unit with the number `unit`, and then one more window.
 * run_request() returns the results of this last window. */
typedef struct request {
  int64_t unit, before;
  int threads;
  bool forward; /* no gradient */
} request;

/* Creates a workspace for the first task of the problem, and sets the meta-parameters of the workspace to p->phi. */
wl_unroll_ws *open_workspace(const problem *p, bool with_gradient, int threads);
wl_unit *start_unit(const problem *p, wl_unroll_ws *ws, int64_t number);
/* Runs the next window of the unit. This window has `steps` steps. */
outcome run_window(const problem *p, wl_unroll_ws *ws, wl_unit *unit, int64_t steps, bool forward);
outcome run_request(const problem *p, request r);
void free_outcome(outcome *o);

/* Fails the test if the gradients, the losses or the final thetas differ in any bit. */
void assert_same(const outcome *a, const outcome *b);
/* Fails the test if |a - b| > tolerance * max |b| for any of the n elements, or if an element is NaN. */
void assert_near(const double *a, const double *b, int64_t n, double tolerance, const char *what);
bool all_equal(const double *a, const double *b, int64_t n);

#endif
