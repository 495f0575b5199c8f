/* test_tape_build.c - tests how tapes are built, in float32. The function wl_tape_finish must report errors of
 * earlier calls. Failed allocations must not leak memory. The reported cost and storage must be as documented, and
 * workspaces must be independent. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "tensor/tape_ws.h"
#include "unit/cmocka_all.h"

#define SHAPE(...) \
  (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)), (const int64_t[]) { __VA_ARGS__ }

/* Describes an invalid tape. `build` receives a tensor x of theta with the shape (6,5), and a leaf of 4 labels. */
typedef struct bad_build {
  wl_node (*build)(wl_tape *t, wl_node x, wl_node labels);
  wl_status status;
  const char *texts[3]; /* strings that the error message must contain */
} bad_build;

static wl_node bad_matmul(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_matmul(t, x, x);
}
static wl_node bad_matvec(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_batched_matvec(t, x, x);
}
static wl_node bad_bias(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_add_bias(t, x, wl_tape_input(t, "bias", SHAPE(6)));
}
static wl_node bad_add(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_add(t, x, wl_op_column(t, x, 0));
}
static wl_node bad_column(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_column(t, x, 5);
}
static wl_node bad_reshape(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_reshape(t, x, SHAPE(7, 5));
}
static wl_node bad_rank(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_reshape(t, x, 5, NULL);
}
static wl_node bad_labels(wl_tape *t, wl_node x, wl_node labels) {
  return wl_op_softmax_cross_entropy(t, x, labels);
}
static wl_node no_labels(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_softmax_cross_entropy(t, x, x);
}
static wl_node exp_of_labels(wl_tape *t, wl_node x, wl_node labels) {
  (void)x;
  return wl_op_exp(t, labels);
}
static wl_node no_node(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_mul(t, x, -1);
}
static wl_node bad_pool(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_max_pool(t, wl_op_reshape(t, x, SHAPE(1, 1, 6, 5)), 6, 2);
}
static wl_node bad_conv(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_conv2d(t, wl_op_reshape(t, x, SHAPE(1, 1, 6, 5)),
                      wl_tape_input(t, "w", SHAPE(2, 1, 3, 8)), 1, 1);
}
static wl_node bad_filter(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_conv2d(t, wl_op_reshape(t, x, SHAPE(1, 1, 6, 5)),
                      wl_tape_input(t, "w", SHAPE(2, 3, 3, 3)), 1, 1);
}
static wl_node bad_norm(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_batch_norm(t, wl_op_sum(t, x), 1e-5);
}
static wl_node no_scalar(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_exp(t, x);
}
static wl_node twice(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_sum(t, wl_op_add(t, x, wl_tape_theta(t, "x", SHAPE(6, 5))));
}
static wl_node empty(wl_tape *t, wl_node x, wl_node labels) {
  (void)labels;
  return wl_op_sum(t, wl_op_add(t, x, wl_tape_input(t, "pixels", SHAPE(6, 0))));
}
/* wl_tape_finish must return the first error, even if other errors have occurred after it. */
static wl_node several(wl_tape *t, wl_node x, wl_node labels) {
  const wl_node first = wl_op_column(t, x, 9);
  return wl_op_matmul(t, first, bad_labels(t, x, labels));
}

static const bad_build bad_builds[] = {
    {bad_matmul, WL_ERR_SOFTWARE, {"matmul", "(6,5) and (6,5)", "(m,k)(k,n)"}},
    {bad_matvec, WL_ERR_SOFTWARE, {"batched_matvec", "(6,5)", "(B,m,k)"}},
    {bad_bias, WL_ERR_SOFTWARE, {"add_bias", "(6,5) and (6)", "(...,n)(n)"}},
    {bad_add, WL_ERR_SOFTWARE, {"add", "(6,5) and (6)", "same shape"}},
    {bad_column, WL_ERR_SOFTWARE, {"column 5", "5", "column"}},
    {bad_reshape, WL_ERR_SOFTWARE, {"reshape", "(6,5) and (7,5)", "elements"}},
    {bad_rank, WL_ERR_SOFTWARE, {"reshape", "5 dimensions", "4"}},
    {bad_labels, WL_ERR_SOFTWARE, {"softmax_cross_entropy", "(6,5) and (4)", "labels"}},
    {no_labels, WL_ERR_SOFTWARE, {"softmax_cross_entropy", "operand 2", "must be a label leaf"}},
    {exp_of_labels, WL_ERR_SOFTWARE, {"exp", "operand 1", "must not be a label leaf"}},
    {no_node, WL_ERR_SOFTWARE, {"mul", "operand 2 (-1)", "not on the tape"}},
    {bad_pool, WL_ERR_CONFIG, {"max_pool", "window of size 6", "6 x 5"}},
    {bad_conv, WL_ERR_CONFIG, {"conv2d", "3 x 8", "6 x 5"}},
    {bad_filter, WL_ERR_SOFTWARE, {"conv2d", "(2,3,3,3)", "(O,C,kh,kw)"}},
    {bad_norm, WL_ERR_SOFTWARE, {"batch_norm", "()", "(B,C,H,W)"}},
    {no_scalar, WL_ERR_SOFTWARE, {"loss", "scalar", ""}},
    {twice, WL_ERR_SOFTWARE, {"'x'", "already", ""}},
    {empty, WL_ERR_SOFTWARE, {"'pixels'", "size", ""}},
    {several, WL_ERR_SOFTWARE, {"column 9", "", ""}},
};

static void test_errors(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad_builds / sizeof *bad_builds; i++) {
    wl_tape *t = NULL;
    assert_int_equal(wl_tape_create(&t), WL_OK);
    const wl_node x = wl_tape_theta(t, "x", SHAPE(6, 5)), labels = wl_tape_labels(t, "labels", 4);
    const wl_node end = bad_builds[i].build(t, x, labels);
    wl_status_fail(WL_ERR_IO, "elsewhere", 1, "an error in between");
    assert_int_equal(wl_tape_finish(t, end, -1, -1), bad_builds[i].status);
    for (int k = 0; k < 3; k++)
      if (!strstr(wl_last_error(), bad_builds[i].texts[k]))
        fail_msg("case %d: '%s' is not in '%s'", (int)i, bad_builds[i].texts[k], wl_last_error());
    wl_tape_destroy(&t);
    assert_null(t);
  }
}

/* Contains the tape of a small classifier. One branch of the network depends neither on theta nor on phi. */
typedef struct net {
  wl_tape *tape;
  wl_node x, labels, hidden;
} net;

static wl_status build_net(net *n, int64_t width) {
  WL_TRY(wl_tape_create(&n->tape));
  wl_tape *t = n->tape;
  n->x = wl_tape_input(t, "x", SHAPE(9, 6));
  n->labels = wl_tape_labels(t, "labels", 9);
  const wl_node data = wl_op_scale(t, n->x, 0.5);
  n->hidden = wl_op_tanh(t, wl_op_matmul(t, data, wl_tape_theta(t, "w1", SHAPE(6, width))));
  const wl_node warp = wl_op_matmul(t, n->hidden, wl_tape_phi(t, "warp", "t", SHAPE(width, width)));
  const wl_node out = wl_op_matmul(t, warp, wl_tape_theta(t, "w2", SHAPE(width, 4)));
  return wl_tape_finish(t, wl_op_softmax_cross_entropy(t, out, n->labels), out, n->labels);
}

/* Makes each allocation fail in turn, in a new attempt for each allocation, until no allocation fails. */
static void test_failing_allocation(void **state) {
  (void)state;
  int failures = 0;
  wl_status status = WL_ERR_OS;
  for (; status != WL_OK; failures++) {
    wl_fault_request(WL_FAULT_ALLOC, failures + 1);
    net n = {0};
    wl_tape_ws *ws = NULL;
    status = build_net(&n, 5);
    if (status == WL_OK) status = wl_tape_ws_create(n.tape, true, &ws);
    wl_fault_request(WL_FAULT_ALLOC, 0);
    wl_tape_ws_destroy(&ws);
    wl_tape_destroy(&n.tape);
    if (status != WL_OK) assert_int_equal(status, WL_ERR_OS);
  }
  assert_true(failures > 5);
}

static void test_layouts(void **state) {
  (void)state;
  net n = {0};
  assert_int_equal(build_net(&n, 5), WL_OK);
  const wl_layout *theta = wl_tape_theta_layout(n.tape), *phi = wl_tape_phi_layout(n.tape);
  assert_int_equal(theta->count, 2);
  assert_int_equal(theta->size, 30 + 20);
  assert_int_equal(wl_layout_find(theta, "w2")->offset, 30);
  assert_int_equal(phi->size, 25);
  assert_string_equal(phi->tensors[0].group, "warp");
  wl_tape_destroy(&n.tape);
}

/* The tape must neither store nor compute gradients of input data. */
static void test_storage(void **state) {
  (void)state;
  net n = {0};
  wl_tape_ws *ws = NULL;
  assert_int_equal(build_net(&n, 5), WL_OK);
  assert_int_equal(wl_tape_ws_create(n.tape, true, &ws), WL_OK);
  for (int i = 0; i < n.tape->count; i++) {
    const wl_tape_node *node = &n.tape->nodes[i];
    const int flows = node->op && node->depends;
    assert_true((ws->cells[i].grad != NULL) == flows && (ws->cells[i].graddot != NULL) == flows);
    assert_true((uintptr_t)ws->cells[i].value % WL_ALIGN == 0);
  }
  assert_true(wl_tape_ws_bytes(n.tape, true) > wl_tape_ws_bytes(n.tape, false));
  wl_tape_ws_destroy(&ws);
  assert_null(ws);
  assert_int_equal(wl_tape_ws_create(n.tape, false, &ws), WL_OK);
  for (int i = 0; i < n.tape->count; i++) assert_null(ws->cells[i].dot);
  wl_tape_ws_destroy(&ws);
  wl_tape_destroy(&n.tape);
}

/* Each product of matrices (m, k) and (k, n) costs 2 m n k FLOP in the forward pass, and the same number for each
 * gradient that is computed. */
static void test_cost(void **state) {
  (void)state;
  net small = {0}, large = {0};
  assert_int_equal(build_net(&small, 50), WL_OK);
  assert_int_equal(build_net(&large, 500), WL_OK);
  const double products = 2.0 * 9 * (2 * 6 * 500 + 3 * 500 * 500 + 3 * 500 * 4);
  assert_true(wl_tape_cost(large.tape) > products && wl_tape_cost(large.tape) < 1.1 * products);
  assert_true(wl_tape_cost(small.tape) > 0 &&
              wl_tape_cost(small.tape) < 0.1 * wl_tape_cost(large.tape));
  wl_tape_destroy(&small.tape);
  wl_tape_destroy(&large.tape);
}

typedef struct outcome {
  double loss, loss_dot;
  wl_real grad[75], hv[75]; /* elements of (theta, phi): 50 of theta, then 25 of phi */
} outcome;

static outcome pass(const net *n, wl_tape_ws *ws, const wl_real *x, double scale) {
  for (int i = 0; i < 54; i++) wl_tape_input_data(ws, n->x)[i] = (wl_real)(scale * sin(i));
  for (int i = 0; i < 9; i++) wl_tape_label_data(ws, n->labels)[i] = i % 4;
  outcome o;
  memset(&o, 0, sizeof o);
  wl_tape_forward(n->tape, ws, x, x + 50, &o.loss);
  wl_tape_reverse(n->tape, ws, o.grad, o.grad + 50);
  o.loss_dot = wl_tape_tangent(n->tape, ws, x + 75, x + 125, o.hv, o.hv + 50);
  return o;
}

/* Two workspaces of one tape must be independent. A computation in one workspace must not change the other workspace,
 * and repeated passes must have the same bits. */
static void test_independent_workspaces(void **state) {
  (void)state;
  net n = {0};
  wl_tape_ws *first = NULL, *second = NULL;
  assert_int_equal(build_net(&n, 5), WL_OK);
  assert_int_equal(wl_tape_ws_create(n.tape, true, &first), WL_OK);
  assert_int_equal(wl_tape_ws_create(n.tape, true, &second), WL_OK);
  wl_real x[150];
  for (int i = 0; i < 150; i++) x[i] = (wl_real)cos(3.0 * i);
  const outcome a = pass(&n, first, x, 1.0), other = pass(&n, second, x, 2.0),
                b = pass(&n, second, x, 1.0);
  assert_memory_equal(&a, &b, sizeof a);
  assert_memory_not_equal(&a, &other, sizeof a);
  assert_true(isfinite(a.loss) && isfinite(a.loss_dot) && a.loss > 0);
  assert_ptr_equal(wl_tape_value(second, 3), x);
  wl_tape_ws_destroy(&first);
  wl_tape_ws_destroy(&second);
  wl_tape_destroy(&n.tape);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_failing_allocation),
                                     cmocka_unit_test(test_errors),
                                     cmocka_unit_test(test_layouts),
                                     cmocka_unit_test(test_storage),
                                     cmocka_unit_test(test_cost),
                                     cmocka_unit_test(test_independent_workspaces)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
