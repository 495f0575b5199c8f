/* test_tape_networks.c - tests whole networks on the tape. The tests compare the gradient and the Hessian-vector
 * product with respect to (theta, phi) with central differences. The tests also check the identities that
 * tape_fixture.h lists. */
#include "grad/tape_fixture.h"
#include "unit/cmocka_all.h"

#define SHAPE(...) \
  (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)), (const int64_t[]) { __VA_ARGS__ }

static wl_node dense(tape_builder *b, leaf_kind kind, wl_node x, int64_t in, int64_t out) {
  const wl_node product = wl_op_matmul(b->tape, x, leaf(b, kind, SHAPE(in, out)));
  return wl_op_add_bias(b->tape, product, leaf(b, kind, SHAPE(out)));
}

typedef wl_node (*activation)(wl_tape *, wl_node);

/* Builds a perceptron with 6 inputs, hidden layers of 5 and 3 units, and 4 classes. The batch has 7 images. */
static wl_node perceptron(tape_builder *b, activation act) {
  wl_node h = act(b->tape, dense(b, LEAF_THETA, leaf(b, LEAF_INPUT, SHAPE(7, 6)), 6, 5));
  h = act(b->tape, dense(b, LEAF_THETA, h, 5, 3));
  h = dense(b, LEAF_THETA, h, 3, 4);
  return wl_op_softmax_cross_entropy(b->tape, h, label_leaf(b, 7, 4));
}

static wl_node perceptron_sigmoid(tape_builder *b) { return perceptron(b, wl_op_sigmoid); }
static wl_node perceptron_tanh(tape_builder *b) { return perceptron(b, wl_op_tanh); }
static wl_node perceptron_relu(tape_builder *b) { return perceptron(b, wl_op_relu); }
static wl_node perceptron_elu(tape_builder *b) { return perceptron(b, wl_op_elu); }

/* Builds a perceptron in which ordinary layers alternate with warp layers. The parameters of the ordinary layers are in
 * theta, and those of the warp layers are in phi. */
static wl_node warped_perceptron(tape_builder *b) {
  wl_node h = wl_op_tanh(b->tape, dense(b, LEAF_THETA, leaf(b, LEAF_INPUT, SHAPE(6, 3)), 3, 5));
  h = wl_op_add(b->tape, h, wl_op_tanh(b->tape, dense(b, LEAF_PHI, h, 5, 5)));
  h = dense(b, LEAF_PHI, dense(b, LEAF_THETA, h, 5, 2), 2, 2);
  const wl_node error = wl_op_sub(b->tape, h, leaf(b, LEAF_INPUT, SHAPE(6, 2)));
  return wl_op_mean(b->tape, wl_op_square(b->tape, error));
}

/* Builds one block of the network: a convolution, batch norm, a scale and a shift for each channel, an activation, and
 * pooling. The network consists of two blocks and a dense layer. The scale and the shift belong to phi. */
static wl_node conv_layer(tape_builder *b, wl_node x, int64_t in, int64_t out, activation act,
                          wl_node (*pool)(wl_tape *, wl_node, int, int)) {
  wl_node h = wl_op_conv2d(b->tape, x, leaf(b, LEAF_THETA, SHAPE(out, in, 3, 3)), 1, 1);
  h = wl_op_batch_norm(b->tape, h, 1e-5);
  h = wl_op_mul_channel(b->tape, h, leaf(b, LEAF_PHI, SHAPE(out)));
  h = wl_op_add_channel(b->tape, h, leaf(b, LEAF_PHI, SHAPE(out)));
  return pool(b->tape, act(b->tape, h), 2, 2);
}

static wl_node conv_net(tape_builder *b, activation act,
                        wl_node (*pool)(wl_tape *, wl_node, int, int)) {
  wl_node h = conv_layer(b, leaf(b, LEAF_INPUT, SHAPE(5, 2, 7, 6)), 2, 3, act, pool);
  h = conv_layer(b, h, 3, 2, act, pool);
  h = dense(b, LEAF_THETA, wl_op_reshape(b->tape, h, SHAPE(5, 2)), 2, 3);
  return wl_op_softmax_cross_entropy(b->tape, h, label_leaf(b, 5, 3));
}

static wl_node conv_tanh(tape_builder *b) { return conv_net(b, wl_op_tanh, wl_op_avg_pool); }
static wl_node conv_elu(tape_builder *b) { return conv_net(b, wl_op_elu, wl_op_max_pool); }

static wl_node quadratic(tape_builder *b) {
  const wl_node x = leaf(b, LEAF_THETA, SHAPE(3, 5));
  const wl_node product = wl_op_batched_matvec(b->tape, leaf(b, LEAF_INPUT, SHAPE(3, 5, 5)), x);
  const wl_node residual = wl_op_sub(b->tape, product, leaf(b, LEAF_INPUT, SHAPE(3, 5)));
  return wl_op_scale(b->tape, wl_op_sum(b->tape, wl_op_square(b->tape, residual)), 1.0 / 15.0);
}

/* Builds the Rosenbrock function sum_b 100 (y_b - x_b^2)^2 + (1 - x_b)^2. */
static wl_node rosenbrock(tape_builder *b) {
  wl_tape *t = b->tape;
  const wl_node both = leaf(b, LEAF_THETA, SHAPE(3, 2));
  const wl_node x = wl_op_column(t, both, 0), y = wl_op_column(t, both, 1);
  const wl_node valley = wl_op_square(t, wl_op_sub(t, y, wl_op_square(t, x)));
  const wl_node slope = wl_op_square(t, wl_op_shift(t, wl_op_scale(t, x, -1.0), 1.0));
  return wl_op_sum(t, wl_op_add(t, wl_op_scale(t, valley, 100.0), slope));
}

static const tape_case cases[] = {
    {"perceptron, sigmoid", perceptron_sigmoid, 0, 0, 0, 0},
    {"perceptron, tanh", perceptron_tanh, 0, 0, 0, 0.7},
    {"perceptron, relu", perceptron_relu, 0, 0, 1e-3, 0},
    {"perceptron, elu", perceptron_elu, 0, 0, 1e-3, 0.7},
    {"perceptron with warp layers", warped_perceptron, 0, 0, 0, 0.5},
    {"convolutions, tanh, average pool", conv_tanh, 0, 0, 2e-3, 0},
    {"convolutions, elu, max pool", conv_elu, 0, 0, 1e-3, 0},
    {"quadratic", quadratic, 0, 0, 0, 0.5},
    {"Rosenbrock", rosenbrock, 0, 0, 1e-4, 0.2},
};

static void test_case(void **state) { check_tape_case(*state); }

int main(void) {
  enum { CASES = sizeof cases / sizeof *cases };
  struct CMUnitTest tests[CASES];
  for (int i = 0; i < CASES; i++)
    tests[i] = (struct CMUnitTest){cases[i].name, test_case, NULL, NULL, (void *)&cases[i]};
  return _cmocka_run_group_tests("tape networks", tests, CASES, NULL, NULL);
}
