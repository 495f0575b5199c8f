/* tape_fixture.c - see tape_fixture.h. */
#include "grad/tape_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "grad/directional.h"
#include "tensor/tape_impl.h"
#include "unit/cmocka_all.h"

static const char *const kind_names[LEAF_KINDS] = {"theta", "phi", "input"};

wl_node leaf(tape_builder *b, leaf_kind kind, int ndim, const int64_t *shape) {
  char name[32];
  snprintf(name, sizeof name, "leaf%d", b->leaves++);
  if (kind == LEAF_THETA) return wl_tape_theta(b->tape, name, ndim, shape);
  if (kind == LEAF_PHI) return wl_tape_phi(b->tape, "warp", name, ndim, shape);
  int64_t size = 1;
  for (int d = 0; d < ndim; d++) size *= shape[d];
  assert_true(b->inputs < MAX_LEAVES);
  b->input_size[b->inputs] = size;
  return b->input[b->inputs++] = wl_tape_input(b->tape, name, ndim, shape);
}

wl_node operand(tape_builder *b, int k, int ndim, const int64_t *shape) {
  return leaf(b, b->kind[k], ndim, shape);
}

wl_node label_leaf(tape_builder *b, int64_t count, int classes) {
  assert_true(b->labels < MAX_LEAVES);
  b->classes = classes;
  b->label_size[b->labels] = count;
  return b->label[b->labels++] = wl_tape_labels(b->tape, "labels", count);
}

/* Returns L = mean(w exp(y / 2)) + mean(y^2) / 3 + 0.1 <exp(a), b>, where y is the result of the tested operator, w
 * is an input, a is a leaf of phi and b is a leaf of theta. In this loss, two operators use y, and derivatives of
 * every order are nonzero. Both theta and phi contain a leaf that is not an operand. */
static wl_node readout(tape_builder *b, wl_node y, int64_t size) {
  wl_tape *t = b->tape;
  const wl_node flat = wl_op_reshape(t, y, 1, &size);
  const wl_node weighted =
      wl_op_mul(t, leaf(b, LEAF_INPUT, 1, &size), wl_op_exp(t, wl_op_scale(t, flat, 0.5)));
  const wl_node squares = wl_op_scale(t, wl_op_mean(t, wl_op_square(t, flat)), 1.0 / 3.0);
  const wl_node extra_phi = wl_op_exp(t, leaf(b, LEAF_PHI, 1, (const int64_t[]){3}));
  const wl_node extra_theta = wl_op_exp(t, leaf(b, LEAF_THETA, 1, (const int64_t[]){3}));
  const wl_node extra = wl_op_scale(t, wl_op_sum(t, wl_op_mul(t, extra_phi, extra_theta)), 0.1);
  return wl_op_add(t, wl_op_add(t, wl_op_mean(t, weighted), squares), extra);
}

typedef struct bench {
  wl_tape *tape;
  wl_tape_ws *ws;
  int64_t n_theta, n;                      /* number of elements of theta, and number of elements of
                                            * x = (theta, phi) */
  double *x, *g, *hu, *hv, *u, *v, *spare; /* [n] */
} bench;

static void draw(uint64_t index, int64_t n, double scale, int spaced, double *out) {
  wl_rng_normal((wl_stream){.seed = 5, .purpose = WL_FOR_PROBE, .index = index}, 0, n, scale, out);
  /* the values are multiples of 0.1 in mixed order, shifted so that their absolute values are at least 0.05 */
  for (int64_t i = 0; spaced && i < n; i++)
    out[i] = 0.1 * ((double)((i * 7919 + 3 * (int64_t)index) % n) - (double)(n / 2) + 0.5);
}

static void fill_inputs(const tape_builder *b, bench *w) {
  const double scale = b->test->scale > 0 ? b->test->scale : 1.0;
  for (int i = 0; i < b->inputs; i++)
    draw(100 + (uint64_t)i, b->input_size[i], scale, b->test->spaced,
         wl_tape_input_data(w->ws, b->input[i]));
  for (int i = 0; i < b->labels; i++)
    for (int64_t j = 0; j < b->label_size[i]; j++)
      wl_tape_label_data(w->ws, b->label[i])[j] = (int32_t)((j * 5 + 2) % b->classes);
}

static double *vector(int64_t n) {
  double *const out = calloc((size_t)n, sizeof *out);
  assert_non_null(out);
  return out;
}

static void open_bench(const tape_builder *b, bench *w) {
  w->tape = b->tape;
  w->n_theta = wl_tape_theta_layout(w->tape)->size;
  w->n = w->n_theta + wl_tape_phi_layout(w->tape)->size;
  assert_int_equal(wl_tape_ws_create(w->tape, true, &w->ws), WL_OK);
  double **const all[] = {&w->x, &w->g, &w->hu, &w->hv, &w->u, &w->v, &w->spare};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) *all[i] = vector(w->n);
  draw(1, w->n, b->test->scale > 0 ? b->test->scale : 1.0, b->test->spaced, w->x);
  draw(2, w->n, 1.0, 0, w->u);
  draw(3, w->n, 1.0, 0, w->v);
  fill_inputs(b, w);
}

static void close_bench(bench *w) {
  double *const all[] = {w->x, w->g, w->hu, w->hv, w->u, w->v, w->spare};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
  wl_tape_ws_destroy(&w->ws);
  wl_tape_destroy(&w->tape);
}

static double dot(const double *a, const double *b, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static double loss(void *context, const double *x) {
  bench *w = context;
  double value = NAN;
  wl_tape_forward(w->tape, w->ws, x, x + w->n_theta, &value);
  return value;
}

static void gradient(bench *w, const double *x, double *g) {
  loss(w, x);
  wl_tape_reverse(w->tape, w->ws, g, g + w->n_theta);
}

static double along_u(void *context, const double *x) {
  bench *w = context;
  gradient(w, x, w->spare);
  return dot(w->u, w->spare, w->n);
}

/* Computes hv = H v at x, and the derivative of the loss along v. */
static double hessian_vector(bench *w, const double *v, double *hv) {
  double along = NAN;
  loss(w, w->x);
  wl_tape_reverse(w->tape, w->ws, NULL, NULL);
  for (int64_t i = 0; i < w->n; i++) hv[i] = NAN;
  along = wl_tape_tangent(w->tape, w->ws, v, v + w->n_theta, hv, hv + w->n_theta);
  return along;
}

static void check_identities(const char *name, bench *w) {
  const double along_v = hessian_vector(w, w->v, w->hv), expected = dot(w->g, w->v, w->n);
  const double scale = sqrt(dot(w->g, w->g, w->n) * dot(w->v, w->v, w->n));
  if (!(fabs(along_v - expected) <= 1e-13 * scale))
    fail_msg("%s: loss_dot %.16g, <g, v> %.16g", name, along_v, expected);
  const double left = dot(w->u, w->hv, w->n), right = dot(w->v, w->hu, w->n);
  const double size = sqrt(dot(w->hv, w->hv, w->n) * dot(w->u, w->u, w->n));
  if (!(fabs(left - right) <= 1e-13 * size))
    fail_msg("%s: <u, Hv> %.16g, <v, Hu> %.16g", name, left, right);
}

/* A NULL v must have the same effect as a v of zeros. If one output is NULL, the other outputs must remain
 * unchanged. */
static void check_null(const char *name, bench *w) {
  const int64_t n_phi = w->n - w->n_theta;
  memset(w->v, 0, (size_t)w->n_theta * sizeof *w->v);
  hessian_vector(w, w->v, w->hv);
  wl_tape_tangent(w->tape, w->ws, NULL, w->v + w->n_theta, w->spare, w->spare + w->n_theta);
  for (int64_t i = 0; i < w->n; i++)
    if (!(fabs(w->spare[i] - w->hv[i]) <= 1e-13 * (1 + fabs(w->hv[i]))))
      fail_msg("%s: NULL v_theta is not zero", name);
  wl_tape_tangent(w->tape, w->ws, w->v, w->v + w->n_theta, NULL, w->spare);
  assert_memory_equal(w->spare, w->hv + w->n_theta, (size_t)n_phi * sizeof *w->spare);
  wl_tape_reverse(w->tape, w->ws, w->spare, NULL);
  assert_memory_equal(w->spare, w->g, (size_t)w->n_theta * sizeof *w->spare);
  wl_tape_reverse(w->tape, w->ws, NULL, w->spare);
  assert_memory_equal(w->spare, w->g + w->n_theta, (size_t)n_phi * sizeof *w->spare);
}

static void check_bench(const char *name, const tape_case *test, bench *w) {
  const double h = test->h > 0 ? test->h : 1e-2;
  for (int64_t i = 0; i < w->n; i++) w->g[i] = NAN;
  gradient(w, w->x, w->g);
  directional check = {name, loss, w, w->x, w->g, 0, w->n, h, fmax(1e-5 * h * h, 1e-10)};
  directional_check(&check);
  hessian_vector(w, w->u, w->hu);
  char second[160];
  snprintf(second, sizeof second, "%s, Hessian", name);
  check.name = second;
  check.f = along_u;
  check.gradient = w->hu;
  directional_check(&check);
  check_identities(name, w);
  check_null(name, w);
}

static int64_t node_size(const tape_builder *b, wl_node y) {
  assert_true(y >= 0);
  return b->tape->nodes[y].size;
}

static void check_kinds(const tape_case *test, leaf_kind first, leaf_kind second) {
  char name[128];
  snprintf(name, sizeof name, "%s (%s, %s)", test->name, kind_names[first], kind_names[second]);
  tape_builder b = {.test = test, .kind = {first, second}};
  assert_int_equal(wl_tape_create(&b.tape), WL_OK);
  const wl_node y = test->build(&b);
  const wl_node end = readout(&b, y, node_size(&b, y));
  if (wl_tape_finish(b.tape, end, -1, -1) != WL_OK) fail_msg("%s: %s", name, wl_last_error());
  bench w = {0};
  open_bench(&b, &w);
  check_bench(name, test, &w);
  close_bench(&w);
}

void check_tape_case(const tape_case *test) {
  const int first_kinds = test->operands > 0 ? LEAF_KINDS : 1,
            second_kinds = test->operands > 1 ? LEAF_KINDS : 1;
  for (int first = 0; first < first_kinds; first++)
    for (int second = 0; second < second_kinds; second++)
      check_kinds(test, (leaf_kind)first, (leaf_kind)second);
}
