/* test_task_reference.c - compares the losses and gradients of the task families with reference values from NumPy.
 * The script tests/reference/task_losses.py computes these values from the formulas in float64. The script uses the
 * same random numbers as Warploom. The test also checks the distributions of the values that the families draw. */
#include "task_fixture.h"

typedef struct reference {
  const char *yaml;
  wl_batch batch;
  int64_t n;
  double loss;
  double projection[3]; /* scalar products of the gradient with cos(1 + k i) for k = 1, 2, 3 */
} reference;

static const reference references[] = {
#include "task_reference.inc"
};
enum { REFERENCES = sizeof references / sizeof *references };

static void test_reference(void **state) {
  const reference *r = *state;
  write_tiny("tiny", false);
  write_tiny_text("tiny.txt");
  fixture f = open_fixture(r->yaml);
  assert_int_equal(f.n, r->n);
  const double loss =
      wl_task_loss(f.task, f.ws, &(wl_task_point){&r->batch, f.theta, NULL}, f.grad, NULL);
  assert_close(loss, r->loss, 1e-13 * (1.0 + fabs(r->loss)));
  double norm = 0.0;
  for (int64_t i = 0; i < f.n; i++) norm += (double)f.grad[i] * (double)f.grad[i];
  for (int k = 1; k <= 3; k++) {
    double projection = 0.0;
    for (int64_t i = 0; i < f.n; i++) projection += (double)f.grad[i] * cos(1.0 + (double)(k * i));
    assert_close(projection, r->projection[k - 1], 1e-11 * (1.0 + sqrt(norm)));
  }
  close_fixture(&f);
}

/* ---- distributions ---- */

typedef struct moments {
  double mean, sd, least, most;
} moments;

/* Computes the mean, the standard deviation and the extremes of the elements of theta_0 over `episodes` episodes. */
static moments theta0_moments(const char *yaml, int64_t from, int64_t count, int episodes) {
  fixture f = open_fixture(yaml);
  double sum = 0.0, square = 0.0;
  moments m = {.least = INFINITY, .most = -INFINITY};
  for (int e = 0; e < episodes; e++) {
    const wl_episode episode = episode_number(e);
    assert_ok(wl_task_bind(f.task, f.ws, &episode));
    assert_ok(wl_task_theta0(f.task, f.ws, f.theta));
    for (int64_t i = from; i < from + count; i++) {
      sum += f.theta[i];
      square += (double)f.theta[i] * (double)f.theta[i];
      m.least = fmin(m.least, f.theta[i]);
      m.most = fmax(m.most, f.theta[i]);
    }
  }
  const double n = (double)(count * episodes);
  m.mean = sum / n;
  m.sd = sqrt(square / n - m.mean * m.mean);
  close_fixture(&f);
  return m;
}

static void test_theta0(void **state) {
  (void)state;
  moments m = theta0_moments("{family: quadratic}", 0, 1280, 20);
  assert_close(m.mean, 0.0, 5 * 0.01 / 160);
  assert_close(m.sd, 0.01, 5 * 0.01 / 226);
  m = theta0_moments("{family: mlp, initial_scale: 0.5, widths: [20]}", 0, 4150, 6);
  assert_close(m.mean, 0.0, 5 * 0.5 / 157);
  assert_close(m.sd, 0.5, 5 * 0.5 / 223);
  m = theta0_moments("{family: mountain}", 0, 2, 5000);
  assert_close(m.mean, 0.0, 5 * 1.733 / 100);
  assert_close(m.sd, sqrt(3.0), 0.05);
  assert_true(m.least >= -3.0 && m.most < 3.0);
  m = theta0_moments("{family: rosenbrock, start: classic, dimension: 4}", 0, 4, 1);
  assert_close(m.least, -1.2, 0.0);
  assert_close(m.most, 1.0, 0.0);
}

/* Tests the kinds of initialisation that have names, for a network of 196, 20 and 10 units. The test checks the bound
 * and the standard deviation of the 3920 elements of the first weight matrix. The biases must be zero. */
static void test_initialisers(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double sd, bound; /* standard deviation of the weights, and their bound (0 if there is no bound) */
  } expected[] = {
      {"fan-in", 0.87962566 / 14, 2.0 / 14},
      {"he", 0.10101525, 0},
      {"glorot", 0.09622504, 0.16666667}}; /* sqrt(2 / 196), sqrt(2 / 216), sqrt(6 / 216) */
  for (int k = 0; k < 3; k++) {
    char yaml[128];
    snprintf(yaml, sizeof yaml, "{family: mlp, widths: [20], initialisation: %s}",
             expected[k].name);
    const moments m = theta0_moments(yaml, 0, 3920, 20);
    assert_close(m.mean, 0.0, 5 * expected[k].sd / 280);
    assert_close(m.sd, expected[k].sd, 5 * expected[k].sd / 396);
    if (expected[k].bound > 0) {
      assert_true(m.least >= -expected[k].bound && m.most <= expected[k].bound);
      /* the largest initial value must be close to the bound */
      assert_close(m.most, expected[k].bound, 0.01 * expected[k].bound);
    }
    const moments bias = theta0_moments(yaml, 3920, 20, 1);
    assert_true(bias.least == 0.0 && bias.most == 0.0);
  }
}

/* The columns of the dense weight (196,20) must be orthonormal, and the rows of the convolution weight (4, 1 * 3 * 3)
 * must be orthonormal too. The scales of normalisation layers must start at 1, and their shifts must start at 0. */
static void test_orthogonal(void **state) {
  (void)state;
  fixture f =
      open_fixture("{family: mlp, widths: [20], initialisation: orthogonal, normalisation: layer}");
  assert_ok(wl_task_theta0(f.task, f.ws, f.theta));
  for (int a = 0; a < 20; a++)
    for (int b = 0; b <= a; b++) {
      double sum = 0.0;
      for (int i = 0; i < 196; i++) sum += f.theta[20 * i + a] * f.theta[20 * i + b];
      assert_close(sum, a == b, 1e-13);
    }
  for (int i = 0; i < 20; i++) {
    assert_true(f.theta[3940 + i] == 1.0);
    assert_true(f.theta[3960 + i] == 0.0);
  }
  close_fixture(&f);
  f = open_fixture("{family: conv, filters: [4], initialisation: orthogonal, batch: 5}");
  assert_ok(wl_task_theta0(f.task, f.ws, f.theta));
  for (int a = 0; a < 4; a++)
    for (int b = 0; b <= a; b++) {
      double sum = 0.0;
      for (int i = 0; i < 9; i++) sum += f.theta[9 * a + i] * f.theta[9 * b + i];
      assert_close(sum, a == b, 1e-13);
    }
  close_fixture(&f);
}

/* In a network of 1, 40, 40 and 1 units, the initial biases must be zero. The absolute values of the initial weights
 * must be at most 0.02, which is two standard deviations. Because of this truncation, the standard deviation of the
 * weights is not 0.01 but 0.01 sqrt(1 - 4 f(2) / (2 F(2) - 1)), where f is the density and F the distribution
 * function of N(0, 1). */
static void test_sinusoid_theta0(void **state) {
  (void)state;
  moments m = theta0_moments("{family: sinusoid}", 80, 1600, 20);
  assert_close(m.mean, 0.0, 5 * 0.0088 / 178);
  assert_close(m.sd, 0.01 * 0.87962566, 5 * 0.0088 / 252);
  assert_true(m.least >= -0.02 && m.most <= 0.02);
  m = theta0_moments("{family: sinusoid}", 40, 40, 1);
  assert_true(m.least == 0.0 && m.most == 0.0);
}

/* At theta = 0, the expected loss is E ||y||^2, which is d for Gaussian y and d/3 for uniform y. At theta = (1, ...,
 * 1), the expected loss E ||W theta - y||^2 also depends on the distribution of W. */
static void test_quadratic_draws(void **state) {
  (void)state;
  static const struct {
    const char *yaml;
    double at_zero, at_one;
  } expected[] = {
      {"{family: quadratic, distribution: gaussian}", 10.0, 110.0},
      /* each element of W theta has mean 5 and variance 10/12; y has mean 1/2 and variance 1/12 */
      {"{family: quadratic, distribution: uniform}", 10.0 / 3.0, 10.0 * (11.0 / 12.0 + 20.25)},
  };
  for (int c = 0; c < 2; c++) {
    fixture f = open_fixture(expected[c].yaml);
    double sum[2] = {0.0};
    enum { EPISODES = 40 };
    for (int e = 0; e < EPISODES; e++) {
      const wl_episode episode = episode_number(e);
      const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 0};
      assert_ok(wl_task_bind(f.task, f.ws, &episode));
      for (int at = 0; at < 2; at++) {
        for (int64_t i = 0; i < f.n; i++) f.theta[i] = at;
        sum[at] += wl_task_loss(f.task, f.ws, &(wl_task_point){&batch, f.theta, NULL}, NULL, NULL) /
                   EPISODES;
      }
    }
    assert_close(sum[0], expected[c].at_zero, 0.03 * expected[c].at_zero);
    assert_close(sum[1], expected[c].at_one, 0.03 * expected[c].at_one);
    close_fixture(&f);
  }
}

/* At theta = 0, the loss of a sinusoid task with amplitude A is the mean of y^2. The expectation of this loss is E
 * A^2 / 2, except for an effect of the finite range of x. */
static void test_sinusoid_draws(void **state) {
  (void)state;
  enum { EPISODES = 3000 };
  fixture f = open_fixture("{family: sinusoid, shots: 20}");
  const wl_batch support = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 0},
                 query = {WL_FOR_OUTER_BATCH, WL_SPLIT_TRAIN, 0};
  for (int64_t i = 0; i < f.n; i++) f.theta[i] = 0;
  double sum = 0.0;
  for (int e = 0; e < EPISODES; e++) {
    const wl_episode episode = episode_number(e);
    assert_ok(wl_task_bind(f.task, f.ws, &episode));
    const double inner =
        wl_task_loss(f.task, f.ws, &(wl_task_point){&support, f.theta, NULL}, NULL, NULL);
    const double outer =
        wl_task_loss(f.task, f.ws, &(wl_task_point){&query, f.theta, NULL}, NULL, NULL);
    assert_true(inner != outer && inner <= 25.0);
    sum += inner / EPISODES;
  }
  /* E A^2 = (5^3 - 0.1^3) / (3 * 4.9). Because the phase p is uniform in [0, pi], E sin^2(x - p) is 1/2 */
  const double expected = (125.0 - 0.001) / (3 * 4.9) / 2.0;
  assert_close(sum, expected, 0.07 * expected);
  close_fixture(&f);
}

int main(void) {
  struct CMUnitTest tests[REFERENCES + 6];
  size_t n = 0;
  for (; n < REFERENCES; n++)
    tests[n] = (struct CMUnitTest){.name = references[n].yaml,
                                   .test_func = test_reference,
                                   .initial_state = (void *)&references[n]};
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_theta0);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_initialisers);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_orthogonal);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_sinusoid_theta0);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_quadratic_draws);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_sinusoid_draws);
  return _cmocka_run_group_tests("task reference", tests, n, NULL, NULL);
}
