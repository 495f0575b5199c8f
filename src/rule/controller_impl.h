/* controller_impl.h - declarations that are shared by controller.c (the step) and controller_adjoint.c. */
#ifndef WL_RULE_CONTROLLER_IMPL_H
#define WL_RULE_CONTROLLER_IMPL_H

#include <math.h>

#include "rule/controller_kernel.h"
#include "rule/tensors.h"

enum { B, A0, A1, A2, K1, K2, TAU, ALPHA, Q, W, LAMBDA, DELTA, SCALARS };
/* The rows of learned scalars: matrices, vectors, and the matrix of a network that has only one. */
enum { MATRICES, VECTORS, SOLE, KINDS };
enum {
  INPUTS = WL_CONTROLLER_INPUTS,
  HIDDEN = WL_CONTROLLER_HIDDEN,
  OUTPUTS = WL_CONTROLLER_OUTPUTS
};
enum { M, S, V, LOSS_FAST, LOSS_SLOW, LOSS_FIRST, FIELDS };

static const double DECAY_M = 0.9, DECAY_S = 0.99, DECAY_V = 0.99, DECAY_FAST = 0.9,
                    DECAY_SLOW = 0.98;
static const double LEAST_SIZE = 1e-3, INITIAL_K1 = 0.3, INITIAL_K2 = 0.05, MIDDLE_DEPTH = 3,
                    UNKNOWN_HORIZON = 2000, EPSILON = 1e-8, FLOOR = 0.1, TINY = 1e-30;

typedef struct wl_controller {
  bool net, newton_schulz, precondition, mix, losses, horizon;
  enum { UNCORRECTED, CORRECTED_BY_MLP, CORRECTED_BY_LSTM } correction;
  int64_t base, weight[3], bias[3], correct; /* offsets in phi */
} wl_controller;

/* Adjoints of one tensor's values at one step. */
typedef struct wl_controller_bar {
  double sum[WL_CONTROLLER_SUMS], ratio, size, input[INPUTS];
  double c1, c2, k1, k2;
} wl_controller_bar;

typedef struct wl_controller_ws {
  wl_tensors tensors;
  int matrices; /* number of matrices among them */
  const wl_controller_kernel *kernel;
  double *phi;                       /* [phi.size] */
  wl_real *net;                      /* [WL_CONTROLLER_PACKED] */
  double *piece_sum, *ratio;         /* [pieces][WL_CONTROLLER_SUMS], [pieces] */
  wl_real *correction;               /* the correction's part of phi */
  double (*sum)[WL_CONTROLLER_SUMS]; /* [tensors] */
  wl_controller_scalars *scalars;    /* [tensors] */
  double (*input)[INPUTS];           /* [tensors] */
  wl_real *z;                        /* [pad(n)]; NULL without Newton-Schulz */
  wl_real *scratch;                  /* [threads][scratch_size] */
  int64_t scratch_size;
  int scratch_threads;
  /* The following members are used only if the workspace is for an adjoint. */
  wl_real *states;        /* [WL_CHUNK_STEPS + 1][state] */
  wl_real *mu;            /* [state] adjoint of the state if the chunk has no `mu` */
  wl_controller_bar *bar; /* [tensors] */
  /* [n] NULL without a correction: bars of the update before the correction and of the correction's inputs */
  double (*corrected)[4];
  wl_real *u; /* [pad(n)] NULL without a correction: output of `correct` in the adjoint, not used */
} wl_controller_ws;

/* Values that all tensors share at one step. */
typedef struct wl_controller_now {
  double t, T, x; /* T, 2000 if unknown; x = t / T */
  double m, s, v; /* bias corrections */
  bool known;     /* the loss is known */
  double fast_slow, fast_first;
} wl_controller_now;

/* Computes the new state. Computes the sums, inputs and scalars for the update of a coordinate. Returns the pass that
 * updates the coordinates. */
wl_controller_pass wl_controller_advance(const wl_rule *rule, wl_rule_ws *rule_ws,
                                         const wl_inner_step *step, wl_controller_now *now);
/* wl_controller_size returns RMS(p) sqrt(fan-in) of tensor j. wl_controller_mean_size returns the mean of this value
 * over the matrices, or over all tensors if there are no matrices. */
double wl_controller_size(const wl_controller_ws *ws, int j);
double wl_controller_mean_size(const wl_controller_ws *ws);
/* Returns the offset in phi of the learned scalars of tensor j. */
int64_t wl_controller_base(const wl_controller *c, const wl_controller_ws *ws, int j);
/* Returns D, the number of matrices, at least 2. */
double wl_controller_depth(const wl_controller_ws *ws);
/* Returns the rate of tensor j, whose r is `size`; o is the net's first output. */
double wl_controller_rate(const wl_controller *c, const wl_controller_ws *ws, int j,
                          const wl_controller_now *now, double size, double o);
void wl_controller_backward(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_rule_chunk *chunk,
                            double *phi_grad);

/* Returns the correction of the step from `step->s_in` to `step->s_out` at x = t / T. */
wl_correction wl_controller_correction(const wl_controller *c, const wl_controller_ws *ws,
                                       const wl_inner_step *step, double x);

/* The correction of one step, for its adjoint. */
typedef struct wl_controller_correcting {
  const wl_controller *c;
  const wl_correction *net;
  const double *phi;
  double *phi_grad;
  wl_real *
      mu; /* bars of the new h and c, replaced by the bars of the old h and c; same layout as `net->in` */
} wl_controller_correcting;

/* `bar` is the bar of the corrected update of coordinate i. Computes the bar of the uncorrected update u in bar[0], the
 * bars of y = (g, m, s) / (sqrt v + e) in bar[1..3], and the bars of the LSTM's state in `mu`. Adds the bars of the
 * weights. */
void wl_controller_correction_bar(const wl_controller_correcting *at, int64_t i, const double y[3],
                                  double u, double corrected_bar, double bar[4]);

static inline double clip(double x, double most) { return fmax(-most, fmin(most, x)); }

#endif
