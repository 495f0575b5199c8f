/* feature_kernel.h - features of each coordinate and the small net that reads the features, compiled for each
 * instruction set.
 *
 * The table lists the net's inputs for one coordinate and their number. g is the gradient, p the parameter, m_j a
 * momentum, v the second moment. R_j and C_j are factored moments of rows and columns, and r_j and c_j are the factors
 * of feature_net.h. j = 0, 1, 2 numbers the decays. h = 1e-8.
 *
 *   WL_FEATURES_MLP       g, p, m_0 .. m_5                                                                  8
 *   WL_FEATURES_SMALL_FC  g, p, m_j, v, m_j / sqrt(v + 1e-6), 1 / sqrt(v + 1e-6), g r_j c_j,
 *                         R_j, C_j, 1 / sqrt(R_j + h), 1 / sqrt(C_j + h), m_j r_j c_j                      28
 *   WL_FEATURES_CELO2     g, clip(g, 0.1), p, m_j, v, m_j / sqrt(v + h), 1 / sqrt(v + h), g r_j c_j,
 *                         g / sqrt(v + h); R_j, C_j, 1 / sqrt(R_j + h), 1 / sqrt(C_j + h), m_j r_j c_j     30
 *
 * A tensor consists of lines along its last axis. Along a line, the row index is constant or increases by one with each
 * coordinate. The same is true of the column index. */
#ifndef WL_RULE_FEATURE_KERNEL_H
#define WL_RULE_FEATURE_KERNEL_H

#include <stdbool.h>

#include "base/real.h"

typedef enum wl_feature_kind {
  WL_FEATURES_MLP,
  WL_FEATURES_SMALL_FC,
  WL_FEATURES_CELO2
} wl_feature_kind;

enum {
  WL_MOST_FEATURES = 30,
  WL_MOST_MOMENTA = 6,
  WL_FACTORED = 3,
  WL_NET_ROWS = 4,
  WL_NET_MOST_WIDTH = 64
};

/* Tables of a tensor for each decay. Tables of rows depend on R, tables of columns on C. */
typedef struct wl_factor_tables {
  const wl_real *r[WL_FACTORED], *inverse_r[WL_FACTORED], *g_factor[WL_FACTORED],
      *m_factor[WL_FACTORED];
  const wl_real *c[WL_FACTORED], *inverse_c[WL_FACTORED], *c_factor[WL_FACTORED];
} wl_factor_tables;

/* One tensor at one step. The arrays begin with the tensor's first coordinate. */
typedef struct wl_feature_view {
  wl_feature_kind kind;
  int momenta;
  /* the tensor has two or more dimensions; if not, each coordinate is a row, and C = R */
  bool factored;
  int64_t line;                /* length of a line */
  const int32_t *row, *column; /* [lines] index at a line's start */
  bool row_advances, column_advances;
  int64_t taps;             /* number of taps; each tap is normalised separately */
  const wl_real *tap_scale; /* [taps][WL_MOST_FEATURES] */
  const wl_real *g, *p;
  const wl_real *m_in[WL_MOST_MOMENTA], *v_in;
  wl_real *m_out[WL_MOST_MOMENTA], *v_out;
  wl_real m_keep[WL_MOST_MOMENTA], m_take[WL_MOST_MOMENTA], v_keep, v_take;
  wl_factor_tables table;
  wl_real *u;
} wl_feature_view;

/* A layer is stored as tiles of WL_NET_ROWS units. A tile has the biases, followed by the weights of each input. The
 * last layer is stored as plain rows. */
typedef struct wl_packed_net {
  int inputs, layers; /* number of inputs, number of hidden layers */
  /* Contribution of table entries to each unit of the first layer, as wl_feature_kernel.combine stores it. That of rows
   * includes the bias. These arrays are used if a line consists of whole vectors. The net then reads only the other
   * features, and m_j r_j c_j has the index of R_j. NULL: the net reads all features. */
  const wl_real *row_part, *column_part;
  int width[4];   /* widths of hidden layers, multiples of WL_NET_ROWS */
  bool magnitude; /* true: u = scale o_0 exp(exponent o_1); false: u = scale o_0 */
  wl_real scale, exponent;
  const wl_real *weight; /* weights of the first layer */
  const wl_real *upper;  /* weights of the other layers */
} wl_packed_net;

enum { WL_LINE_GROUPS = 8 };
typedef struct wl_follow {
  double decay, length;
  const wl_real *sums; /* [WL_LINE_GROUPS][stride] */
  int64_t stride;
} wl_follow;

typedef struct wl_inverse_root {
  double divisor, shift, least;
} wl_inverse_root;

/* sum_k by_k from_k + bias of each unit and each entry of the tables `from`. If lanes advance along the entries, the
 * result is [count / lanes][units][lanes], otherwise [count][units]. */
typedef struct wl_combination {
  int units;
  const wl_real *by;                    /* [2 WL_FACTORED][units] */
  const wl_real *bias;                  /* [units] */
  const wl_real *from[2 * WL_FACTORED]; /* [count] each */
  bool advances;
} wl_combination;

typedef struct wl_feature_kernel {
  /* Adds the squares of g over lines [first, first + count) to the sums of rows and columns. */
  void (*squares)(const wl_feature_view *view, int64_t first, int64_t count, wl_real *rows,
                  wl_real *columns);
  /* Computes the new momenta and second moments of coordinates [first, first + count). Also computes the sums of
   * squares of their features in sums [WL_MOST_FEATURES]; the sum of a table entry is 0. With several taps, `sums` is
   * [taps][WL_MOST_FEATURES] and includes all features. */
  void (*moments)(const wl_feature_view *view, int64_t first, int64_t count, double *sums);
  /* Computes u from the new moments. */
  void (*forward)(const wl_feature_view *view, const wl_packed_net *net, int64_t first,
                  int64_t count);
  /* For `count` rows or columns, computes new = b old + (1 - b) (sum over groups of lines / length + 1e-30). */
  void (*follow)(const wl_follow *f, int64_t count, const wl_real *old, wl_real *new);
  /* Computes out = 1 / sqrt(max(x / divisor + shift, least)). */
  void (*inverse_roots)(const wl_inverse_root *f, int64_t count, const wl_real *x, wl_real *out);
  /* Computes to = from scale for `tiles` tiles, which are `size` reals apart in `to`, of WL_NET_ROWS units each. */
  void (*pack)(int tiles, int size, const double *from, double scale, wl_real *to);
  void (*combine)(const wl_combination *c, int64_t count, wl_real *out);
  /* sum_squares returns the sum of squares of u [n]. rescale computes u <- along u + decay p. */
  double (*sum_squares)(int64_t n, const wl_real *u);
  void (*rescale)(int64_t n, double along, wl_real *u, double decay, const wl_real *p);
} wl_feature_kernel;

/* Returns the table for this processor. */
const wl_feature_kernel *wl_feature_kernel_select(void);

#endif
