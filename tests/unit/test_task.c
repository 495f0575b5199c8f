/* test_task.c - tests properties of every task family in float32 and in float64. All families must be registered. The
 * draws of an episode must depend only on the identity of the episode, such as seed, unit and index. */
#include "glyphs_fixture.h"

static const char *const cases[] = {
    "{family: quadratic, dimension: 4, batch: 3}",
    "{family: mlp, widths: [5], batch: 6}",
    "{family: mlp, widths: [5], batch: 6, reparametrise: parameter, loss_scale: {log_uniform: [0.1, 10]}, "
    "gradient_noise: {one_of: [0.1, 0.2]}, scale_jitter: 0.5, data_fraction: {uniform: [0.2, 0.9]}}",
    "{family: autoencoder, widths: [5, 3, 5], batch: 6}",
    "{family: language-model, embedding: 3, hidden: 4, length: 5, batch: 3}",
    "{family: transformer, width: 6, hidden: 5, length: 5, batch: 3}",
    "{family: logistic, dimension: 6, samples: 32, batch: 8}",
    "{family: rosenbrock, dimension: 5}",
    "{family: test-function, dimension: 4, shift: 1}",
    "{family: sinusoid, shots: 5, query: 7}",
    "{family: mountain}",
    "{family: conv, filters: [2], batch: 5}",
    "{family: omniglot, file: tiny.glyphs, ways: 5, shots: 4, query: 2, batch: 5, alphabets: 2, test_alphabets: 1, "
    "filters: [2]}",
};
enum { CASES = sizeof cases / sizeof *cases };

/* Draws an episode. Computes the loss and the gradient at the theta_0 of this episode. */
static double drawn_loss(fixture *f, wl_task_ws *ws, const wl_episode *episode,
                         const wl_batch *batch) {
  assert_ok(wl_task_bind(f->task, ws, episode));
  assert_ok(wl_task_theta0(f->task, ws, f->theta));
  return wl_task_loss(f->task, ws, &(wl_task_point){batch, f->theta, NULL}, f->grad, NULL);
}

static void test_pure_function(void **state) {
  fixture f = open_fixture(*state);
  const wl_episode a = episode_number(1), b = episode_number(2);
  const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 3},
                 other = {WL_FOR_OUTER_BATCH, WL_SPLIT_HELDOUT, 9};
  wl_real *first = f.v;
  const double loss = drawn_loss(&f, f.ws, &a, &batch);
  memcpy(first, f.grad, (size_t)f.n * sizeof *first);
  const double loss_b = drawn_loss(&f, f.ws, &b, &batch);
  assert_true(loss_b != loss);
  drawn_loss(&f, f.ws, &b, &other);
  /* after another episode and another batch, the same episode must have the same bits as before */
  assert_true(drawn_loss(&f, f.ws, &a, &batch) == loss);
  assert_memory_equal(f.grad, first, (size_t)f.n * sizeof *first);
  /* in a new workspace without memory for tangents, the episode must have the same bits too */
  wl_task_ws *fresh = NULL;
  assert_ok(wl_task_ws_create(f.task, false, &fresh));
  assert_true(drawn_loss(&f, fresh, &a, &batch) == loss);
  assert_memory_equal(f.grad, first, (size_t)f.n * sizeof *first);
  wl_task_ws_destroy(&fresh);
  /* the other episode must have the same bits, whether it is drawn first or after this episode */
  assert_ok(wl_task_ws_create(f.task, false, &fresh));
  assert_true(drawn_loss(&f, fresh, &b, &batch) == loss_b);
  wl_task_ws_destroy(&fresh);
  close_fixture(&f);
}

/* Changing any part of the identity of an episode must change its draws. */
static void test_identity(void **state) {
  fixture f = open_fixture(*state);
  const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 0};
  const wl_episode base = episode_number(1);
  const double loss = drawn_loss(&f, f.ws, &base, &batch);
  for (int part = 0; part < 4; part++) {
    wl_episode changed = base;
    if (part == 0) changed.seed++;
    if (part == 1) changed.space = WL_SPACE_EVAL;
    if (part == 2) changed.index++;
    if (part == 3) changed.unit++;
    assert_true(drawn_loss(&f, f.ws, &changed, &batch) != loss);
  }
  close_fixture(&f);
}

/* The loss of an evaluation must be the mean over its batches. */
static void test_evaluate(void **state) {
  fixture f = open_fixture(*state);
  for (wl_split split = WL_SPLIT_TRAIN; split <= WL_SPLIT_HELDOUT; split++) {
    double sum = 0.0, accuracy;
    for (int64_t b = 0; b < f.task->eval_batches; b++) {
      const wl_batch batch = {WL_FOR_EVAL_BATCH, split, b};
      sum += wl_task_loss(f.task, f.ws, &(wl_task_point){&batch, f.theta, NULL}, NULL, NULL);
    }
    const double mean = wl_task_evaluate(f.task, f.ws, split, f.theta, NULL, &accuracy);
    assert_close(mean, sum / (double)f.task->eval_batches, 0.0);
    assert_true(isnan(accuracy) || (accuracy >= 0.0 && accuracy <= 1.0));
  }
  close_fixture(&f);
}

static bool has_case(const char *family) {
  char head[64];
  if (strcmp(family, "python") == 0) return true; /* the tests in tests/plugins cover the family `python` */
  snprintf(head, sizeof head, "{family: %s", family);
  for (int i = 0; i < CASES; i++)
    if (strncmp(cases[i], head, strlen(head)) == 0 && strchr(",}", cases[i][strlen(head)])) return true;
  return false;
}

static void test_registry(void **state) {
  (void)state;
  const wl_variant *variants = wl_task_variants();
  int count = 0;
  for (; wl_task_families[count]; count++) {
    assert_string_equal(variants[count].name, wl_task_families[count]->name);
    assert_true(strlen(variants[count].summary) > 10);
    for (int i = 0; i < count; i++) assert_string_not_equal(variants[i].name, variants[count].name);
    if (!has_case(variants[count].name)) fail_msg("add a case for %s", variants[count].name);
  }
  assert_null(variants[count].name);
  wl_task *task = NULL;
  assert_ok(task_from("{family: quadratic, proportion: 2.5}", &task));
  assert_close(task->proportion, 2.5, 0.0);
  assert_true(wl_task_cost(task) > 0.0);
  assert_true(wl_task_ws_bytes(task, true) >= wl_task_ws_bytes(task, false));
  wl_task_destroy(&task);
  assert_null(task);
}

/* Tests values that the tables of keys accept but that a family must reject. */
static void test_impossible_options(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {"{family: rosenbrock, dimension: 3, coupling: pairs}", "dimension"},
      {"{family: test-function, dimension: 3, function: beale}", "dimension"},
      {"{family: transformer, width: 6, heads: 4}", "heads"},
      {"{family: conv, kernel: 4}", "kernel"},
      {"{family: conv, filters: [2, 2, 2, 2, 2]}", "filters"},
      {"{family: quadratic, dimension: 0}", "dimension"},
      {"{family: mlp, activation: softplus}", "activation"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wl_task *task = NULL;
    assert_int_equal(task_from(bad[i][0], &task), WL_ERR_CONFIG);
    assert_null(task);
    assert_non_null(strstr(wl_last_error(), bad[i][1]));
  }
}

/* Names and tests of the properties. Each test is run for every family. */
static const struct {
  const char *name;
  CMUnitTestFunction test;
} properties[] = {{"pure function", test_pure_function},
                  {"identity", test_identity},
                  {"evaluate", test_evaluate}};
enum { PROPERTIES = sizeof properties / sizeof *properties };

int main(void) {
  install_glyphs();
  static char names[PROPERTIES * CASES][192];
  struct CMUnitTest tests[PROPERTIES * CASES + 2];
  int n = 0;
  for (int p = 0; p < PROPERTIES; p++)
    for (int c = 0; c < CASES; c++, n++) {
      snprintf(names[n], sizeof names[n], "%s %s", properties[p].name, cases[c]);
      tests[n] = (struct CMUnitTest){
          .name = names[n], .test_func = properties[p].test, .initial_state = (void *)cases[c]};
    }
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_registry);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_impossible_options);
  return _cmocka_run_group_tests("task", tests, (size_t)n, NULL, NULL);
}
