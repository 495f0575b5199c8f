/* test_trajectory.c - segments, the virtual file over them, resume, merging, and failing disks. */
#include "io_test.h"

#include <math.h>

#include "trajectory_sample.h"

#define MASTER(run) run "/trajectory.h5"

static wl_trajectory *open_run(const char *run, int64_t resume_step) {
  wl_trajectory *t = NULL;
  const wl_attribute attribute = {"configuration", "seed: 1\n"};
  mkdir(run, 0777);
  assert_ok(wl_trajectory_open(run, &t_setting, t_index, resume_step, &attribute, 1, &t));
  return t;
}

/* Reads a column of the virtual file; malloc'ed. */
static void *column(const char *master, const char *name, wl_field *field) {
  wl_file *file = NULL;
  assert_ok(wl_file_open(master, "trajectory", &file));
  memset(field, 0, sizeof *field);
  assert_ok(wl_file_query(file, name, field));
  snprintf(field->name, sizeof field->name, "%s", name);
  field->data = malloc((size_t)wl_field_count(field) * wl_type_size(field->type) + 1);
  assert_ok(wl_file_read(file, field));
  wl_file_close(&file);
  return field->data;
}

static void assert_losses(const char *master, int64_t meta_steps) {
  wl_field f;
  double *const loss = column(master, "loss", &f);
  assert_int_equal(f.shape[0], T_UNITS * meta_steps);
  assert_int_equal(f.shape[1], T_STEPS);
  for (int64_t r = 0; r < f.shape[0]; r++)
    for (int64_t k = 0; k < T_STEPS; k++) {
      const int64_t m = r / T_UNITS;
      const double got = loss[r * T_STEPS + k];
      if (k < t_length(m)) assert_true(got == (double)m + 0.125 * (double)k);
      else assert_true(isnan(got));
    }
  free(loss);
}

/* The virtual file shows exactly meta-steps [0, n). */
static void assert_shows(const char *master, int64_t n) {
  wl_field f;
  int64_t *data = column(master, "meta_step", &f);
  assert_int_equal(f.shape[0], T_UNITS * n);
  for (int64_t r = 0; r < f.shape[0]; r++) assert_int_equal(data[r], r / T_UNITS);
  free(data);
  data = column(master, "metrics/meta_step", &f);
  assert_int_equal(f.shape[0], n);
  for (int64_t r = 0; r < n; r++) assert_int_equal(data[r], r + 1);
  free(data);
  assert_losses(master, n);
}

static void records_come_back(void **state) {
  (void)state;
  wl_field f;
  wl_trajectory *t = open_run("back", 0);
  assert_ok(t_run(t, 0, 7, 3)); /* segments of 3, 3 and, at the end, 1 */
  assert_ok(wl_trajectory_close(&t));
  assert_null(t);
  assert_shows(MASTER("back"), 7);
  assert_int_equal(count_files("back/trajectory", "segment-"), 3);
  wl_real *const hidden = column(MASTER("back"), "hidden", &f);
  assert_int_equal(f.ndim, 4);
  assert_true(f.type == WL_REAL_TYPE && f.shape[3] == T_HIDDEN);
  assert_true(hidden[29] != hidden[29] &&
              hidden[3] == (wl_real)0.75); /* record 0 has 3 of 5 steps */
  free(hidden);
  wl_real *const theta = column(MASTER("back"), "theta", &f);
  assert_true(theta[(2 * T_SNAPSHOTS + 1) * T_N + 6] == (wl_real)(1 + 13));
  free(theta);
}

static void before_the_first_flush(void **state) {
  (void)state;
  wl_field f;
  wl_trajectory *t = open_run("fresh", 0);
  wl_file *file = NULL;
  assert_ok(wl_file_open(MASTER("fresh"), "trajectory", &file)); /* a reader finds it at once */
  wl_file_close(&file);
  assert_ok(wl_trajectory_flush(t));
  assert_int_equal(count_files("fresh/trajectory", "segment-"), 0);
  assert_ok(wl_trajectory_close(&t));
  free(column(MASTER("fresh"), "coordinate_index", &f));
  assert_int_equal(f.shape[0], T_COORDINATES);
}

/* Resumed at each meta-step in turn: before, at and behind the edges of segments. */
static void resume_drops_what_lies_beyond(void **state) {
  (void)state;
  for (int64_t resume = 0; resume <= 7; resume++) {
    wl_trajectory *t = open_run("resume", 0);
    assert_ok(t_run(t, 0, 7, 3));
    assert_ok(wl_trajectory_close(&t));
    t = open_run("resume", resume);
    if (resume > 0) assert_shows(MASTER("resume"), resume);
    assert_ok(t_run(t, resume, 9, 4));
    assert_ok(wl_trajectory_close(&t));
    assert_shows(MASTER("resume"), 9);
  }
}

/* More than 64 segments become one; nothing moves. The replaced ones outlive the merge. */
static void segments_are_merged(void **state) {
  (void)state;
  wl_trajectory *t = open_run("merge", 0);
  assert_ok(t_run(t, 0, 65, 1));
  assert_shows(MASTER("merge"), 65);
  assert_int_equal(count_files("merge/trajectory", "segment-"), 66);
  assert_ok(t_run(t, 65, 67, 1));
  assert_ok(wl_trajectory_close(&t));
  assert_int_equal(count_files("merge/trajectory", "segment-"), 4);
  assert_shows(MASTER("merge"), 67);
  t = open_run("merge", 30); /* inside the merged one */
  assert_ok(t_run(t, 30, 33, 1));
  assert_ok(wl_trajectory_close(&t));
  assert_shows(MASTER("merge"), 33);
}

/* Killed after a merge: the replaced files are still there and must not count twice. */
static void leftovers_of_a_merge(void **state) {
  (void)state;
  wl_trajectory *t = open_run("leftover", 0);
  assert_ok(t_run(t, 0, 65, 1)); /* not closed: as if killed */
  wl_trajectory *again = open_run("leftover", 65);
  assert_int_equal(count_files("leftover/trajectory", "segment-"), 2);
  assert_shows(MASTER("leftover"), 65);
  assert_ok(wl_trajectory_close(&again));
  wl_trajectory_close(&t);
}

static void other_settings_after_a_resume(void **state) {
  (void)state;
  wl_field f;
  wl_trajectory *t = open_run("other", 0);
  assert_ok(t_run(t, 0, 4, 2));
  assert_ok(wl_trajectory_close(&t));
  wl_trajectory_setting wider = t_setting;
  wider.steps = T_STEPS + 2;
  wider.hidden = 0;
  assert_ok(wl_trajectory_open("other", &wider, t_index, 4, NULL, 0, &t));
  assert_ok(t_run(t, 4, 6, 1));
  assert_ok(wl_trajectory_close(&t));
  double *const loss = column(MASTER("other"), "loss", &f);
  assert_true(f.shape[0] == 6 * T_UNITS && f.shape[1] == T_STEPS + 2);
  assert_true(loss[0] == 0.0 && isnan(loss[T_STEPS]) && loss[8 * (T_STEPS + 2)] == 4.0);
  free(loss);
  wl_real *const hidden = column(MASTER("other"), "hidden", &f);
  assert_int_equal(f.shape[0], 6 * T_UNITS);
  const int64_t row = T_STEPS * T_COORDINATES * T_HIDDEN;
  assert_true(hidden[1] == (wl_real)0.25 &&
              hidden[8 * row + 1] != hidden[8 * row + 1]); /* NaN: not recorded */
  free(hidden);
}

/* A segment that is gone reads as NaN, not as zeros. */
static void missing_segment_is_nan(void **state) {
  (void)state;
  wl_field f;
  wl_trajectory *t = open_run("gone", 0);
  assert_ok(t_run(t, 0, 4, 2));
  assert_ok(wl_trajectory_close(&t));
  assert_int_equal(unlink("gone/trajectory/segment-00000001.h5"), 0);
  double *const loss = column(MASTER("gone"), "loss", &f);
  assert_true(isnan(loss[0]) && loss[4 * T_STEPS] == 2.0);
  free(loss);
  int64_t *const steps = column(MASTER("gone"), "meta_step", &f);
  assert_true(steps[0] == -1 && steps[4] == 2);
  free(steps);
}

static void damaged_segment_is_left_out(void **state) {
  (void)state;
  wl_field f;
  wl_trajectory *t = open_run("damaged", 0);
  assert_ok(t_run(t, 0, 6, 2));
  assert_ok(wl_trajectory_close(&t));
  assert_int_equal(truncate("damaged/trajectory/segment-00000002.h5", 1000), 0);
  t = open_run("damaged", 6);
  assert_ok(wl_trajectory_close(&t));
  int64_t *const steps = column(MASTER("damaged"), "meta_step", &f);
  assert_true(f.shape[0] == 4 * T_UNITS && steps[4] == 4);
  free(steps);
}

/* A flush that fails keeps the rows for the next one. */
static void failing_flush_loses_nothing(void **state) {
  (void)state;
  wl_trajectory *t = open_run("failing", 0);
  assert_ok(t_run(t, 0, 3, 10));
  assert_int_equal(rename("failing/trajectory", "failing/away"), 0);
  assert_fails(wl_trajectory_flush(t), WL_ERR_CANNOT_CREATE, "segment-00000001.h5");
  assert_int_equal(rename("failing/away", "failing/trajectory"), 0);
  assert_ok(t_run(t, 3, 4, 10));
  assert_ok(wl_trajectory_close(&t));
  assert_shows(MASTER("failing"), 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(records_come_back),
                                     cmocka_unit_test(before_the_first_flush),
                                     cmocka_unit_test(resume_drops_what_lies_beyond),
                                     cmocka_unit_test(segments_are_merged),
                                     cmocka_unit_test(leftovers_of_a_merge),
                                     cmocka_unit_test(other_settings_after_a_resume),
                                     cmocka_unit_test(missing_segment_is_nan),
                                     cmocka_unit_test(damaged_segment_is_left_out),
                                     cmocka_unit_test(failing_flush_loses_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
