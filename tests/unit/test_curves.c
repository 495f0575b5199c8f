/* test_curves.c - tests which curves of a file can be reused for a task of a suite. The file and the suite must
 * define the task by the same values. If the file does not contain a key, the suite must use the default value of
 * this key. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate/speedup.h"

static void write_text(const char *path, const char *text) {
  FILE *const file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

/* Writes a curve for a task. In the definition of this task, the string `to` replaces the string `from`. Returns the
 * number of curves that can then be used for the suite. */
static int found_with(const char *suite_text, const char *from, const char *to) {
  int64_t steps[1] = {10}, diverged[WL_SPEEDUP_RATES] = {0};
  double loss[WL_SPEEDUP_RATES] = {0}, best[1] = {0};
  wl_suite *suite = NULL;
  wl_task_curves curves = {.count = 1}, read = {0};
  write_text("suite.yaml", suite_text);
  assert_int_equal(wl_suite_read("suite.yaml", &suite), WL_OK);
  assert_int_equal(wl_baseline_find("adam", &curves.curve[0].baseline), WL_OK);
  curves.curve[0] = (wl_baseline_curve){curves.curve[0].baseline, 1, steps, loss, diverged, best};
  char *const own = suite->tasks[0].definition, *const place = strstr(own, from);
  assert_non_null(place);
  char other[8192];
  snprintf(other, sizeof other, "%.*s%s%s", (int)(place - own), own, to, place + strlen(from));
  suite->tasks[0].definition = other;
  (void)remove("curves.h5");
  assert_int_equal(wl_speedup_save("curves.h5", suite, &curves), WL_OK);
  suite->tasks[0].definition = own;
  assert_int_equal(wl_speedup_load("curves.h5", suite, &read), WL_OK);
  const int found = read.count;
  wl_task_curves_clear(&read);
  wl_suite_destroy(&suite);
  return found;
}

#define SUITE(keys) \
  "suite: s\ntasks:\n  - {name: a, horizons: [1], family: quadratic, dimension: 3" keys "}\n"

static void definitions(void **state) {
  (void)state;
  assert_int_equal(found_with(SUITE(""), "warp_width: 0", "warp_width: 0"), 1);
  assert_int_equal(found_with(SUITE(""), "  warp_width: 0\n", ""), 1); /* files of earlier versions do not contain
                                                                        * this key */
  assert_int_equal(found_with(SUITE(""), "  batch: 128\n", ""), 1);
  assert_int_equal(found_with(SUITE(", batch: 4"), "  batch: 4\n", ""), 0); /* no default */
  assert_int_equal(found_with(SUITE(""), "dimension: 3", "dimension: 4"), 0);
  assert_int_equal(found_with(SUITE(""), "  dimension: 3\n", "  dimension: 3\n  gone: 1\n"), 0);
  assert_int_equal(found_with(SUITE(""), "seed: 1", "seed: 2"), 0);
  assert_int_equal(found_with(SUITE(""), "rates: []", "rates: [0.001, 1.0]"), 0);
  /* keys that do not change a stored loss */
  assert_int_equal(found_with(SUITE(""), "suite: s", "suite: other"), 1);
  assert_int_equal(found_with(SUITE(""), "reach: 10\n", "reach: 2\n"), 1);
  assert_int_equal(found_with(SUITE(""), "reach: 10\n", ""), 1);
  assert_int_equal(found_with(SUITE(""), "smoothing: 0.95", "smoothing: 0"), 1);
  assert_int_equal(found_with(SUITE(""), "horizons: [1]", "horizons: [1, 10]"), 1);
  assert_int_equal(found_with(SUITE(""), "proportion: 1.0", "proportion: 2.0"), 1);
  assert_int_equal(found_with(SUITE(""), "reference_steps: []", "reference_steps: [1]"), 1);
  assert_int_equal(found_with(SUITE(""), "reference_losses: []", "reference_losses: [0.5]"), 1);
}

#define LINE(name, keys) "  - {name: " name ", family: quadratic, dimension: 3, " keys "}\n"
#define HEAD "suite: s\ntasks:\n"

/* Saves a curve of the rule for the first task of the suite, as if this process had read no file before. */
static void save_one(const char *suite_text, const char *rule, int64_t points, int64_t *steps) {
  int64_t diverged[WL_SPEEDUP_RATES] = {0};
  double loss[WL_SPEEDUP_RATES * 4] = {0}, best[4] = {0};
  wl_suite *suite = NULL;
  wl_task_curves curves[2] = {{.count = 1}};
  write_text("suite.yaml", suite_text);
  assert_int_equal(wl_suite_read("suite.yaml", &suite), WL_OK);
  assert_true(suite->count <= 2);
  wl_baseline_curve *const c = &curves[0].curve[0];
  assert_int_equal(wl_baseline_find(rule, &c->baseline), WL_OK);
  *c = (wl_baseline_curve){c->baseline, points, steps, loss, diverged, best};
  assert_int_equal(wl_speedup_save("kept.h5", suite, curves), WL_OK);
  wl_suite_destroy(&suite);
}

/* Returns the number of curves in the file that can be used for the first task of the suite. */
static int count_in(const char *path, const char *suite_text) {
  wl_suite *suite = NULL;
  wl_task_curves read[2] = {0};
  write_text("suite.yaml", suite_text);
  assert_int_equal(wl_suite_read("suite.yaml", &suite), WL_OK);
  assert_int_equal(wl_speedup_load(path, suite, read), WL_OK);
  const int found = read[0].count;
  for (int i = 0; i < 2; i++) wl_task_curves_clear(&read[i]);
  wl_suite_destroy(&suite);
  return found;
}

/* A file of curves keeps the curves that the process which writes the file has not read. */
static void keeps(void **state) {
  (void)state;
  static const char a[] = HEAD LINE("a", "horizons: [10]"), b[] = HEAD LINE("b", "horizons: [10]");
  static const char both[] = HEAD LINE("a", "horizons: [10]") LINE("b", "horizons: [10]");
  static const char changed[] = HEAD LINE("a", "horizons: [10], batch: 4") LINE("b", "horizons: [10]");
  static const char moved[] = HEAD LINE("a", "horizons: [20], batch: 4");
  static const char kept_1[] = "kept-previous-1.h5", kept_2[] = "kept-previous-2.h5", kept_3[] = "kept-previous-3.h5";
  int64_t steps[4] = {10, 30, 100, 200}, later[3] = {20, 60, 200};
  (void)remove("kept.h5"), (void)remove(kept_1), (void)remove(kept_2), (void)remove(kept_3);
  save_one(a, "adam", 3, steps);
  save_one(a, "lion", 3, steps); /* another process has computed another rule */
  assert_int_equal(count_in("kept.h5", a), 2);
  save_one(b, "adam", 3, steps); /* the suite no longer contains the task a */
  assert_int_equal(count_in("kept.h5", a), 2);
  assert_int_equal(count_in("kept.h5", b), 1);
  save_one(HEAD LINE("b", "horizons: [10]") LINE("a", "horizons: [10], batch: 4"), "lion", 3, steps);
  assert_int_equal(count_in("kept.h5", both), 2); /* no curve of the changed task a was computed */
  save_one(a, "adam", 4, steps); /* a longer curve contains the shorter one */
  assert_null(fopen(kept_1, "r"));
  save_one(changed, "adam-linear", 3, steps);
  assert_int_equal(count_in("kept.h5", changed), 1);
  assert_int_equal(count_in("kept.h5", both), 0);
  assert_int_equal(count_in("kept.h5", b), 2);
  assert_int_equal(count_in(kept_1, both), 2);
  save_one(moved, "adam-linear", 3, later); /* the new curve has no run of 10 steps */
  assert_int_equal(count_in(kept_2, changed), 1);
  save_one(moved, "adam-linear", 3, later);
  assert_null(fopen(kept_3, "r"));
}

/* The losses decrease linearly, except at one step between two of the 512 steps of the published curve. The published
 * curve must not include this minimum. It must include a minimum that contains one of the 512 steps. */
static void published(void **state) {
  (void)state;
  enum { POINTS = 100 };
  int64_t steps[POINTS], diverged[WL_SPEEDUP_RATES] = {0};
  double loss[WL_SPEEDUP_RATES * POINTS], best[POINTS];
  for (int i = 0; i < WL_SPEEDUP_RATES * POINTS; i++) loss[i] = NAN;
  for (int k = 0; k < POINTS; k++) {
    steps[k] = 10 * (k + 1);
    loss[2 * POINTS + k] = 5 - 1e-3 * (double)steps[k];
  }
  loss[2 * POINTS + 29] = 4.5; /* step 300 */
  wl_baseline_curve c = {.points = POINTS, .steps = steps, .loss = loss, .diverged = diverged, .best = best};
  assert_int_equal(wl_baseline_find("adam", &c.baseline), WL_OK);
  wl_speedup_envelope(&c, 0);
  assert_float_equal(best[39], 4.5, 1e-12);
  const double spacing = 100000.0 / 511;
  assert_float_equal(wl_speedup_as_published(&c, 0, 400), 4.6, 1e-9);
  loss[2 * POINTS + 38] = loss[2 * POINTS + 39] = 4.5; /* steps 390 and 400, around the step 2 * 195.7 */
  const double first = 5 - 1e-3 * spacing, third = 5 - 3e-3 * spacing;
  assert_float_equal(wl_speedup_as_published(&c, 0, 400), 4.5 + (400 / spacing - 2) * (third - 4.5), 1e-9);
  assert_float_equal(wl_speedup_as_published(&c, 0, 300), first + (300 - spacing) / spacing * (4.5 - first), 1e-9);
  assert_true(isnan(wl_speedup_as_published(&c, 0, 1001)));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(definitions), cmocka_unit_test(keeps), cmocka_unit_test(published)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
