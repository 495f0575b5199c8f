/* test_tape_values.c - tests the values that operators compute in the forward pass. Simple loops in double precision
 * compute the expected values. The tensors have odd sizes. Also tests the accuracy of classifiers. The tests in
 * tests/grad check the gradients of the operators. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/tape.h"
#include "unit/cmocka_all.h"

#define SHAPE(...) \
  (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)), (const int64_t[]) { __VA_ARGS__ }

#ifdef WL_DOUBLE
static const double TOLERANCE = 1e-13;
#else
static const double TOLERANCE = 3e-6;
#endif

/* Contains a tape that has up to three input leaves: a, b and labels. The loss of the tape is the sum of all elements
 * of y. */
typedef struct fixture {
  wl_tape *tape;
  wl_tape_ws *ws;
  wl_node a, b, labels, y;
} fixture;

static void begin(fixture *f) {
  *f = (fixture){.a = -1, .b = -1, .labels = -1, .y = -1};
  assert_int_equal(wl_tape_create(&f->tape), WL_OK);
}

static void fill(wl_real *out, int64_t n, int which) {
  for (int64_t i = 0; i < n; i++) out[i] = (wl_real)(1.7 * sin(1.3 * (double)i + which) + 0.1);
}

/* Finishes the tape whose result is y, fills the leaves, and runs the forward pass. */
static const wl_real *run(fixture *f, wl_node y, int64_t size_a, int64_t size_b) {
  f->y = y;
  if (wl_tape_finish(f->tape, wl_op_sum(f->tape, y), -1, -1) != WL_OK)
    fail_msg("%s", wl_last_error());
  assert_int_equal(wl_tape_ws_create(f->tape, false, &f->ws), WL_OK);
  fill(wl_tape_input_data(f->ws, f->a), size_a, 1);
  if (f->b >= 0) fill(wl_tape_input_data(f->ws, f->b), size_b, 2);
  wl_tape_forward(f->tape, f->ws, NULL, NULL, NULL);
  return wl_tape_value(f->ws, y);
}

static void end(fixture *f) {
  wl_tape_ws_destroy(&f->ws);
  wl_tape_destroy(&f->tape);
}

static void assert_near(double got, double want, const char *what, int64_t at) {
  if (!(fabs(got - want) <= TOLERANCE * (1 + fabs(want))))
    fail_msg("%s, element %d: %.17g, not %.17g", what, (int)at, got, want);
}

/* Unary operators. */

static double sigmoid_of(double x) { return 1 / (1 + exp(-x)); }
static double relu_of(double x) { return x > 0 ? x : 0; }
static double elu_of(double x) { return x > 0 ? x : expm1(x); }
static double gelu_of(double x) {
  return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}
static double square_of(double x) { return x * x; }
static double scaled(double x) { return -0.75 * x; }
static double shifted(double x) { return x + 2.25; }
static wl_node scale_by(wl_tape *t, wl_node a) { return wl_op_scale(t, a, -0.75); }
static wl_node shift_by(wl_tape *t, wl_node a) { return wl_op_shift(t, a, 2.25); }

static void test_unary(void **state) {
  (void)state;
  static const struct {
    const char *name;
    wl_node (*op)(wl_tape *, wl_node);
    double (*exact)(double);
  } table[] = {{"exp", wl_op_exp, exp},
               {"sigmoid", wl_op_sigmoid, sigmoid_of},
               {"tanh", wl_op_tanh, tanh},
               {"relu", wl_op_relu, relu_of},
               {"elu", wl_op_elu, elu_of},
               {"gelu", wl_op_gelu, gelu_of},
               {"square", wl_op_square, square_of},
               {"scale", scale_by, scaled},
               {"shift", shift_by, shifted}};
  for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
    fixture f;
    begin(&f);
    f.a = wl_tape_input(f.tape, "a", SHAPE(7, 5));
    const wl_real *y = run(&f, table[k].op(f.tape, f.a), 35, 0), *x = wl_tape_value(f.ws, f.a);
    for (int64_t i = 0; i < 35; i++)
      assert_near((double)y[i], table[k].exact((double)x[i]), table[k].name, i);
    end(&f);
  }
}

/* Tests operators with two operands of the same shape, and operators whose operands are a tensor and a vector. */

static void test_binary(void **state) {
  (void)state;
  wl_node (*const ops[])(wl_tape *, wl_node, wl_node) = {wl_op_add, wl_op_sub, wl_op_mul};
  for (int k = 0; k < 3; k++) {
    fixture f;
    begin(&f);
    f.a = wl_tape_input(f.tape, "a", SHAPE(3, 5));
    f.b = wl_tape_input(f.tape, "b", SHAPE(3, 5));
    const wl_real *y = run(&f, ops[k](f.tape, f.a, f.b), 15, 15);
    for (int64_t i = 0; i < 15; i++) {
      const double p = (double)wl_tape_value(f.ws, f.a)[i], q = (double)wl_tape_value(f.ws, f.b)[i];
      assert_near((double)y[i], k == 0 ? p + q : k == 1 ? p - q : p * q, "add, sub, mul", i);
    }
    end(&f);
  }
}

static void test_broadcast(void **state) {
  (void)state;
  wl_node (*const ops[])(wl_tape *, wl_node, wl_node) = {wl_op_add_bias, wl_op_add_channel,
                                                         wl_op_mul_channel};
  for (int k = 0; k < 3; k++) {
    fixture f;
    begin(&f);
    f.a = wl_tape_input(f.tape, "a", SHAPE(2, 3, 4, 3));
    f.b = wl_tape_input(f.tape, "b", SHAPE(3));
    const wl_real *y = run(&f, ops[k](f.tape, f.a, f.b), 72, 3);
    for (int64_t i = 0; i < 72; i++) {
      const double p = (double)wl_tape_value(f.ws, f.a)[i];
      const double q = (double)wl_tape_value(f.ws, f.b)[k == 0 ? i % 3 : i / 12 % 3];
      assert_near((double)y[i], k < 2 ? p + q : p * q, "add_bias, add_channel, mul_channel", i);
    }
    end(&f);
  }
}

/* Products. */

static void test_matmul(void **state) {
  (void)state;
  fixture f;
  begin(&f);
  f.a = wl_tape_input(f.tape, "a", SHAPE(5, 7));
  f.b = wl_tape_input(f.tape, "b", SHAPE(7, 3));
  const wl_real *y = run(&f, wl_op_matmul(f.tape, f.a, f.b), 35, 21), *a = wl_tape_value(f.ws, f.a),
                *b = wl_tape_value(f.ws, f.b);
  for (int64_t i = 0; i < 15; i++) {
    double sum = 0;
    for (int64_t p = 0; p < 7; p++) sum += (double)a[i / 3 * 7 + p] * (double)b[p * 3 + i % 3];
    assert_near((double)y[i], sum, "matmul", i);
  }
  end(&f);
}

static void test_batched_matvec(void **state) {
  (void)state;
  fixture f;
  begin(&f);
  f.a = wl_tape_input(f.tape, "a", SHAPE(4, 3, 11));
  f.b = wl_tape_input(f.tape, "b", SHAPE(4, 11));
  const wl_real *y = run(&f, wl_op_batched_matvec(f.tape, f.a, f.b), 132, 44);
  for (int64_t i = 0; i < 12; i++) {
    double sum = 0;
    for (int64_t p = 0; p < 11; p++)
      sum += (double)wl_tape_value(f.ws, f.a)[i * 11 + p] *
             (double)wl_tape_value(f.ws, f.b)[i / 3 * 11 + p];
    assert_near((double)y[i], sum, "batched_matvec", i);
  }
  end(&f);
}

/* Returns one element of the convolution of a tensor (2,3,6,5) with a filter (4,3,3,2). */
static double naive_conv(const wl_real *x, const wl_real *w, int64_t b, int64_t o, int64_t i,
                         int64_t j, int stride, int pad) {
  double sum = 0;
  for (int64_t c = 0; c < 3; c++)
    for (int64_t k = 0; k < 3; k++)
      for (int64_t l = 0; l < 2; l++) {
        const int64_t row = i * stride + k - pad, column = j * stride + l - pad;
        if (row < 0 || row >= 6 || column < 0 || column >= 5) continue;
        sum += (double)x[((b * 3 + c) * 6 + row) * 5 + column] *
               (double)w[((o * 3 + c) * 3 + k) * 2 + l];
      }
  return sum;
}

static void test_conv2d(void **state) {
  (void)state;
  for (int stride = 1; stride <= 3; stride++)
    for (int pad = 0; pad <= 4; pad++) {
      fixture f;
      begin(&f);
      f.a = wl_tape_input(f.tape, "a", SHAPE(2, 3, 6, 5));
      f.b = wl_tape_input(f.tape, "b", SHAPE(4, 3, 3, 2));
      const wl_real *y = run(&f, wl_op_conv2d(f.tape, f.a, f.b, stride, pad), 180, 72);
      const int64_t height = (6 + 2 * pad - 3) / stride + 1, width = (5 + 2 * pad - 2) / stride + 1;
      for (int64_t at = 0; at < 8 * height * width; at++) {
        const int64_t plane = at / (height * width), i = at / width % height, j = at % width;
        assert_near((double)y[at],
                    naive_conv(wl_tape_value(f.ws, f.a), wl_tape_value(f.ws, f.b), plane / 4,
                               plane % 4, i, j, stride, pad),
                    "conv2d", at);
      }
      end(&f);
    }
}

/* Tests pooling of a tensor (2,3,7,5). */
static void check_pool(int size, int stride, int average) {
  fixture f;
  begin(&f);
  f.a = wl_tape_input(f.tape, "a", SHAPE(2, 3, 7, 5));
  const wl_node node = average ? wl_op_avg_pool(f.tape, f.a, size, stride)
                               : wl_op_max_pool(f.tape, f.a, size, stride);
  const wl_real *y = run(&f, node, 210, 0), *x = wl_tape_value(f.ws, f.a);
  const int64_t height = (7 - size) / stride + 1, width = (5 - size) / stride + 1;
  for (int64_t at = 0; at < 6 * height * width; at++) {
    const int64_t plane = at / (height * width), i = at / width % height, j = at % width;
    double top = -INFINITY, sum = 0;
    for (int k = 0; k < size * size; k++) {
      const double v = (double)x[(plane * 7 + i * stride + k / size) * 5 + j * stride + k % size];
      top = v > top ? v : top;
      sum += v;
    }
    assert_near((double)y[at], average ? sum / (size * size) : top, "pool", at);
  }
  end(&f);
}

static void test_pool(void **state) {
  (void)state;
  for (int size = 1; size <= 3; size++)
    for (int stride = 1; stride <= 3; stride++) {
      check_pool(size, stride, 0);
      check_pool(size, stride, 1);
    }
}

/* Tests batch norm. In each channel with the variance v, the result must have the mean 0 and the variance v / (v +
 * eps). */
static void check_norm(wl_node input, fixture *f, int64_t batch, int64_t channels, int64_t inner) {
  f->a = input;
  const wl_real *y = run(f, wl_op_batch_norm(f->tape, input, 1e-2), batch * channels * inner, 0);
  const wl_real *x = wl_tape_value(f->ws, input);
  const double n = (double)(batch * inner);
  for (int64_t c = 0; c < channels; c++) {
    double mean = 0, variance = 0;
    for (int64_t k = 0; k < batch * inner; k++)
      mean += (double)x[(k / inner * channels + c) * inner + k % inner] / n;
    for (int64_t k = 0; k < batch * inner; k++)
      variance += pow((double)x[(k / inner * channels + c) * inner + k % inner] - mean, 2) / n;
    for (int64_t k = 0; k < batch * inner; k++) {
      const int64_t at = (k / inner * channels + c) * inner + k % inner;
      assert_near((double)y[at], ((double)x[at] - mean) / sqrt(variance + 1e-2), "batch_norm", at);
    }
  }
  end(f);
}

static void test_batch_norm(void **state) {
  (void)state;
  fixture f;
  begin(&f);
  check_norm(wl_tape_input(f.tape, "a", SHAPE(3, 2, 5, 3)), &f, 3, 2, 15);
  begin(&f);
  check_norm(wl_tape_input(f.tape, "a", SHAPE(9, 4)), &f, 9, 4, 1);
}

/* Fills the input (3,2,4) with the batch that has the number `batch`, and computes the mean and the biased variance
 * of each channel. */
static void fill_batch(fixture *f, int batch, double mean[2], double variance[2]) {
  wl_real *x = wl_tape_input_data(f->ws, f->a);
  for (int64_t i = 0; i < 24; i++) x[i] = (wl_real)sin(0.7 * (double)i + 3.1 * batch);
  for (int c = 0; c < 2; c++) {
    mean[c] = variance[c] = 0;
    for (int64_t i = 0; i < 24; i++) mean[c] += i / 4 % 2 == c ? (double)x[i] / 12 : 0;
    for (int64_t i = 0; i < 24; i++)
      variance[c] += i / 4 % 2 == c ? pow((double)x[i] - mean[c], 2) / 12 : 0;
  }
}

/* Collects the statistics of two batches, and normalises a third batch with the mean of these statistics. After that,
 * a batch must again be normalised with the statistics of the batch itself. */
static void test_held_statistics(void **state) {
  (void)state;
  fixture f;
  begin(&f);
  f.a = wl_tape_input(f.tape, "a", SHAPE(3, 2, 2, 2));
  const wl_real *y = run(&f, wl_op_batch_norm(f.tape, f.a, 1e-5), 24, 0);
  double mean[4][2], variance[4][2];
  wl_real own[24];
  fill_batch(&f, 3, mean[3], variance[3]);
  wl_tape_forward(f.tape, f.ws, NULL, NULL, NULL);
  memcpy(own, y, sizeof own);
  for (int round = 0; round < 2; round++) { /* each collection of statistics must start with empty sums */
    assert_int_equal(wl_tape_set_statistics(f.tape, f.ws, WL_STATISTICS_COLLECT), 1);
    for (int b = 0; b < 2; b++) {
      fill_batch(&f, b + round, mean[b], variance[b]);
      wl_tape_forward(f.tape, f.ws, NULL, NULL, NULL);
    }
  }
  wl_tape_set_statistics(f.tape, f.ws, WL_STATISTICS_HELD);
  fill_batch(&f, 3, mean[3], variance[3]);
  wl_tape_forward(f.tape, f.ws, NULL, NULL, NULL);
  for (int64_t i = 0; i < 24; i++) {
    const int c = (int)(i / 4 % 2);
    const double m = (mean[0][c] + mean[1][c]) / 2,
                 v = (variance[0][c] + variance[1][c]) / 2 * 12 / 11;
    assert_near((double)y[i], ((double)wl_tape_value(f.ws, f.a)[i] - m) / sqrt(v + 1e-5),
                "held statistics", i);
  }
  wl_tape_set_statistics(f.tape, f.ws, WL_STATISTICS_BATCH);
  wl_tape_forward(f.tape, f.ws, NULL, NULL, NULL);
  assert_memory_equal(own, y, sizeof own);
  end(&f);
}

/* Tests losses, and operators that change the shape of a tensor. */

static void test_shape(void **state) {
  (void)state;
  fixture f;
  begin(&f);
  f.a = wl_tape_input(f.tape, "a", SHAPE(5, 3));
  const wl_node flat = wl_op_reshape(f.tape, f.a, SHAPE(15)), column = wl_op_column(f.tape, f.a, 2);
  const wl_node mean = wl_op_mean(f.tape, f.a), sum = wl_op_sum(f.tape, f.a);
  run(&f, column, 15, 0);
  const wl_real *x = wl_tape_value(f.ws, f.a);
  double total = 0;
  for (int64_t i = 0; i < 15; i++) total += (double)x[i];
  for (int64_t i = 0; i < 5; i++) assert_true(wl_tape_value(f.ws, column)[i] == x[3 * i + 2]);
  assert_memory_equal(wl_tape_value(f.ws, flat), x, 15 * sizeof *x);
  assert_near((double)wl_tape_value(f.ws, sum)[0], total, "sum", 0);
  assert_near((double)wl_tape_value(f.ws, mean)[0], total / 15, "mean", 0);
  end(&f);
}

typedef struct classifier {
  wl_tape *tape;
  wl_tape_ws *ws;
  wl_node logits, labels;
} classifier;

/* The logits (5,3) are parameters in theta, so that the test can read the gradient with respect to them. */
static void open_classifier(classifier *c) {
  assert_int_equal(wl_tape_create(&c->tape), WL_OK);
  c->logits = wl_tape_theta(c->tape, "logits", SHAPE(5, 3));
  c->labels = wl_tape_labels(c->tape, "labels", 5);
  const wl_node loss = wl_op_softmax_cross_entropy(c->tape, c->logits, c->labels);
  assert_int_equal(wl_tape_finish(c->tape, loss, c->logits, c->labels), WL_OK);
  assert_int_equal(wl_tape_ws_create(c->tape, true, &c->ws), WL_OK);
  memcpy(wl_tape_label_data(c->ws, c->labels), (const int32_t[]){2, 0, 1, 1, 2},
         5 * sizeof(int32_t));
}

static void close_classifier(classifier *c) {
  wl_tape_ws_destroy(&c->ws);
  wl_tape_destroy(&c->tape);
}

static const wl_real logits[15] = {1, 2, 900, 4, 3, -1, 0, 0.5, 0.25, 2, 1, 0, -700, 5, 800};

static void test_softmax_cross_entropy(void **state) {
  (void)state;
  classifier c;
  open_classifier(&c);
  double loss = NAN, want = 0;
  wl_tape_forward(c.tape, c.ws, logits, NULL, &loss);
  for (int b = 0; b < 5; b++) {
    double sum = 0, top = fmax((double)logits[3 * b],
                               fmax((double)logits[3 * b + 1], (double)logits[3 * b + 2]));
    for (int k = 0; k < 3; k++) sum += exp((double)logits[3 * b + k] - top);
    want += (log(sum) + top - (double)logits[3 * b + wl_tape_label_data(c.ws, c.labels)[b]]) / 5;
  }
  assert_near(loss, want, "softmax_cross_entropy", 0);
  assert_true(fabs(wl_tape_accuracy(c.tape, c.ws) - 0.8) < 1e-12);
  close_classifier(&c);
}

/* If a label is out of range or a logit is NaN, the loss must be NaN, and the operator must not access invalid
 * memory. If a row of logits contains NaN, its classification must count as wrong. */
static void test_bad_data(void **state) {
  (void)state;
  classifier c;
  open_classifier(&c);
  wl_real grad[15], hv[15];
  double loss = 0;
  for (int bad = -1; bad <= 3; bad += 4) {
    wl_tape_label_data(c.ws, c.labels)[0] = bad;
    wl_tape_forward(c.tape, c.ws, logits, NULL, &loss);
    assert_true(isnan(loss));
    wl_tape_reverse(c.tape, c.ws, grad, NULL);
    wl_tape_tangent(c.tape, c.ws, logits, NULL, hv, NULL);
    assert_true(fabs(wl_tape_accuracy(c.tape, c.ws) - 0.6) < 1e-12);
  }
  wl_real broken[15];
  memcpy(broken, logits, sizeof broken);
  wl_tape_label_data(c.ws, c.labels)[0] = 2;
  broken[3] = (wl_real)NAN; /* this logit belongs to row 1, which has the label 0 */
  wl_tape_forward(c.tape, c.ws, broken, NULL, &loss);
  assert_true(isnan(loss));
  assert_true(fabs(wl_tape_accuracy(c.tape, c.ws) - 0.6) < 1e-12);
  close_classifier(&c);
}

/* Tests max pooling over windows of 2 x 2 elements. Some elements are equal or NaN. If a window contains NaN, the
 * maximum must be the last NaN. If several elements of a window without NaN are equal to the maximum, the first of
 * these elements must be used. */
enum { PAIR_ROWS = 4, PAIR_COLUMNS = 22, PAIR_SIZE = PAIR_ROWS * PAIR_COLUMNS };

static int64_t chosen(const wl_real *x, int64_t i, int64_t j) {
  const int64_t corner = 2 * i * PAIR_COLUMNS + 2 * j;
  const int64_t at[] = {corner, corner + 1, corner + PAIR_COLUMNS, corner + PAIR_COLUMNS + 1};
  int64_t best = at[0];
  for (int k = 1; k < 4; k++)
    if (isnan(x[at[k]]) || x[at[k]] > x[best]) best = at[k];
  return best;
}

static void test_pool_choice(void **state) {
  (void)state;
  wl_tape *t = NULL;
  wl_tape_ws *ws = NULL;
  wl_real x[PAIR_SIZE], grad[PAIR_SIZE], expected[PAIR_SIZE] = {0};
  for (int i = 0; i < PAIR_SIZE; i++) x[i] = i % 13 == 5 ? (wl_real)NAN : (wl_real)(i * i % 7 % 3);
  assert_int_equal(wl_tape_create(&t), WL_OK);
  const wl_node pooled =
      wl_op_max_pool(t, wl_tape_theta(t, "x", SHAPE(1, 1, PAIR_ROWS, PAIR_COLUMNS)), 2, 2);
  assert_int_equal(wl_tape_finish(t, wl_op_sum(t, pooled), -1, -1), WL_OK);
  assert_int_equal(wl_tape_ws_create(t, false, &ws), WL_OK);
  wl_tape_forward(t, ws, x, NULL, NULL);
  wl_tape_reverse(t, ws, grad, NULL);
  const wl_real *y = wl_tape_value(ws, pooled);
  for (int64_t i = 0; i < PAIR_ROWS / 2; i++)
    for (int64_t j = 0; j < PAIR_COLUMNS / 2; j++) {
      const int64_t at = chosen(x, i, j);
      expected[at] = 1;
      assert_memory_equal(&y[i * PAIR_COLUMNS / 2 + j], &x[at], sizeof *y);
    }
  assert_memory_equal(grad, expected, sizeof grad);
  wl_tape_ws_destroy(&ws);
  wl_tape_destroy(&t);
}

/* The derivative of relu at 0 must be 0. If several elements of a window are equal to the maximum, max_pool must add
 * the gradient only to the first of these elements. */
static void test_kinks(void **state) {
  (void)state;
  wl_tape *t = NULL;
  wl_tape_ws *ws = NULL;
  assert_int_equal(wl_tape_create(&t), WL_OK);
  const wl_node x = wl_tape_theta(t, "x", SHAPE(1, 1, 2, 2));
  const wl_node both =
      wl_op_add(t, wl_op_sum(t, wl_op_relu(t, x)), wl_op_sum(t, wl_op_max_pool(t, x, 2, 2)));
  assert_int_equal(wl_tape_finish(t, both, -1, -1), WL_OK);
  assert_int_equal(wl_tape_ws_create(t, false, &ws), WL_OK);
  wl_real grad[4];
  wl_tape_forward(t, ws, (const wl_real[]){0, -1, 0, 0}, NULL, NULL);
  wl_tape_reverse(t, ws, grad, NULL);
  assert_true(grad[0] == 1 && grad[1] == 0 && grad[2] == 0 && grad[3] == 0);
  wl_tape_ws_destroy(&ws);
  wl_tape_destroy(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_unary),
                                     cmocka_unit_test(test_binary),
                                     cmocka_unit_test(test_broadcast),
                                     cmocka_unit_test(test_matmul),
                                     cmocka_unit_test(test_batched_matvec),
                                     cmocka_unit_test(test_conv2d),
                                     cmocka_unit_test(test_pool),
                                     cmocka_unit_test(test_batch_norm),
                                     cmocka_unit_test(test_held_statistics),
                                     cmocka_unit_test(test_shape),
                                     cmocka_unit_test(test_softmax_cross_entropy),
                                     cmocka_unit_test(test_bad_data),
                                     cmocka_unit_test(test_kinks),
                                     cmocka_unit_test(test_pool_choice)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
