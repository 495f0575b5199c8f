/* test_tensor_rules.c - tests the rules that use the shapes of tensors, in both precisions. The tests compare the
 * updates with the results of an independent script (tests/reference/tensor_rules.py). They also cover threads,
 * symmetries, and the scale of gradients. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/rule_fixture.h"
#include "reference/tensor_rules_values.h"
#include "rule/newton_schulz.h"
#include "rule/tensors.h"
#ifdef WL_DOUBLE
#include "reference/tensor_rules_grad_values.h"
#endif

#ifdef WL_DOUBLE
static const double tolerance = 1e-9;
#else
static const double tolerance = 1e-2; /* Newton-Schulz steps enlarge rounding errors */
#endif

enum { SHAPES = 5, MOST_PHI = 4000, MOST_STATE = 32 * TENSOR_N };
static const struct {
  int ndim;
  int64_t shape[WL_MAX_DIMS];
} shapes[SHAPES] = {{1, {7}}, {2, {17, 16}}, {2, {3, 16}}, {4, {3, 2, 2, 2}}, {1, {1}}};

typedef struct runner {
  wl_layout theta;
  wl_rule *rule;
  wl_rule_ws *ws;
  wl_real phi[MOST_PHI];
  wl_real g[TENSOR_N + WL_LANES], p[TENSOR_N + WL_LANES], u[TENSOR_N + WL_LANES];
  wl_real state[MOST_STATE];
} runner;

static void open_rule(runner *r, const char *options, int threads) {
  wl_config *config = NULL;
  if (fixture_config("rule", wl_rule_variants(), options, &config) != WL_OK)
    fail_msg("%s", wl_last_error());
  const wl_rule_setting setting = {.theta = &r->theta, .episode_steps = TENSOR_T};
  if (wl_rule_create(wl_config_map(config, "rule", 0), &setting, &r->rule) != WL_OK)
    fail_msg("%s", wl_last_error());
  wl_config_destroy(&config);
  assert_true(r->rule->phi.size <= MOST_PHI);
  assert_true(wl_rule_state_reals(r->rule, &r->theta) <= MOST_STATE);
  assert_int_equal(wl_rule_ws_create(r->rule, &r->theta, true, threads, &r->ws), WL_OK);
  if (r->rule->phi.size == 0) return;
  r->rule->ops->init(r->rule, 1, r->phi);
}

/* Sets the same meta-parameters as tensor_rules.py: the initial values that are not drawn, with small changes. */
static void wiggle_phi(runner *r) {
  const wl_tensor_entry *const base = wl_layout_find(&r->rule->phi, "base");
  const bool lbfgs = strcmp(r->rule->ops->name, "lbfgs") == 0;
  const int64_t kept = lbfgs ? r->rule->phi.size : base ? base->size : 0;
  for (int64_t i = 0; i < r->rule->phi.size; i++)
    r->phi[i] = (i < kept ? r->phi[i] : 0) + (wl_real)(0.2 * sin(0.6 * (double)i + 0.1));
}

static void open_runner(runner *r, const char *options, int threads) {
  memset(r, 0, sizeof *r);
  char name[] = "tensor0";
  for (int j = 0; j < SHAPES; j++, name[6]++)
    assert_int_equal(wl_layout_add(&r->theta, "", name, shapes[j].ndim, shapes[j].shape, NULL),
                     WL_OK);
  assert_int_equal(r->theta.size, TENSOR_N);
  open_rule(r, options, threads);
  for (int i = 0; i < TENSOR_N; i++) r->p[i] = (wl_real)(0.3 * sin(1.1 * i + 0.2));
}

static void close_runner(runner *r) {
  wl_rule_ws_destroy(&r->ws);
  wl_rule_destroy(&r->rule);
  wl_layout_clear(&r->theta);
}

static void set_gradient(runner *r, int t, double scale) {
  for (int j = 0; j < SHAPES; j++)
    for (int64_t k = 0; k < r->theta.tensors[j].size; k++) {
      const double i = (double)(r->theta.tensors[j].offset + k);
      r->g[r->theta.tensors[j].offset + k] =
          (wl_real)(scale * 0.01 * (j + 1) * sin(0.9 * i + 1.7 * t + 0.01 * i * i));
    }
}

static double loss_at(int t) { return 2.0 / (1.0 + t); }

static void take_step(runner *r, int t) {
  const wl_inner_step step = {t,    TENSOR_T, loss_at(t), wl_blocks(TENSOR_N),
                              r->g, r->p,     r->state,        r->state,
                              r->u, NULL};
  wl_rule_step(r->rule, r->ws, &step);
  for (int i = 0; i < TENSOR_N; i++) r->p[i] += r->u[i];
}

static double rms_of(const double *x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
  return sqrt(sum / (double)n);
}

/* Compares the error of each element with the root mean square of its tensor. */
static void compare(const runner *r, const char *options, int t, const double *expected) {
  for (int j = 0; j < SHAPES; j++) {
    const wl_tensor_entry *const b = &r->theta.tensors[j];
    const double size = rms_of(expected + b->offset, b->size);
    for (int64_t i = b->offset; i < b->offset + b->size; i++) {
      const double error = fabs((double)r->u[i] - expected[i]);
      if (!(error <= tolerance * size))
        fail_msg("%s: step %d, tensor %d, coordinate %d: %.17g, the script has %.17g", options, t,
                 j, (int)i, (double)r->u[i], expected[i]);
    }
  }
  for (int i = TENSOR_N; i < wl_pad(TENSOR_N); i++) assert_true(r->u[i] == 0);
}

static void test_values(void **state) {
  (void)state;
  static runner r;
  for (int c = 0; c < TENSOR_CASES; c++) {
    open_runner(&r, tensor_cases[c].options, 1);
    wiggle_phi(&r);
    wl_rule_pack(r.rule, r.ws, r.phi);
    for (int t = 0; t < TENSOR_STEPS; t++) {
      set_gradient(&r, t, 1);
      take_step(&r, t);
      compare(&r, tensor_cases[c].options, t, tensor_cases[c].u[t]);
    }
    close_runner(&r);
  }
}

/* ---- a network with one matrix ---- */

enum { SOLE_ROW = 28, B = 0, A1 = 2, K1 = 4, K2, TAU, ALPHA, Q, W, LAMBDA, DELTA, KAPPA, NU };

/* Returns the length of the step of a coordinate of the only matrix, by the formulas of controller.c. The gradient of
 * step 0 is g, and the gradient of step 1 is c g with a number c. All means of a coordinate are therefore multiples of g
 * or g^2. The argument r is RMS(p) sqrt(fan-in). */
static double sole_length(const double *own, int t, double c, const double *loss, double r) {
  const double m = t == 0 ? 1 : (0.09 + 0.1 * c) / 0.19, s = t == 0 ? 1 : (0.0099 + 0.01 * c) / 0.0199;
  const double v = t == 0 ? 1 : (0.0099 + 0.01 * c * c) / 0.0199, fast = t == 0 ? loss[0] : (0.09 * loss[0] + 0.1 * loss[1]) / 0.19;
  const double averaged = (0.0099 * 0.0099 + 0.0001) / (0.0199 * 0.0199); /* the sum of the squared weights of s */
  const double rho = t == 0 ? 1 : fmax(0, (s * s / v - averaged) / (1 - averaged));
  const double z = m + own[K1] * ((t == 0 ? 1 : c) - m) + own[K2] * (s - m);
  return exp(own[B]) * pow(TENSOR_T / 2000.0, -own[TAU]) * pow(2.0 / 3, -own[DELTA]) * pow(r, own[ALPHA]) / sqrt(17) *
         pow(1 - (double)t / TENSOR_T, exp(own[Q])) * fmin(1, (t + 1) / (own[W] * TENSOR_T + 1)) *
         pow(fmin(1, fast / loss[0]), own[LAMBDA]) * pow(fmin(1, fabs(s / m)), own[KAPPA]) * pow((rho + 0.02) / 0.52, own[NU]) *
         (own[A1] * z + own[A1 + 1] * s) / sqrt(v);
}

/* The only matrix of a network must use the third row of learned scalars, and a vector must use the second row. In the
 * first two steps, each coordinate of the matrix must move against the sign of its gradient by the length that
 * sole_length() computes. The loss falls and the gradient changes, so in the second step every factor differs from 1. */
static void test_a_single_matrix_has_its_own_scalars(void **state) {
  (void)state;
  static runner r;
  memset(&r, 0, sizeof r);
  const int64_t shape[2] = {17, 16}, size = 17 * 16;
  assert_int_equal(wl_layout_add(&r.theta, "", "weight", 2, shape, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&r.theta, "", "bias", 1, shape + 1, NULL), WL_OK);
  open_rule(&r, "name: controller, net: false", 1);
  const double own[14] = {-1, 0, 0.8, 0.3, 0.2, -0.1, 0.3, 0.4, 0.6, 0.5, -0.7, 0.9, 1.6, 0.5}, loss[2] = {2, 0.5};
  for (int k = 0; k < 14; k++) r.phi[SOLE_ROW + k] = (wl_real)own[k];
  wl_rule_pack(r.rule, r.ws, r.phi);
  double square = 0;
  for (int i = 0; i < r.theta.size; i++) {
    r.p[i] = (wl_real)(0.3 * sin(1.1 * i + 0.2));
    r.g[i] = (wl_real)(0.1 * sin(0.9 * i + 0.1 * i * i) + 1e-3);
    if (i < size) square += (double)(r.p[i] * r.p[i]);
  }
  for (int t = 0; t < 2; t++) {
    const double c = 3, length = sole_length(own, t, c, loss, sqrt(square / (double)size) * sqrt(17));
    for (int i = 0; t == 1 && i < r.theta.size; i++) r.g[i] *= (wl_real)c;
    const wl_inner_step step = {t,       TENSOR_T, loss[t], wl_blocks(r.theta.size), r.g, r.p, r.state,
                                r.state, r.u,      NULL};
    wl_rule_step(r.rule, r.ws, &step);
    for (int i = 0; i < size; i++)
      if (!(fabs((double)r.u[i] + copysign(length, (double)r.g[i])) <= 2e-4 * length))
        fail_msg("step %d, coordinate %d: %.9g, not %.9g against the gradient", t, i, (double)r.u[i], length);
    for (int64_t i = size; i < r.theta.size; i++) assert_true(fabs((double)r.u[i]) < 0.5 * length);
  }
  close_runner(&r);
}

/* ---- gradients ---- */

#ifdef WL_DOUBLE
static double slope(int i) { return 1 + 0.01 * i; }

/* Sets the adjoint of <r, s> with respect to the state s, where each field has a different r. */
static void start_adjoint(const runner *r, double *mu) {
  memset(mu, 0, MOST_STATE * sizeof *mu);
  for (int f = 0; f < r->rule->n_fields; f++) {
    const int64_t from = wl_rule_field_offset(r->rule, &r->theta, f),
                  to = wl_rule_field_offset(r->rule, &r->theta, f + 1);
    const bool coordinates = r->rule->fields[f].extent == WL_STATE_COORDINATE;
    for (int64_t i = 0; i < (coordinates ? TENSOR_N : to - from); i++)
      mu[from + i] = sin(0.3 * (double)i + f);
  }
}

static void compare_gradient(const char *options, const char *what, int64_t n, const double *found,
                             const double *expected) {
  const double size = rms_of(expected, n);
  for (int64_t i = 0; i < n; i++)
    if (!(fabs(found[i] - expected[i]) <= 1e-9 * size))
      fail_msg("%s: %s[%d]: %.17g, PyTorch has %.17g", options, what, (int)i, found[i],
               expected[i]);
}

enum { PAD = (TENSOR_N + WL_LANES - 1) / WL_LANES * WL_LANES };
typedef struct traced {
  double g[TENSOR_STEPS][PAD], theta[TENSOR_STEPS + 1][PAD], loss_grad[TENSOR_STEPS + 1][PAD];
  double state[TENSOR_STEPS][MOST_STATE], lam[PAD], mu[MOST_STATE], gbar[TENSOR_STEPS][PAD];
  double loss[TENSOR_STEPS], loss_bar[TENSOR_STEPS], phi[MOST_PHI];
} traced;

static const double loss_weight[TENSOR_STEPS + 1] = {0.3, -0.7, 1.1, 0.9};

static void trace(runner *r, traced *x) {
  for (int t = 0; t <= TENSOR_STEPS; t++) {
    memcpy(x->theta[t], r->p, sizeof x->theta[t]);
    for (int i = 0; i < TENSOR_N; i++) x->loss_grad[t][i] = slope(i) * cos(slope(i) * r->p[i] + t);
    if (t == TENSOR_STEPS) break;
    memcpy(x->state[t], r->state, sizeof x->state[t]);
    set_gradient(r, t, 1);
    memcpy(x->g[t], r->g, sizeof x->g[t]);
    x->loss[t] = loss_at(t);
    take_step(r, t);
  }
}

static void backward_steps(runner *r, traced *x, int first, int steps) {
  const wl_rule_chunk chunk = {.t0 = first,
                               .steps = steps,
                               .blocks = PAD / WL_LANES,
                               .horizon = TENSOR_T,
                               .loss = x->loss + first,
                               .loss_bar = x->loss_bar + first,
                               .g = x->g[first],
                               .theta = x->theta[first],
                               .state = x->state[first],
                               .loss_grad = x->loss_grad[first],
                               .loss_weight = loss_weight + first,
                               .lam = x->lam,
                               .mu = x->mu,
                               .gbar = x->gbar[first]};
  wl_rule_backward(r->rule, r->ws, &chunk, x->phi);
}

/* Runs the backward pass of the last step, and then the backward pass of all other steps. The adjoint of the state is
 * passed from one chunk to the other. */
static void backward(runner *r, traced *x) {
  for (int i = 0; i < TENSOR_N; i++)
    x->lam[i] = loss_weight[TENSOR_STEPS] * x->loss_grad[TENSOR_STEPS][i];
  start_adjoint(r, x->mu);
  backward_steps(r, x, TENSOR_STEPS - 1, 1);
  backward_steps(r, x, 0, TENSOR_STEPS - 1);
}

static void test_gradients(void **state) {
  (void)state;
  static runner r;
  static traced x;
  for (int c = 0; c < GRAD_CASES; c++) {
    const char *const options = grad_cases[c].options;
    memset(&x, 0, sizeof x);
    open_runner(&r, options, 1);
    wiggle_phi(&r);
    wl_rule_pack(r.rule, r.ws, r.phi);
    trace(&r, &x);
    backward(&r, &x);
    compare_gradient(options, "theta", TENSOR_N, x.lam, grad_cases[c].theta);
    compare_gradient(options, "loss", TENSOR_STEPS, x.loss_bar, grad_cases[c].loss);
    compare_gradient(options, "phi", r.rule->phi.size, x.phi, grad_cases[c].phi);
    for (int t = 0; t < TENSOR_STEPS; t++)
      compare_gradient(options, "g", TENSOR_N, x.gbar[t], grad_cases[c].g[t]);
    close_runner(&r);
  }
}
#endif

/* ---- Newton-Schulz steps ---- */

/* Computes out [m][n] = A B, or A^T B if `transposed` is true. A has `terms` columns, or `terms` rows if `transposed`
 * is true. */
static void multiply(int m, int n, int terms, const double *a, bool transposed, const double *b,
                     double *out) {
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) {
      double sum = 0;
      for (int k = 0; k < terms; k++)
        sum += a[transposed ? k * m + i : i * terms + k] * b[k * n + j];
      out[i * n + j] = sum;
    }
}

/* Applies five steps X <- a X + X (b A + c A A) with A = X^T X, in double. */
static void plain_steps(int rows, int columns, double *x) {
  static double gram[80 * 80], square[80 * 80], y[80 * 80];
  double norm = 0;
  for (int i = 0; i < rows * columns; i++) norm += x[i] * x[i];
  for (int i = 0; i < rows * columns; i++) x[i] /= sqrt(norm) + 1e-8;
  for (int step = 0; step < 5; step++) {
    multiply(columns, columns, rows, x, true, x, gram);
    multiply(columns, columns, columns, gram, false, gram, square);
    for (int i = 0; i < columns * columns; i++) gram[i] = -4.7750 * gram[i] + 2.0315 * square[i];
    multiply(rows, columns, columns, x, false, gram, y);
    for (int i = 0; i < rows * columns; i++) x[i] = 3.4445 * x[i] + y[i];
  }
}

/* Tests all widths of tiles and partial tiles, tall and wide matrices, and sides that exceed the largest side of the
 * kernel. Also tests values that are so large or so small that their squares exceed the range of float. */
static void newton_schulz_steps(void **state) {
  (void)state;
  static const int sides[] = {1, 2, 3, 7, 8, 13, 16, 17, 31, 32, 40, 64, 65, 80};
  enum { SIDES = sizeof sides / sizeof *sides };
  static const double scales[] = {1, 1e-20, 1e25};
  static double expected[80 * 80];
  for (int a = 0; a < SIDES; a++)
    for (int b = 0; b < SIDES; b++) {
      const int rows = sides[a], columns = sides[b];
      const double size = scales[(a + b) % 3];
      wl_real *x = NULL, *scratch = NULL;
      assert_int_equal(WL_NEW(x, rows * columns), WL_OK);
      assert_int_equal(WL_NEW(scratch, wl_newton_schulz_scratch(rows, columns)), WL_OK);
      for (int i = 0; i < rows * columns; i++)
        expected[i] = x[i] =
            (wl_real)(size * (sin(0.9 * i + 0.01 * i * i) + (i % (columns + 1) == 0)));
      plain_steps(rows, columns, expected);
      const double sum = wl_newton_schulz(rows, columns, x, scratch);
      double squares = 0, largest = 0;
      for (int i = 0; i < rows * columns; i++) {
        squares += (double)x[i] * (double)x[i];
        largest = fmax(largest, fabs((double)x[i] - expected[i]));
      }
      if (!(largest <= (sizeof(wl_real) == 4 ? 2e-3 : 1e-11)))
        fail_msg("%d x %d: %g from the plain computation", rows, columns, largest);
      if (!(fabs(sum - squares) <= 1e-5 * squares + 1e-30))
        fail_msg("%d x %d: sum of squares %g, not %g", rows, columns, sum, squares);
      wl_free(x);
      wl_free(scratch);
    }
}

/* ---- symmetries ---- */

static const char *const all_rules[] = {
    "name: muon",     "name: controller", "name: controller, newton_schulz: false",
    "name: mlp",      "name: small_fc",   "name: celo2",
    "name: celo2base", "name: controller, correction: mlp",
    "name: lbfgs",    "name: lbfgs, per: tensor",
    "name: controller, correction: lstm"};
enum { ALL_RULES = sizeof all_rules / sizeof *all_rules };

/* Runs steps of a rule with its initial meta-parameters. All gradients are multiplied by `scale`. */
static void run_steps(runner *r, const char *options, int threads, double scale) {
  open_runner(r, options, threads);
  wl_rule_pack(r->rule, r->ws, r->phi);
  for (int t = 0; t < TENSOR_STEPS; t++) {
    set_gradient(r, t, scale);
    take_step(r, t);
  }
}

static void test_threads_keep_the_bits(void **state) {
  (void)state;
  static runner one, three;
  for (int i = 0; i < ALL_RULES; i++) {
    run_steps(&one, all_rules[i], 1, 1);
    run_steps(&three, all_rules[i], 3, 1);
    assert_memory_equal(one.p, three.p, sizeof one.p);
    assert_memory_equal(one.state, three.state, sizeof one.state);
    close_runner(&one);
    close_runner(&three);
  }
}

/* Exchanges the first two rows of the 17 x 16 matrix, and the first two rows of the 3 x 16 matrix. */
static void exchange_rows(const runner *r, wl_real *x) {
  for (int j = 1; j <= 2; j++) {
    const wl_tensor_entry *const b = &r->theta.tensors[j];
    for (int64_t k = 0; k < b->shape[1]; k++) {
      wl_real *const first = x + b->offset + k, *const second = first + b->shape[1];
      const wl_real kept = *first;
      *first = *second;
      *second = kept;
    }
  }
}

static void test_rows_may_be_exchanged(void **state) {
  (void)state;
  static runner plain, exchanged;
  for (int i = 0; i < ALL_RULES; i++) {
    open_runner(&plain, all_rules[i], 1);
    open_runner(&exchanged, all_rules[i], 1);
    wl_rule_pack(plain.rule, plain.ws, plain.phi);
    wl_rule_pack(exchanged.rule, exchanged.ws, exchanged.phi);
    exchange_rows(&plain, exchanged.p);
    for (int t = 0; t < TENSOR_STEPS; t++) {
      set_gradient(&plain, t, 1);
      set_gradient(&exchanged, t, 1);
      exchange_rows(&plain, exchanged.g);
      take_step(&plain, t);
      take_step(&exchanged, t);
      wl_real u[TENSOR_N + WL_LANES];
      memcpy(u, exchanged.u, sizeof u);
      exchange_rows(&plain, u);
      double expected[TENSOR_N];
      for (int k = 0; k < TENSOR_N; k++) expected[k] = (double)u[k];
      compare(&plain, all_rules[i], t, expected);
    }
    close_runner(&plain);
    close_runner(&exchanged);
  }
}

/* If all gradients are multiplied by 16, the steps of L-BFGS must not change. The steps of Muon and of the controller
 * may change only because of their epsilons. The steps of Celo2 would also change because of an input that is clipped,
 * so the weights of this input are set to 0. */
static void test_the_gradient_scale_cancels(void **state) {
  (void)state;
  static const char *const rules[] = {"name: muon, vector_rate: 0", "name: controller",
                                      "name: controller, newton_schulz: false",
                                      "name: lbfgs",
                                      "name: celo2, newton_schulz: false, vector_rate: 0"};
  static runner small, large;
  for (int i = 0; i < 5; i++) {
    open_runner(&small, rules[i], 1);
    open_runner(&large, rules[i], 1);
    if (strstr(rules[i], "celo2")) /* the weights of input 1 for 8 units */
      memset(small.phi + 8, 0, 8 * sizeof *small.phi);
    memcpy(large.phi, small.phi, sizeof small.phi);
    wl_rule_pack(small.rule, small.ws, small.phi);
    wl_rule_pack(large.rule, large.ws, large.phi);
    for (int t = 0; t < TENSOR_STEPS; t++) {
      set_gradient(&small, t, 1000);
      set_gradient(&large, t, 16000);
      take_step(&small, t);
      take_step(&large, t);
      for (int k = 0; k < TENSOR_N; k++)
        if (!(fabs((double)(small.u[k] - large.u[k])) <= 1e-2 * fabs((double)small.u[k]) + 1e-5))
          fail_msg("%s: step %d, coordinate %d: %g, with 16 times the gradient %g", rules[i], t, k,
                   (double)small.u[k], (double)large.u[k]);
    }
    close_runner(&small);
    close_runner(&large);
  }
}

/* The step of Celo2 must have the root mean square `rate` for each tensor. */
static void test_celo2_steps_have_the_size_of_the_rate(void **state) {
  (void)state;
  static runner r;
  static const char *const rules[] = {"name: celo2base, rate: 0.003", "name: celo2, rate: 0.003"};
  for (int i = 0; i < 2; i++) {
    run_steps(&r, rules[i], 1, 1);
    for (int j = i == 0 ? 0 : 1; j < (i == 0 ? SHAPES : 4); j++) {
      double u[TENSOR_N];
      const wl_tensor_entry *const b = &r.theta.tensors[j];
      for (int64_t k = 0; k < b->size; k++) u[k] = (double)r.u[b->offset + k];
      const double size = rms_of(u, b->size);
      if (!(fabs(size - 0.003) <= 1e-3 * 0.003)) fail_msg("%s: tensor %d: %g", rules[i], j, size);
    }
    close_runner(&r);
  }
}

/* If all gradients are zero, all results must be finite. */
static void test_no_gradient(void **state) {
  (void)state;
  static runner r;
  for (int i = 0; i < ALL_RULES; i++) {
    run_steps(&r, all_rules[i], 1, 0);
    for (int k = 0; k < TENSOR_N; k++)
      if (!isfinite(r.p[k])) fail_msg("%s: coordinate %d is not finite", all_rules[i], k);
    close_runner(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_values),
                                     cmocka_unit_test(test_a_single_matrix_has_its_own_scalars),
#ifdef WL_DOUBLE
                                     cmocka_unit_test(test_gradients),
#endif
                                     cmocka_unit_test(newton_schulz_steps),
                                     cmocka_unit_test(test_threads_keep_the_bits),
                                     cmocka_unit_test(test_rows_may_be_exchanged),
                                     cmocka_unit_test(test_the_gradient_scale_cancels),
                                     cmocka_unit_test(test_celo2_steps_have_the_size_of_the_rate),
                                     cmocka_unit_test(test_no_gradient)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
