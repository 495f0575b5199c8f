/* feature_kernel.h - declares functions that compute the features of each coordinate, and the small
 * network that reads these features. The functions are compiled for each instruction set.
 *
 * The table below lists the network's inputs for one coordinate. The last column of the table is
 * the number of inputs. Here g is the gradient, p is the parameter, m_j is a momentum, and v is the
 * second moment. R_j and C_j are the factored moments of rows and columns. The file feature_net.h
 * defines the factors r_j and c_j. The index j = 0, 1, 2 numbers the decays, and h = 1e-8.
 *
 *   WL_FEATURES_MLP       g, p, m_0 .. m_5                                                                  8
 *   WL_FEATURES_SMALL_FC  g, p, m_j, v, m_j / sqrt(v + 1e-6), 1 / sqrt(v + 1e-6), g r_j c_j,
 *                         R_j, C_j, 1 / sqrt(R_j + h), 1 / sqrt(C_j + h), m_j r_j c_j                      28
 *   WL_FEATURES_CELO2     g, clip(g, 0.1), p, m_j, v, m_j / sqrt(v + h), 1 / sqrt(v + h), g r_j c_j,
 *                         g / sqrt(v + h); R_j, C_j, 1 / sqrt(R_j + h), 1 / sqrt(C_j + h), m_j r_j c_j     30
 *
 * A tensor consists of lines along its last axis. Along a line, the row index of a coordinate is
 * either constant or increases by one from coordinate to coordinate. The column index, too, is
 * either constant or increases by one. */
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

/* The tables of a tensor for each decay. The entries for rows are computed from R, and the entries
 * for columns are computed from C. */
typedef struct wl_factor_tables {
  const wl_real *r[WL_FACTORED], *inverse_r[WL_FACTORED], *g_factor[WL_FACTORED],
      *m_factor[WL_FACTORED];
  const wl_real *c[WL_FACTORED], *inverse_c[WL_FACTORED], *c_factor[WL_FACTORED];
} wl_factor_tables;

/* The arrays of one tensor at one step. The arrays start with the tensor's first coordinate. */
typedef struct wl_feature_view {
  wl_feature_kind kind;
  int momenta;
  /* true: the tensor has two or more dimensions; false: each coordinate is a row, and C equals R */
  bool factored;
  int64_t line;                /* number of coordinates in a line */
  const int32_t *row, *column; /* [lines] row and column of the first coordinate in each line */
  bool row_advances, column_advances;
  /* number of taps, which are the positions in a convolution's kernel; the features of each tap
   * are normalised separately */
  int64_t taps;
  const wl_real *tap_scale; /* [taps][WL_MOST_FEATURES] factors that normalise the features */
  const wl_real *g, *p;
  const wl_real *m_in[WL_MOST_MOMENTA], *v_in;
  wl_real *m_out[WL_MOST_MOMENTA], *v_out;
  wl_real m_keep[WL_MOST_MOMENTA], m_take[WL_MOST_MOMENTA], v_keep, v_take;
  wl_factor_tables table;
  wl_real *u;
} wl_feature_view;

/* The network in the layout that the kernel reads. A layer consists of tiles of WL_NET_ROWS units.
 * A tile contains the biases of its units, followed by the weights of each input. The last layer is
 * a single tile with one row for each output. */
typedef struct wl_packed_net {
  int inputs, layers; /* inputs: number of inputs; layers: number of hidden layers */
  /* The contributions of the table entries to each unit of the first layer, in the layout of
   * wl_feature_kernel.combine. The contributions of rows include the bias. If the length of a line
   * is a multiple of the vector length, the code uses row_part and column_part, and the network
   * reads only the features that are not table entries. The features m_j r_j c_j then have the
   * indices that the features R_j have if the network reads all features. If row_part and
   * column_part are NULL, the network reads all features. */
  const wl_real *row_part, *column_part;
  /* number of units in each hidden layer, rounded up to a multiple of WL_NET_ROWS */
  int width[4];
  bool magnitude; /* true: u = scale o_0 exp(exponent o_1); false: u = scale o_0 */
  wl_real scale, exponent;
  const wl_real *weight; /* packed biases and weights of the first layer */
  const wl_real *upper;  /* packed biases and weights of the other layers */
} wl_packed_net;

/* Number of groups into which the lines of a tensor are divided. The squares of g are first summed
 * in each group, so that several threads can sum at the same time. */
enum { WL_LINE_GROUPS = 8 };
typedef struct wl_follow {
  double decay, length;
  /* [WL_LINE_GROUPS][stride] sums of the squares of g over each group of lines */
  const wl_real *sums;
  int64_t stride;
} wl_follow;

typedef struct wl_inverse_root {
  double divisor, shift, least;
} wl_inverse_root;

/* The arguments of `combine`, which computes sum_k by_k from_k + bias for each unit and for each
 * entry of the tables `from`. If the index (row or column) advances along a line, the result has
 * the layout [count / lanes][units][lanes]. If the index does not advance, the layout is
 * [count][units]. */
typedef struct wl_combination {
  int units;
  const wl_real *by;                    /* [2 * WL_FACTORED][units] the weights by_k */
  const wl_real *bias;                  /* [units] the biases */
  const wl_real *from[2 * WL_FACTORED]; /* [count] each */
  bool advances;
} wl_combination;

typedef struct wl_feature_kernel {
  /* Adds the squares of g in `count` lines, from the line `first` onwards, to the sums of rows and
   * columns. */
  void (*squares)(const wl_feature_view *view, int64_t first, int64_t count, wl_real *rows,
                  wl_real *columns);
  /* Computes the new momenta and second moments of `count` coordinates, from the coordinate `first`
   * onwards. The function also writes the sums of the squares of the features to sums
   * [WL_MOST_FEATURES]. The sums of features that are table entries are 0. If there are several
   * taps, `sums` has the shape [taps][WL_MOST_FEATURES] and includes all features. */
  void (*moments)(const wl_feature_view *view, int64_t first, int64_t count, double *sums);
  /* Computes the network's result u from the new moments. */
  void (*forward)(const wl_feature_view *view, const wl_packed_net *net, int64_t first,
                  int64_t count);
  /* Computes new = b old + (1 - b) (sum / length + 1e-30) for `count` rows or columns. Here b is
   * the decay, and `sum` is the sum of the squares over all groups of lines. */
  void (*follow)(const wl_follow *f, int64_t count, const wl_real *old, wl_real *new);
  /* Computes out = 1 / sqrt(max(x / divisor + shift, least)) for each of `count` elements. */
  void (*inverse_roots)(const wl_inverse_root *f, int64_t count, const wl_real *x, wl_real *out);
  /* Copies `tiles` groups of WL_NET_ROWS numbers from `from` to `to`, and multiplies each number by
   * `scale`. In `to`, the groups are `size` elements apart. */
  void (*pack)(int tiles, int size, const double *from, double scale, wl_real *to);
  void (*combine)(const wl_combination *c, int64_t count, wl_real *out);
  /* The function sum_squares returns the sum of the squares of the n elements of u. The function
   * rescale computes u <- along u + decay p. */
  double (*sum_squares)(int64_t n, const wl_real *u);
  void (*rescale)(int64_t n, double along, wl_real *u, double decay, const wl_real *p);
} wl_feature_kernel;

/* Returns the functions that are compiled for the instruction set of this processor. */
const wl_feature_kernel *wl_feature_kernel_select(void);

#endif
