/* controller_kernel.h - declares functions that process ranges of coordinates for the rule
 * `controller`. The functions are compiled once for each instruction set.
 *
 *   moments  m' = .9 m + .1 g,  s' = .99 s + .01 g,  v' = .99 v + .01 g^2, and the sums listed below
 *   ratios   sum of (m / (sqrt v + e))^2
 *   blends   z = (m + k1 (g - m) + k2 (s - m)) / sqrt(sqrt v + f)
 *   net      output = W3 tanh(W2 tanh(W1 input + b1) + b2) + b3
 *   updates  u = c0 N + (c1 z + c2 s) / (sqrt v + e)
 *   correct  u <- u exp(3 tanh(o / 3)),   o = w h + b
 *
 * All functions except `moments` use bias-corrected m, s and v. `updates` reads N, the orthogonal
 * factor of z, from the array z; if this pointer is NULL, the term with N is omitted. In `correct`,
 * h is the output of tanh units or of an LSTM layer. The units have four inputs: g, m and s, each
 * divided by sqrt v + e, and the time 2x - 1.
 *
 * All arrays have one element for each coordinate of theta. A call computes the coordinates from
 * `first` to `first + count - 1`. */
#ifndef WL_RULE_CONTROLLER_KERNEL_H
#define WL_RULE_CONTROLLER_KERNEL_H

#include <stdbool.h>

#include "base/real.h"

enum wl_controller_sums {
  WL_SUM_GM,
  WL_SUM_GG,
  WL_SUM_MM,
  WL_SUM_MS,
  WL_SUM_SS,
  WL_SUM_PM,
  WL_SUM_PP,
  WL_SUM_V,
  WL_CONTROLLER_SUMS
};

typedef struct wl_controller_pass {
  const wl_real *g, *p; /* g: gradient; p: parameters */
  /* `moments` reads the old values of m, s and v from these arrays; the other functions read the
   * new values from these arrays */
  const wl_real *m, *s, *v;
  wl_real *m_out, *s_out, *v_out;
  wl_real *z, *u; /* z: `blends` writes z, and `updates` reads N; u: the updates */
} wl_controller_pass;

typedef struct wl_controller_scalars {
  double m, s, v; /* factors that correct the bias of the moments */
  double epsilon; /* the number e that is added to sqrt v */
  double floor;   /* f; if f is 0, `blends` does not divide z by sqrt(sqrt v + f) */
  double k1, k2, c0, c1, c2;
} wl_controller_scalars;

/* Sizes of the network. A packed layer is a matrix [inputs][WL_CONTROLLER_HIDDEN], followed by
 * WL_CONTROLLER_HIDDEN biases. Zeros fill the unused columns of the last layer. */
enum { WL_CONTROLLER_INPUTS = 17, WL_CONTROLLER_HIDDEN = 16, WL_CONTROLLER_OUTPUTS = 6 };
enum {
  WL_CONTROLLER_PACKED =
      (WL_CONTROLLER_INPUTS + 2 * WL_CONTROLLER_HIDDEN + 3) * WL_CONTROLLER_HIDDEN
};

/* The network that the function `correct` applies to each coordinate. The rows of an LSTM's weight
 * have the order input gate, candidate, forget gate, output gate. The code adds 1 to the
 * pre-activation of the forget gate. */
enum { WL_CORRECTION_INPUTS = 4, WL_CORRECTION_UNITS = 8 };
typedef struct wl_correction {
  bool lstm;
  wl_real time; /* the input 2x - 1, where x is t / T */
  /* weight of the hidden layer: [units][inputs], or [4 * units][inputs + units] for an LSTM */
  const wl_real *weight;
  /* bias: [units], or [4 * units] for an LSTM; head: [units + 1], weights w and then bias b */
  const wl_real *bias, *head;
  /* [2 * units][stride] old state of the LSTM: h of each unit, followed by c of each unit */
  const wl_real *in;
  /* [2 * units][stride] new state of the LSTM; may be the same array as `in` */
  wl_real *out;
  int64_t stride;
} wl_correction;

typedef struct wl_controller_kernel {
  void (*moments)(const wl_controller_pass *pass, int64_t first, int64_t count, double *sums);
  double (*ratios)(const wl_controller_pass *pass, const wl_controller_scalars *c, int64_t first,
                   int64_t count);
  void (*blends)(const wl_controller_pass *pass, const wl_controller_scalars *c, int64_t first,
                 int64_t count);
  void (*net)(const wl_real *packed, const double *input, double *output);
  void (*updates)(const wl_controller_pass *pass, const wl_controller_scalars *c, int64_t first,
                  int64_t count);
  void (*correct)(const wl_controller_pass *pass, const wl_controller_scalars *c,
                  const wl_correction *net, int64_t first, int64_t count);
} wl_controller_kernel;

/* Returns the functions that are compiled for the instruction set of this processor. */
const wl_controller_kernel *wl_controller_kernel_select(void);

#endif
