/* feature_net.h - declares the update rules mlp, small_fc and celo2, which apply a small network to
 * normalised features of each coordinate.
 *
 * The formulas, from the library learned_optimization (Metz et al. 2022), apply to each tensor
 * separately. Here g is the gradient, p is the parameter, and t is the inner step. Each moment has
 * a separate decay b. A prime marks a new value:
 *
 *   m_j' = b m_j + (1 - b) g;   v' = b v + (1 - b) g^2
 *   R_j' = b R_j + (1 - b) mean_1(g^2 + 1e-30);   C_j' = b C_j + (1 - b) mean_2(g^2 + 1e-30)
 *   r_j  = 1 / sqrt(max(R_j / (mean_2 R_j + 1e-9), 1e-9));   c_j  = 1 / sqrt(max(C_j, 1e-9))
 *   x_k  = f_k / sqrt(e + mean f_k^2)
 *   o    = net(x, tanh(t / tau - 1))
 *
 * mean_1 is the mean over the largest axis of the tensor, and mean_2 is the mean over the second
 * largest axis. The header feature_kernel.h lists the features f_k. The mean of f_k^2 is the mean
 * over the coordinates of the tensor. The network's hidden units are rectified linear units (ReLU).
 * The inputs of the network include tanh(t / tau - 1) for 11 values of tau from 1 to 1e5.
 *
 * For vectors and scalars, V_j' = b V_j + (1 - b) (g^2 + 1e-30) replaces R_j and C_j. In products
 * with g, the factor r_j c_j is then 1 / sqrt(max(V_j + 1e-9, 1e-9)). In products with m_j, the
 * factor r_j c_j is 1 / sqrt(V_j + 1e-6). The moments have no bias correction. The updates of the
 * rules are:
 *
 *   mlp, small_fc   u = -step_scale o_0 exp(exponent_scale o_1)
 *   celo2           u = -a (N(o_0) / sqrt(1e-9 + mean N(o_0)^2) + w p)
 *
 * Here a is the rate times the factor of the schedule, and w is the weight decay. N is the result
 * of five Newton-Schulz steps, or the identity. For celo2, the means of a convolution's kernel are
 * computed separately for each tap (position in the kernel), over the first two axes.
 *
 * A step needs three passes over the coordinates. The first pass over the coordinates sums g^2 over
 * rows and columns. The second pass over the coordinates computes the moments and the sums of
 * squares of the features. The third pass over the coordinates computes the features and the
 * network. Before the third pass, the weights of the first layer are multiplied by the normalisers,
 * and the contributions of the time inputs are added to the biases of the first layer. */
#ifndef WL_RULE_FEATURE_NET_H
#define WL_RULE_FEATURE_NET_H

#include "rule/feature_kernel.h"
#include "rule/schedule.h"
#include "rule/tensors.h"

enum { WL_TIMES = 11, WL_NET_MOST_LAYERS = 3, WL_VECTOR_FEATURES = 15 };
/* numbers of row tables and of column tables for each decay */
enum { WL_ROW_TABLES = 3, WL_COLUMN_TABLES = 2 };

/* The parameters in which the rules differ. */
typedef struct wl_feature_rule {
  wl_feature_kind kind;
  int features, times, momenta, outputs;
  bool learned_decays;
  double m_decay[WL_MOST_MOMENTA], v_decay, factored_decay[WL_FACTORED];
  double epsilon; /* the number e in the normalisers of the features */
  /* numbers of units of the hidden layers, from the configuration; used only while the rule is
   * created */
  wl_ints hidden;
  int layers, width[WL_NET_MOST_LAYERS];
  double step_scale, exponent_scale; /* parameters of the rules mlp and small_fc */
  bool newton_schulz, adam_vectors;  /* parameters of the rule celo2 */
  double rate, weight_decay, vector_rate;
  wl_schedule schedule;
  /* Replaces the network's output in step->u by the update. Only celo2 has this function. If the
   * pointer is NULL, the network's output is the update. */
  void (*finish)(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step);
  /* offsets in phi of each layer's weights and biases */
  int64_t weight[WL_NET_MOST_LAYERS + 1], bias[WL_NET_MOST_LAYERS + 1];
  struct {
    int64_t m, v, factored;
  } decay_at; /* offsets in phi of the learned decays */
} wl_feature_rule;

/* The values of the meta-parameters that the current step uses. */
typedef struct wl_feature_phi {
  double m[WL_MOST_MOMENTA], v, factored[WL_FACTORED]; /* decays of the moments */
  const double *phi;                                   /* [phi.size] meta-parameters */
} wl_feature_phi;

/* Indices of the lines and rows of one tensor, and offsets of its arrays in the workspace. */
typedef struct wl_feature_tensor {
  /* [lines] row and column of the first coordinate in each line */
  const int32_t *line_row, *line_column;
  /* [rows] index of the group to which the row belongs; all rows of a group have the same index
   * along each axis except the two largest axes */
  const int32_t *row_group;
  /* line: number of coordinates in a line; lines, groups: numbers of lines and of groups of rows;
   * second: length of the second largest axis */
  int64_t line, lines, groups, second;
  int64_t largest; /* length of the largest axis */
  bool row_advances, column_advances;
  /* number of taps (positions in a convolution's kernel) whose features are normalised separately;
   * always 1 for the rules other than celo2 */
  int64_t taps;
  int64_t sums;                   /* offset of this tensor's sums in piece_sum */
  /* offsets of this tensor's values in the workspace's arrays `partial`, `inverse` and `part` */
  int64_t partial, inverse, part;
} wl_feature_tensor;

/* Arrays that only a workspace for adjoints has. */
typedef struct wl_feature_adjoint {
  /* [WL_CHUNK_STEPS + 1][state] the states before and after each step of a chunk */
  wl_real *states;
  wl_real *mu; /* [state] adjoint of the state, used if the chunk has no array `mu` */
  /* [size of the largest tensor][WL_MOST_FEATURES + 1] features and network output of each
   * coordinate */
  double *features;
  double *dots; /* [largest number of taps][WL_MOST_FEATURES] sums of x xbar over each tap */
  double *bars; /* adjoints of the tables of one tensor */
} wl_feature_adjoint;

typedef struct wl_feature_ws {
  wl_tensors tensors;
  wl_feature_tensor *tensor; /* [tensors] */
  int32_t *index;            /* memory to which `line_row`, `line_column` and `row_group` point */
  const wl_feature_kernel *kernel;
  wl_feature_view *view; /* [tensors] */
  wl_packed_net *net;    /* [tensors] */
  wl_real *packed;       /* [tensors][packed_size] packed first layer of each tensor */
  /* packed copy of the layers after the first layer; all tensors use this copy */
  wl_real *upper;
  int64_t packed_size;
  double *phi_copy; /* [phi.size] meta-parameters in double precision */
  wl_feature_phi phi;
  double time[WL_TIMES];
  /* [tensors][units of the first layer][rows + columns] contributions of table entries */
  wl_real *part;
  wl_real *partial; /* [tensors][groups of lines][rows + columns] sums of squares of g */
  wl_real *table;   /* tables of all tensors; set_tables in feature_moments.c defines their order */
  int64_t rows, columns; /* total numbers of rows and of columns in all tensors */
  double *piece_sum;     /* [pieces][taps][WL_MOST_FEATURES] sums of squares of the features */
  /* [tensors][taps][WL_MOST_FEATURES] factor 1 / sqrt(e + mean f^2) that normalises each feature */
  double *inverse;
  wl_real *tap_scale;    /* the values of `inverse`, converted to wl_real */
  wl_real *scratch;      /* [threads][scratch_size] scratch memory of the Newton-Schulz steps */
  int64_t scratch_size;
  wl_feature_adjoint adjoint; /* allocated only if the workspace is for adjoints */
} wl_feature_ws;

/* Creates a rule. The rule starts as a copy of `fixed`; the values of configured keys then replace
 * members of the copy. The member `create` of wl_rule_ops calls this function for mlp, small_fc and
 * celo2. */
wl_status wl_feature_rule_create(const wl_feature_rule *fixed, const wl_map *options,
                                 const wl_rule_setting *setting, wl_rule *rule);
void wl_feature_rule_destroy(wl_rule *rule);
void wl_feature_rule_init(const wl_rule *rule, uint64_t seed, wl_real *phi);
void wl_feature_rule_pack(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi);
void wl_feature_rule_step(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step);
void wl_feature_rule_backward(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                              double *phi_grad);
wl_status wl_feature_rule_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                    int threads, void **out);
void wl_feature_rule_ws_destroy(void *impl);
size_t wl_feature_rule_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint,
                                int threads);

/* Computes the new state, the tables and the normalisers, but not the network. */
void wl_feature_rule_advance(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step);
/* These two functions return arrays of tensor j. The function wl_feature_squares returns the sums
 * of squares of g for each group of lines, [WL_LINE_GROUPS][rows + columns]. The function
 * wl_feature_inverse returns the normalisers 1 / sqrt(e + mean f^2), [taps][WL_MOST_FEATURES]. */
const wl_real *wl_feature_squares(const wl_feature_ws *ws, int j);
const double *wl_feature_inverse(const wl_feature_ws *ws, int j);
/* Returns true if the rule has factored moments. */
static inline bool wl_feature_factors(const wl_feature_rule *f) {
  return f->kind != WL_FEATURES_MLP;
}
/* Returns the number of units in a hidden layer, including the padding units of its last tile. */
static inline int wl_feature_padded(int width) {
  return (width + WL_NET_ROWS - 1) / WL_NET_ROWS * WL_NET_ROWS;
}
static inline int wl_feature_inputs(const wl_feature_rule *f, int layer) {
  return layer == 0 ? f->features + f->times : f->width[layer - 1];
}
static inline int wl_feature_units(const wl_feature_rule *f, int layer) {
  return layer < f->layers ? f->width[layer] : f->outputs;
}

/* The options that several of the rules mlp, small_fc and celo2 have. */
/* clang-format off */
#define WL_HIDDEN_OPTION(fallback, text)                                                          \
  {"hidden", WL_OPT_INTS, fallback, NULL, 1, WL_NET_MOST_WIDTH, "1",                              \
   "Number of units of each of 1 to 3 hidden layers." text, WL_SLOT(wl_feature_rule, hidden)}
#define WL_STEP_OPTIONS(text)                                                                     \
  {"step_scale", WL_OPT_REAL, "0.001", NULL, 0, 1e9, "1", "Factor that multiplies the step." text, \
   WL_SLOT(wl_feature_rule, step_scale)},                                                         \
  {"exponent_scale", WL_OPT_REAL, "0.001", NULL, 0, 1e3, "1",                                     \
   "Factor f; the step is proportional to exp(f o), where o is the network's second output.",     \
   WL_SLOT(wl_feature_rule, exponent_scale)}
/* clang-format on */

#endif
