/* controller_kernel.h - passes over the coordinates for the rule `controller`, compiled for each instruction set.
 *
 *   moments  m' = .9 m + .1 g,  s' = .99 s + .01 g,  v' = .99 v + .01 g^2, and the sums listed below
 *   ratios   sum of (m / (sqrt v + e))^2 with bias-corrected m and v
 *   blends   z = (m + k1 (g - m) + k2 (s - m)) / sqrt(sqrt v + f)
 *   net      output = W3 tanh(W2 tanh(W1 input + b1) + b2) + b3
 *   updates  u = c0 N + (c1 z + c2 s) / (sqrt v + e); N the orthogonal factor of `blends`' z, NULL: none
 *   correct  u <- u exp(3 tanh(o / 3)), o = w h + b; h: tanh units or an LSTM layer that read (g, m, s) / (sqrt v + e)
 *            and 2x - 1
 *
 * All arrays have one element for each coordinate of theta. A call processes `count` coordinates, beginning with
 * `first`. */
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
  const wl_real *g, *p;     /* gradient, parameters */
  const wl_real *m, *s, *v; /* `moments` replaces the old values by the new values */
  wl_real *m_out, *s_out, *v_out;
  wl_real *z, *u; /* `blends` writes z; `updates` reads N */
} wl_controller_pass;

typedef struct wl_controller_scalars {
  double m, s, v; /* bias corrections */
  double epsilon; /* e */
  double floor;   /* f; if f is 0, `blends` does not divide */
  double k1, k2, c0, c1, c2;
} wl_controller_scalars;

/* Sizes of the net. A packed layer consists of a matrix [inputs][WL_CONTROLLER_HIDDEN], followed by the biases. The
 * last layer is padded with zeros. */
enum { WL_CONTROLLER_INPUTS = 17, WL_CONTROLLER_HIDDEN = 16, WL_CONTROLLER_OUTPUTS = 6 };
enum {
  WL_CONTROLLER_PACKED =
      (WL_CONTROLLER_INPUTS + 2 * WL_CONTROLLER_HIDDEN + 3) * WL_CONTROLLER_HIDDEN
};

/* The net of `correct`. The gates of an LSTM have the order input, candidate, forget (+1), output. */
enum { WL_CORRECTION_INPUTS = 4, WL_CORRECTION_UNITS = 8 };
typedef struct wl_correction {
  bool lstm;
  wl_real time;               /* 2x - 1 */
  const wl_real *weight;      /* [units] or [4 units], times inputs or inputs + units */
  const wl_real *bias, *head; /* [units] or [4 units]; w and b, [units + 1] */
  const wl_real *in;          /* LSTM: h of each unit, then c, [2 units][stride] */
  wl_real *out;               /* may be the same array as `in` */
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

/* Returns the table for this processor. */
const wl_controller_kernel *wl_controller_kernel_select(void);

#endif
