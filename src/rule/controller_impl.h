/* controller_impl.h - contains the declarations that controller.c, controller_adjoint.c and
 * controller_correction.c share. */
#ifndef WL_RULE_CONTROLLER_IMPL_H
#define WL_RULE_CONTROLLER_IMPL_H

#include <math.h>

#include "rule/controller_kernel.h"
#include "rule/tensors.h"

enum { B, A0, A1, A2, K1, K2, TAU, ALPHA, Q, W, LAMBDA, DELTA, KAPPA, NU, SCALARS };
/* The indices of the rows in the table of learned scalars. SOLE is the row for the matrix of a
 * network that has a single matrix. */
enum { MATRICES, VECTORS, SOLE, KINDS };
enum {
  INPUTS = WL_CONTROLLER_INPUTS,
  HIDDEN = WL_CONTROLLER_HIDDEN,
  OUTPUTS = WL_CONTROLLER_OUTPUTS
};
/* The indices of two inputs of the network: ln(RMS(m) / RMS(sqrt v)) and ln(RMS(s) / RMS(sqrt v)). */
enum { RMS_M = 3, RMS_S = 4 };
enum { M, S, V, LOSS_FAST, LOSS_SLOW, LOSS_FIRST, FIELDS };

static const double DECAY_M = 0.9, DECAY_S = 0.99, DECAY_V = 0.99, DECAY_FAST = 0.9,
                    DECAY_SLOW = 0.98;
static const double LEAST_SIZE = 1e-3, FIXED_K1 = 0.3, FIXED_K2 = 0.05, MIDDLE_DEPTH = 3,
                    MIDDLE_HORIZON = 2000, UNKNOWN_FACTOR = 6, UNKNOWN_SHARE = 0.5,
                    LEAST_SIGNAL = 0.02, EPSILON = 1e-8, FLOOR = 0.1, TINY = 1e-30;

typedef struct wl_controller {
  bool net, newton_schulz, precondition, mix, losses, horizon;
  enum { UNCORRECTED, CORRECTED_BY_MLP, CORRECTED_BY_LSTM } correction;
  /* offsets in phi of the scalars, of the network and of the correction */
  int64_t base, weight[3], bias[3], correct;
} wl_controller;

/* The adjoints of the values of one tensor at one step. */
typedef struct wl_controller_bar {
  double sum[WL_CONTROLLER_SUMS], ratio, size, input[INPUTS];
  double c1, c2, k1, k2;
} wl_controller_bar;

typedef struct wl_controller_ws {
  wl_tensors tensors;
  int matrices; /* number of matrices among the tensors */
  const wl_controller_kernel *kernel;
  double *phi; /* [phi.size] meta-parameters in double precision */
  /* [WL_CONTROLLER_PACKED] packed weights and biases of the network */
  wl_real *net;
  /* [pieces][WL_CONTROLLER_SUMS] sums over each piece of a tensor; [pieces] result of `ratios` for
   * each piece */
  double *piece_sum, *ratio;
  wl_real *correction;               /* copy of the correction's meta-parameters */
  double (*sum)[WL_CONTROLLER_SUMS]; /* [tensors] */
  wl_controller_scalars *scalars;    /* [tensors] */
  double (*input)[INPUTS];           /* [tensors] */
  /* [pad(n)] the values z of all matrices, which are then replaced by N; NULL if the rule has no
   * Newton-Schulz steps */
  wl_real *z;
  /* [scratch_threads][scratch_size] scratch memory of the Newton-Schulz steps */
  wl_real *scratch;
  int64_t scratch_size;
  int scratch_threads;
  /* The following members are set only in a workspace for adjoints. */
  /* [WL_CHUNK_STEPS + 1][state] the states before and after each step of a chunk */
  wl_real *states;
  wl_real *mu;            /* [state] adjoint of the state, used if the chunk has no array `mu` */
  wl_controller_bar *bar; /* [tensors] */
  /* [n] for each coordinate: the adjoint of the uncorrected update, and the adjoints of the first
   * three inputs of the correction; NULL if the rule has no correction */
  double (*corrected)[4];
  /* [pad(n)] array to which `correct` writes the updates; the adjoint does not read the updates;
   * NULL if the rule has no correction */
  wl_real *u;
} wl_controller_ws;

/* The values of one step that all tensors use. */
typedef struct wl_controller_now {
  /* t: inner step; T: number of inner steps; x = t / T; if the number of inner steps
   * is unknown, T = 6 (t + 1) and x = 1/2 */
  double t, T, x;
  double m, s, v; /* factors that correct the bias of m, s and v */
  bool known;     /* true: the step's minibatch loss is known */
  double fast_slow, fast_first;
} wl_controller_now;

/* Computes the new state, and all values that the update of a coordinate needs: the sums over each
 * tensor, the inputs of the network and the scalars. Returns the arguments of the kernel functions
 * that update the coordinates. */
wl_controller_pass wl_controller_advance(const wl_rule *rule, wl_rule_ws *rule_ws,
                                         const wl_inner_step *step, wl_controller_now *now);
/* The function wl_controller_size returns RMS(p) sqrt(fan-in) of tensor j. The function
 * wl_controller_mean_size returns the mean of this value over the matrices. If there are no
 * matrices, the mean is over all tensors. */
double wl_controller_size(const wl_controller_ws *ws, int j);
double wl_controller_mean_size(const wl_controller_ws *ws);
/* Returns the offset in phi of the learned scalars of tensor j. */
int64_t wl_controller_base(const wl_controller *c, const wl_controller_ws *ws, int j);
/* Returns ln min(1, RMS(s) / RMS(m)) of tensor j. The number is lower if m is noisier. */
double wl_controller_noise(const wl_controller_ws *ws, int j);
/* Estimates the share rho of the gradient's mean square that is not noise. Returns ln((rho + 0.02) /
 * 0.52). Sets *slope to the derivative with respect to the input RMS_S of the network. In the first
 * step, rho is 1 and *slope is 0. */
double wl_controller_signal(const wl_controller_ws *ws, int j, const wl_controller_now *now,
                            double *slope);
/* Returns D, the larger of 2 and the number of matrices. */
double wl_controller_depth(const wl_controller_ws *ws);
/* Returns the learning rate of tensor j. The argument `size` is the value r of the tensor, and `o`
 * is the network's first output. */
double wl_controller_rate(const wl_controller *c, const wl_controller_ws *ws, int j,
                          const wl_controller_now *now, double size, double o);
void wl_controller_backward(const wl_rule *rule, wl_rule_ws *rule_ws, const wl_rule_chunk *chunk,
                            double *phi_grad);

/* Returns the arguments with which the kernel function `correct` corrects the updates of `step`.
 * The argument x is t / T. */
wl_correction wl_controller_correction(const wl_controller *c, const wl_controller_ws *ws,
                                       const wl_inner_step *step, double x);

/* The arguments of the adjoint of one step's correction. */
typedef struct wl_controller_correcting {
  const wl_controller *c;
  const wl_correction *net;
  const double *phi;
  double *phi_grad;
  wl_real *
      /* in: adjoints of the new h and c; out: adjoints of the old h and c; the layout is that of
       * `net->in` */
      mu;
} wl_controller_correcting;

/* Computes the adjoint of the correction of coordinate i. The argument u is the uncorrected update,
 * and corrected_bar is the adjoint of the corrected update. Sets bar[0] to the adjoint of u, and
 * bar[1] to bar[3] to the adjoints of y = (g, m, s) / (sqrt v + e). Sets the adjoints of the LSTM's
 * state in `mu`. Adds the adjoints of the weights to phi_grad. */
void wl_controller_correction_bar(const wl_controller_correcting *at, int64_t i, const double y[3],
                                  double u, double corrected_bar, double bar[4]);

static inline double clip(double x, double most) { return fmax(-most, fmin(most, x)); }

#endif
