/* feature_net.h - update rules that apply a small net to normalised features of each coordinate: mlp, small_fc, celo2.
 *
 * The formulas apply to each tensor (source: Metz et al. 2022, learned_optimization). Each moment has a separate decay
 * b; g is the gradient, p the parameter, t the inner step, and a prime marks a new value:
 *
 *   m_j' = b m_j + (1 - b) g;   v' = b v + (1 - b) g^2
 *   R_j' = b R_j + (1 - b) mean over the largest axis of (g^2 + 1e-30);   C_j' likewise over the second largest
 *   r_j  = 1 / sqrt(max(R_j / (mean R_j + 1e-9), 1e-9)), the mean over the second largest axis
 *   c_j  = 1 / sqrt(max(C_j, 1e-9))
 *   x_k  = f_k / sqrt(e + mean f_k^2)      features of feature_kernel.h, normalised over the tensor
 *   o    = net(x, tanh(t / tau - 1) for tau = 1, 3, 10 .. 1e5)      ReLU
 *
 * For vectors and scalars, V_j' = b V_j + (1 - b) (g^2 + 1e-30) replaces R_j and C_j. The factor r_j c_j is then 1 /
 * sqrt(max(V_j + 1e-9, 1e-9)) in products with g, and 1 / sqrt(V_j + 1e-6) in products with m_j. No moment is
 * bias-corrected.
 *
 *   mlp, small_fc   u = -step_scale o_0 exp(exponent_scale o_1)
 *   celo2           u = -a (N(o_0) / sqrt(1e-9 + mean N(o_0)^2) + w p), a: rate times schedule
 *                   N: five Newton-Schulz steps or the identity, normalised over the first two axes for each tap
 *
 * A step takes three passes over the coordinates. The first pass sums g^2 over rows and columns. The second pass
 * computes moments and the sums of squares of the features. The third pass computes the features and the net. The
 * packed weights of the first layer include the normalisers, and the packed bias of the first layer includes the time
 * inputs. */
#ifndef WL_RULE_FEATURE_NET_H
#define WL_RULE_FEATURE_NET_H

#include "rule/feature_kernel.h"
#include "rule/schedule.h"
#include "rule/tensors.h"

enum { WL_TIMES = 11, WL_NET_MOST_LAYERS = 3, WL_VECTOR_FEATURES = 15 };
enum { WL_ROW_TABLES = 3, WL_COLUMN_TABLES = 2 }; /* numbers of tables for each decay */

/* The parameters that distinguish the rules. */
typedef struct wl_feature_rule {
  wl_feature_kind kind;
  int features, times, momenta, outputs;
  bool learned_decays;
  double m_decay[WL_MOST_MOMENTA], v_decay, factored_decay[WL_FACTORED];
  double epsilon; /* e of the normaliser */
  wl_ints hidden; /* hidden widths from the configuration; used only while the rule is created */
  int layers, width[WL_NET_MOST_LAYERS];
  double step_scale, exponent_scale; /* mlp, small_fc */
  bool newton_schulz, adam_vectors;  /* celo2 */
  double rate, weight_decay, vector_rate;
  wl_schedule schedule;
  /* For celo2: replaces the net's output in step->u by the update. NULL: the net's output is the update. */
  void (*finish)(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step);
  int64_t weight[WL_NET_MOST_LAYERS + 1], bias[WL_NET_MOST_LAYERS + 1]; /* offsets in phi */
  struct {
    int64_t m, v, factored;
  } decay_at; /* offsets in phi of learned decays */
} wl_feature_rule;

/* The current net and decays, decoded from phi. */
typedef struct wl_feature_phi {
  double m[WL_MOST_MOMENTA], v, factored[WL_FACTORED]; /* decays */
  const double *phi;                                   /* [phi.size] */
} wl_feature_phi;

/* Indices and tables of one tensor. */
typedef struct wl_feature_tensor {
  const int32_t *line_row, *line_column; /* [lines] */
  const int32_t *row_group;              /* [rows] index over the axes other than the two largest */
  int64_t line, lines, groups,
      second;      /* length of a line; numbers of lines and groups; length of the second axis */
  int64_t largest; /* length of the largest axis */
  bool row_advances, column_advances;
  int64_t taps; /* number of taps that are normalised separately; 1 except for celo2 */
  int64_t sums; /* offset of the sums of the tensor's pieces */
  int64_t partial, inverse, part; /* offsets in the workspace's arrays with these names */
} wl_feature_tensor;

/* Additional memory for the adjoint. */
typedef struct wl_feature_adjoint {
  wl_real *states;  /* [WL_CHUNK_STEPS + 1][state] */
  wl_real *mu;      /* [state] adjoint of the state if the chunk has no `mu` */
  double *features; /* [largest tensor][WL_MOST_FEATURES + 1] */
  double *dots;     /* [most taps][WL_MOST_FEATURES] */
  double *bars;     /* adjoints of a tensor's tables */
} wl_feature_adjoint;

typedef struct wl_feature_ws {
  wl_tensors tensors;
  wl_feature_tensor *tensor; /* [tensors] */
  int32_t *index;            /* memory of `line_row`, `line_column` and `row_group` */
  const wl_feature_kernel *kernel;
  wl_feature_view *view; /* [tensors] */
  wl_packed_net *net;    /* [tensors] */
  wl_real *packed;       /* [tensors][packed_size] first layers */
  wl_real *upper;        /* packed layers above the first, shared by all tensors */
  int64_t packed_size;
  double *phi_copy; /* [phi.size] */
  wl_feature_phi phi;
  double time[WL_TIMES];
  wl_real *part;    /* [tensors][units of the first layer][rows + columns] */
  wl_real *partial; /* [tensors][groups of lines][rows + columns] squares of g */
  wl_real *table;   /* rows: 3 x (inverse, g factor, m factor), columns: 3 x (inverse, factor) */
  int64_t rows, columns; /* rows and columns of all tensors */
  double *piece_sum;     /* [pieces][taps][WL_MOST_FEATURES] */
  double *inverse;       /* [tensors][taps][WL_MOST_FEATURES] 1 / sqrt(e + mean f^2) */
  wl_real *tap_scale;    /* `inverse` in working precision */
  wl_real *scratch;      /* [scratch_threads][scratch_size] of Newton-Schulz */
  int64_t scratch_size;
  wl_feature_adjoint adjoint; /* zeros unless the workspace is for an adjoint */
} wl_feature_ws;

/* Creates a rule from `fixed`. Configured keys override members of `fixed`. wl_rule_ops.create of these rules calls
 * this function. */
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

/* Computes the new state, the tables of the state and the normalisers. Does not evaluate the net. */
void wl_feature_rule_advance(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step);
/* These functions return values of tensor j. wl_feature_squares returns the sums of squares of g by groups of lines,
 * [WL_LINE_GROUPS][rows + columns]. wl_feature_inverse returns 1 / sqrt(e + mean f^2), [taps][WL_MOST_FEATURES]. */
const wl_real *wl_feature_squares(const wl_feature_ws *ws, int j);
const double *wl_feature_inverse(const wl_feature_ws *ws, int j);
/* Returns true if the rule keeps factored moments. */
static inline bool wl_feature_factors(const wl_feature_rule *f) {
  return f->kind != WL_FEATURES_MLP;
}
/* Returns the number of units of a hidden layer, including the padding of its last tile. */
static inline int wl_feature_padded(int width) {
  return (width + WL_NET_ROWS - 1) / WL_NET_ROWS * WL_NET_ROWS;
}
static inline int wl_feature_inputs(const wl_feature_rule *f, int layer) {
  return layer == 0 ? f->features + f->times : f->width[layer - 1];
}
static inline int wl_feature_units(const wl_feature_rule *f, int layer) {
  return layer < f->layers ? f->width[layer] : f->outputs;
}

/* Keys of these rules. */
/* clang-format off */
#define WL_HIDDEN_OPTION(fallback, text)                                                          \
  {"hidden", WL_OPT_INTS, fallback, NULL, 1, WL_NET_MOST_WIDTH, "1",                              \
   "Units of each hidden layer, one to three layers." text, WL_SLOT(wl_feature_rule, hidden)}
#define WL_STEP_OPTIONS(text)                                                                     \
  {"step_scale", WL_OPT_REAL, "0.001", NULL, 0, 1e9, "1", "Factor of the step." text,             \
   WL_SLOT(wl_feature_rule, step_scale)},                                                         \
  {"exponent_scale", WL_OPT_REAL, "0.001", NULL, 0, 1e3, "1",                                     \
   "Factor f of the second output o2; the step is proportional to exp(f o2).",                     \
   WL_SLOT(wl_feature_rule, exponent_scale)}
/* clang-format on */

#endif
