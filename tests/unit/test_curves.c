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
  const struct CMUnitTest tests[] = {cmocka_unit_test(definitions), cmocka_unit_test(published)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
