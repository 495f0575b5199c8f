/* test_tape_grad.c - tests each operator of the tape separately. The axes have odd sizes, and the operands are of
 * every kind. The tests compare the gradient and the Hessian-vector product with central differences. The tests also
 * check the identities that tape_fixture.h lists. */
#include <stdio.h>
#include <string.h>

#include "grad/tape_fixture.h"
#include "tensor/tape_impl.h"
#include "unit/cmocka_all.h"

#define SHAPE(...) \
  (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)), (const int64_t[]) { __VA_ARGS__ }

static wl_node matmul(tape_builder *b) {
  return wl_op_matmul(b->tape, operand(b, 0, SHAPE(5, 3)), operand(b, 1, SHAPE(3, 7)));
}

static wl_node matmul_blas(tape_builder *b) { /* the matrix product is large enough that the tape
                                               * calls BLAS */
  return wl_op_matmul(b->tape, operand(b, 0, SHAPE(29, 31)), operand(b, 1, SHAPE(31, 27)));
}

static wl_node batched_matvec(tape_builder *b) {
  return wl_op_batched_matvec(b->tape, operand(b, 0, SHAPE(4, 3, 5)), operand(b, 1, SHAPE(4, 5)));
}

static wl_node add_bias(tape_builder *b) {
  return wl_op_add_bias(b->tape, operand(b, 0, SHAPE(2, 3, 5)), operand(b, 1, SHAPE(5)));
}

static wl_node add(tape_builder *b) {
  return wl_op_add(b->tape, operand(b, 0, SHAPE(3, 5)), operand(b, 1, SHAPE(3, 5)));
}

static wl_node sub(tape_builder *b) {
  return wl_op_sub(b->tape, operand(b, 0, SHAPE(3, 5)), operand(b, 1, SHAPE(3, 5)));
}

static wl_node mul(tape_builder *b) {
  return wl_op_mul(b->tape, operand(b, 0, SHAPE(3, 5)), operand(b, 1, SHAPE(3, 5)));
}

static wl_node scale(tape_builder *b) {
  return wl_op_scale(b->tape, operand(b, 0, SHAPE(7)), -1.7);
}
static wl_node shift(tape_builder *b) { return wl_op_shift(b->tape, operand(b, 0, SHAPE(7)), 0.6); }
static wl_node square(tape_builder *b) { return wl_op_square(b->tape, operand(b, 0, SHAPE(7))); }
static wl_node exponential(tape_builder *b) { return wl_op_exp(b->tape, operand(b, 0, SHAPE(7))); }
static wl_node sigmoid(tape_builder *b) {
  return wl_op_sigmoid(b->tape, operand(b, 0, SHAPE(3, 7)));
}
static wl_node hyperbolic(tape_builder *b) {
  return wl_op_tanh(b->tape, operand(b, 0, SHAPE(3, 7)));
}
static wl_node relu(tape_builder *b) { return wl_op_relu(b->tape, operand(b, 0, SHAPE(3, 7))); }
static wl_node elu(tape_builder *b) { return wl_op_elu(b->tape, operand(b, 0, SHAPE(3, 7))); }
static wl_node cosine(tape_builder *b) { return wl_op_cos(b->tape, operand(b, 0, SHAPE(3, 7))); }
static wl_node root(tape_builder *b) {
  return wl_op_sqrt(b->tape, wl_op_exp(b->tape, operand(b, 0, SHAPE(3, 7))));
}
static wl_node gelu(tape_builder *b) { return wl_op_gelu(b->tape, operand(b, 0, SHAPE(3, 7))); }
static wl_node reshape(tape_builder *b) {
  return wl_op_reshape(b->tape, operand(b, 0, SHAPE(3, 7)), SHAPE(7, 3));
}
static wl_node column(tape_builder *b) {
  return wl_op_column(b->tape, operand(b, 0, SHAPE(5, 3)), 1);
}
static wl_node sum(tape_builder *b) { return wl_op_sum(b->tape, operand(b, 0, SHAPE(3, 7))); }
static wl_node mean(tape_builder *b) { return wl_op_mean(b->tape, operand(b, 0, SHAPE(3, 7))); }

static wl_node softmax_cross_entropy(tape_builder *b) {
  const wl_node logits = operand(b, 0, SHAPE(7, 5));
  return wl_op_softmax_cross_entropy(b->tape, logits, label_leaf(b, 7, 5));
}

static wl_node conv2d(tape_builder *b) {
  return wl_op_conv2d(b->tape, operand(b, 0, SHAPE(2, 3, 5, 7)), operand(b, 1, SHAPE(4, 3, 3, 3)),
                      1, 1);
}

static wl_node conv2d_strided(tape_builder *b) { /* the windows of the filter do not cover the last row, and the
                                                  * filter is not square */
  return wl_op_conv2d(b->tape, operand(b, 0, SHAPE(3, 2, 8, 6)), operand(b, 1, SHAPE(3, 2, 3, 2)),
                      3, 1);
}

static wl_node conv2d_wide_pad(tape_builder *b) { /* some windows lie completely in the padding */
  return wl_op_conv2d(b->tape, operand(b, 0, SHAPE(2, 1, 3, 2)), operand(b, 1, SHAPE(2, 1, 2, 3)),
                      2, 4);
}

static wl_node conv2d_point(tape_builder *b) { /* with a 1 x 1 filter, each window is one pixel */
  return wl_op_conv2d(b->tape, operand(b, 0, SHAPE(2, 3, 3, 5)), operand(b, 1, SHAPE(4, 3, 1, 1)),
                      1, 0);
}

static wl_node max_pool(tape_builder *b) {
  return wl_op_max_pool(b->tape, operand(b, 0, SHAPE(2, 3, 5, 7)), 2, 2);
}
static wl_node max_pool_overlap(tape_builder *b) {
  return wl_op_max_pool(b->tape, operand(b, 0, SHAPE(1, 2, 7, 8)), 3, 2);
}
static wl_node avg_pool(tape_builder *b) {
  return wl_op_avg_pool(b->tape, operand(b, 0, SHAPE(2, 3, 5, 7)), 2, 2);
}
static wl_node avg_pool_overlap(tape_builder *b) {
  return wl_op_avg_pool(b->tape, operand(b, 0, SHAPE(1, 2, 7, 8)), 3, 2);
}
static wl_node batch_norm(tape_builder *b) {
  return wl_op_batch_norm(b->tape, operand(b, 0, SHAPE(5, 3, 2, 3)), 1e-5);
}
static wl_node batch_norm_columns(tape_builder *b) {
  return wl_op_batch_norm(b->tape, operand(b, 0, SHAPE(7, 5)), 1e-5);
}

static wl_node layer_norm(tape_builder *b) {
  return wl_op_layer_norm(b->tape, operand(b, 0, SHAPE(5, 11)), 1e-5);
}
static wl_node layer_norm_pixels(tape_builder *b) {
  return wl_op_layer_norm(b->tape, operand(b, 0, SHAPE(3, 5, 2, 3)), 1e-5);
}

static wl_node slice(tape_builder *b) {
  return wl_op_rows(b->tape, operand(b, 0, SHAPE(7, 3)), 2, 4);
}
static wl_node slice_columns(tape_builder *b) {
  return wl_op_columns(b->tape, operand(b, 0, SHAPE(5, 7)), 3, 2);
}
static wl_node slices_that_meet(tape_builder *b) { /* the two slices overlap */
  const wl_node a = operand(b, 0, SHAPE(5, 7));
  return wl_op_mul(b->tape, wl_op_columns(b->tape, a, 0, 4), wl_op_columns(b->tape, a, 2, 4));
}
static wl_node concat(tape_builder *b) {
  return wl_op_concat(b->tape, operand(b, 0, SHAPE(3, 5)), operand(b, 1, SHAPE(4, 5)));
}
static wl_node concat_self(tape_builder *b) {
  const wl_node a = operand(b, 0, SHAPE(3, 5));
  return wl_op_concat(b->tape, wl_op_concat(b->tape, a, wl_op_tanh(b->tape, a)), a);
}
static wl_node swap(tape_builder *b) {
  return wl_op_swap(b->tape, operand(b, 0, SHAPE(2, 3, 5, 4)));
}
/* Some labels occur twice, and some rows of the table are not selected by any label. */
static wl_node embedding(tape_builder *b) {
  const wl_node table = operand(b, 0, SHAPE(9, 3));
  return wl_op_embedding(b->tape, table, label_leaf(b, 7, 5));
}
static wl_node batched_matmul(tape_builder *b) {
  return wl_op_batched_matmul(b->tape, operand(b, 0, SHAPE(3, 4, 5)),
                              operand(b, 1, SHAPE(3, 5, 2)));
}
static wl_node batched_matmul_nt(tape_builder *b) {
  return wl_op_batched_matmul_nt(b->tape, operand(b, 0, SHAPE(3, 4, 5)),
                                 operand(b, 1, SHAPE(3, 2, 5)));
}
static wl_node causal_softmax(tape_builder *b) {
  return wl_op_causal_softmax(b->tape, operand(b, 0, SHAPE(3, 5, 5)));
}

static wl_node add_channel(tape_builder *b) {
  return wl_op_add_channel(b->tape, operand(b, 0, SHAPE(2, 3, 5, 3)), operand(b, 1, SHAPE(3)));
}

static wl_node mul_channel(tape_builder *b) {
  return wl_op_mul_channel(b->tape, operand(b, 0, SHAPE(2, 3, 5, 3)), operand(b, 1, SHAPE(3)));
}

static wl_node mul_columns(tape_builder *b) {
  return wl_op_mul_channel(b->tape, operand(b, 0, SHAPE(5, 7)), operand(b, 1, SHAPE(7)));
}

/* In these cases, the same node is both operands of an operator, or many operators use the same node. */

static wl_node mul_self(tape_builder *b) {
  const wl_node a = operand(b, 0, SHAPE(3, 5));
  return wl_op_mul(b->tape, a, a);
}

static wl_node sub_self(tape_builder *b) {
  const wl_node a = operand(b, 0, SHAPE(3, 5));
  return wl_op_sub(b->tape, wl_op_mul(b->tape, wl_op_add(b->tape, a, a), a),
                   wl_op_tanh(b->tape, a));
}

static wl_node matmul_self(tape_builder *b) {
  const wl_node a = wl_op_tanh(b->tape, operand(b, 0, SHAPE(5, 5)));
  return wl_op_matmul(b->tape, wl_op_matmul(b->tape, a, a), a);
}

static wl_node column_twice(tape_builder *b) {
  const wl_node a = operand(b, 0, SHAPE(5, 3));
  return wl_op_mul(b->tape, wl_op_column(b->tape, a, 2), wl_op_column(b->tape, a, 0));
}

/* If the loss does not use the result of an operator, this operator must not change the gradients. */
static wl_node dead_branch(tape_builder *b) {
  const wl_node a = operand(b, 0, SHAPE(3, 5));
  wl_op_square(b->tape, a);
  leaf(b, LEAF_THETA, SHAPE(2, 2));
  const wl_node y = wl_op_tanh(b->tape, a);
  wl_op_exp(b->tape, y);
  return y;
}

static const tape_case cases[] = {
    {"matmul", matmul, 2, 0, 0, 0},
    {"matmul blas", matmul_blas, 2, 0, 0, 0.3},
    {"batched_matvec", batched_matvec, 2, 0, 0, 0},
    {"add_bias", add_bias, 2, 0, 0, 0},
    {"add", add, 2, 0, 0, 0},
    {"sub", sub, 2, 0, 0, 0},
    {"mul", mul, 2, 0, 0, 0},
    {"scale", scale, 1, 0, 0, 0},
    {"shift", shift, 1, 0, 0, 0},
    {"square", square, 1, 0, 0, 0},
    {"exp", exponential, 1, 0, 0, 0.5},
    {"sigmoid", sigmoid, 1, 0, 0, 0},
    {"tanh", hyperbolic, 1, 0, 0, 0},
    {"relu", relu, 1, 1, 1e-3, 0},
    {"elu", elu, 1, 1, 1e-3, 0},
    {"cos", cosine, 1, 0, 0, 0},
    {"sqrt", root, 1, 0, 0, 0},
    {"gelu", gelu, 1, 0, 0, 0},
    {"reshape", reshape, 1, 0, 0, 0},
    {"column", column, 1, 0, 0, 0},
    {"sum", sum, 1, 0, 0, 0.3},
    {"mean", mean, 1, 0, 0, 0},
    {"softmax_cross_entropy", softmax_cross_entropy, 1, 0, 0, 0},
    {"conv2d", conv2d, 2, 0, 0, 0.4},
    {"conv2d, stride and rest", conv2d_strided, 2, 0, 0, 0.5},
    {"conv2d, wide padding", conv2d_wide_pad, 2, 0, 0, 0},
    {"conv2d, 1 x 1", conv2d_point, 2, 0, 0, 0},
    {"max_pool", max_pool, 1, 1, 1e-3, 0},
    {"max_pool, overlapping", max_pool_overlap, 1, 1, 1e-3, 0},
    {"avg_pool", avg_pool, 1, 0, 0, 0},
    {"avg_pool, overlapping", avg_pool_overlap, 1, 0, 0, 0},
    {"batch_norm", batch_norm, 1, 0, 0, 0},
    {"batch_norm of columns", batch_norm_columns, 1, 0, 0, 0},
    {"layer_norm", layer_norm, 1, 0, 0, 0},
    {"layer_norm of pixels", layer_norm_pixels, 1, 0, 0, 0},
    {"slice", slice, 1, 0, 0, 0},
    {"slice of columns", slice_columns, 1, 0, 0, 0},
    {"slices that overlap", slices_that_meet, 1, 0, 0, 0},
    {"concat", concat, 2, 0, 0, 0},
    {"concat with itself", concat_self, 1, 0, 0, 0},
    {"swap", swap, 1, 0, 0, 0},
    {"embedding", embedding, 1, 0, 0, 0},
    {"batched_matmul", batched_matmul, 2, 0, 0, 0},
    {"batched_matmul_nt", batched_matmul_nt, 2, 0, 0, 0},
    {"causal_softmax", causal_softmax, 1, 0, 0, 0},
    {"add_channel", add_channel, 2, 0, 0, 0},
    {"mul_channel", mul_channel, 2, 0, 0, 0},
    {"mul_channel of columns", mul_columns, 2, 0, 0, 0},
    {"mul with itself", mul_self, 1, 0, 0, 0},
    {"add and sub with itself", sub_self, 1, 0, 0, 0},
    {"matmul with itself", matmul_self, 1, 0, 0, 0.5},
    {"two columns", column_twice, 1, 0, 0, 0},
    {"dead branch", dead_branch, 1, 0, 0, 0},
};

static void test_case(void **state) { check_tape_case(*state); }

/* Checks that every operator in wl_tape_op_table has a test case with the name of the operator. */
static void test_complete(void **state) {
  (void)state;
  for (int i = 0; wl_tape_op_table[i]; i++) {
    int found = 0;
    for (size_t j = 0; j < sizeof cases / sizeof *cases; j++)
      found |= strcmp(cases[j].name, wl_tape_op_table[i]->name) == 0;
    if (!found) fail_msg("operator %s has no gradient test", wl_tape_op_table[i]->name);
  }
}

int main(void) {
  enum { CASES = sizeof cases / sizeof *cases };
  struct CMUnitTest tests[CASES + 1] = {
      {"every operator has a case", test_complete, NULL, NULL, NULL}};
  for (int i = 0; i < CASES; i++)
    tests[i + 1] = (struct CMUnitTest){cases[i].name, test_case, NULL, NULL, (void *)&cases[i]};
  return _cmocka_run_group_tests("tape operators", tests, CASES + 1, NULL, NULL);
}
