/* test_trajectory.c - tests the parts of trajectories, the index of the parts, resumed runs, and failures of the
 * disk. The test reads the index by plain calls of HDF5, as other programs do. */
#include "io_test.h"

#include <hdf5.h>
#include <hdf5_hl.h>
#include <math.h>

#include "trajectory_sample.h"

#define INDEX(run) run "/trajectory.h5"

static wl_trajectory *open_run(const char *run, int64_t resume_step) {
  wl_trajectory *t = NULL;
  mkdir(run, 0777);
  assert_ok(wl_trajectory_open(run, &t_setting, resume_step, "seed: 1\n", &t));
  return t;
}

/* Opens a run in which a part is full as soon as its rows occupy `bytes` bytes. */
static wl_trajectory *open_small(const char *run, int64_t resume_step, int64_t bytes) {
  wl_trajectory *t = NULL;
  wl_trajectory_setting setting = t_setting;
  setting.part_bytes = bytes;
  mkdir(run, 0777);
  assert_ok(wl_trajectory_open(run, &setting, resume_step, "", &t));
  return t;
}

/* Reads one dataset of the index. The caller must free the returned values. */
static void *column(const char *index, const char *name, wl_field *field) {
  hsize_t shape[4] = {0};
  H5T_class_t class;
  size_t size = 0;
  const hid_t file = H5Fopen(index, H5F_ACC_RDONLY, H5P_DEFAULT);
  assert_true(file >= 0);
  memset(field, 0, sizeof *field);
  assert_true(H5LTget_dataset_ndims(file, name, &field->ndim) >= 0 && field->ndim <= 4);
  assert_true(H5LTget_dataset_info(file, name, shape, &class, &size) >= 0);
  field->type = class == H5T_INTEGER ? WL_INT64 : size == 4 ? WL_FLOAT32 : WL_FLOAT64;
  for (int d = 0; d < field->ndim; d++) field->shape[d] = (int64_t)shape[d];
  field->data = malloc((size_t)wl_field_count(field) * size + 1);
  const hid_t memory = class == H5T_INTEGER ? H5T_NATIVE_INT64
                       : size == 4          ? H5T_NATIVE_FLOAT
                                            : H5T_NATIVE_DOUBLE;
  assert_true(H5LTread_dataset(file, name, memory, field->data) >= 0);
  H5Fclose(file);
  return field->data;
}

static void assert_losses(const char *index, int64_t meta_steps) {
  wl_field f;
  double *const loss = column(index, "loss", &f);
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

/* Asserts that the index contains exactly the meta-steps 0 .. n - 1. */
static void assert_shows(const char *index, int64_t n) {
  wl_field f;
  int64_t *data = column(index, "meta_step", &f);
  assert_int_equal(f.shape[0], T_UNITS * n);
  for (int64_t r = 0; r < f.shape[0]; r++) assert_int_equal(data[r], r / T_UNITS);
  free(data);
  data = column(index, "metrics/meta_step", &f);
  assert_int_equal(f.shape[0], n);
  for (int64_t r = 0; r < n; r++) assert_int_equal(data[r], r + 1);
  free(data);
  assert_losses(index, n);
}

static void records_come_back(void **state) {
  (void)state;
  wl_field f;
  wl_trajectory *t = open_run("back", 0);
  assert_ok(t_run(t, 0, 7, 3)); /* the writer flushes after 3 and 6 meta-steps and at the end */
  assert_ok(wl_trajectory_close(&t));
  assert_null(t);
  assert_shows(INDEX("back"), 7);
  assert_int_equal(count_files("back/trajectory", "part-"), 1);
  wl_real *const hidden = column(INDEX("back"), "hidden", &f);
  assert_int_equal(f.ndim, 4);
  assert_true(f.type == WL_REAL_TYPE && f.shape[3] == T_HIDDEN);
  assert_true(hidden[29] != hidden[29] &&
              hidden[3] == (wl_real)0.75); /* window 0 has 3 steps, but the array has space for 5 steps */
  free(hidden);
  wl_real *const theta = column(INDEX("back"), "theta", &f);
  assert_true(theta[(2 * T_SNAPSHOTS + 1) * T_N + 6] == (wl_real)(1 + 13));
  free(theta);
}

static void before_the_first_flush(void **state) {
  (void)state;
  wl_field f;
  wl_trajectory *t = open_run("fresh", 0);
  wl_file *file = NULL;
  assert_ok(wl_file_open(INDEX("fresh"), "trajectory", &file)); /* the index must exist before the first meta-step */
  wl_file_close(&file);
  assert_ok(wl_trajectory_flush(t));
  assert_int_equal(count_files("fresh/trajectory", "part-"), 0);
  assert_ok(wl_trajectory_close(&t));
  free(column(INDEX("fresh"), "coordinate_index", &f));
  assert_int_equal(f.shape[0], T_COORDINATES);
}

/* Resumes the run at every meta-step, once with a single part and once with several parts. If the trajectory has
 * several parts, some of these meta-steps are before, at and after the ends of parts. */
static void resume_drops_what_lies_beyond(void **state) {
  (void)state;
  for (int64_t bytes = 0; bytes <= 3000; bytes += 3000)
    for (int64_t resume = 0; resume <= 7; resume++) {
      wl_trajectory *t = open_small("resume", 0, bytes);
      assert_ok(t_run(t, 0, 7, 2));
      assert_ok(wl_trajectory_close(&t));
      t = open_small("resume", resume, bytes);
      if (resume > 0) assert_shows(INDEX("resume"), resume);
      assert_ok(t_run(t, resume, 9, 4));
      assert_ok(wl_trajectory_close(&t));
      assert_shows(INDEX("resume"), 9);
    }
}

/* A part that has reached its maximal number of bytes must not change afterwards. */
static void full_parts_stay(void **state) {
  (void)state;
  struct stat before, after;
  wl_trajectory *t = open_small("full", 0, 6000);
  assert_ok(t_run(t, 0, 8, 1));
  const int parts = count_files("full/trajectory", "part-");
  assert_in_range(parts, 2, 5);
  assert_int_equal(stat("full/trajectory/part-00000001.h5", &before), 0);
  assert_ok(t_run(t, 8, 20, 1));
  assert_ok(wl_trajectory_close(&t));
  assert_int_equal(stat("full/trajectory/part-00000001.h5", &after), 0);
  assert_int_equal(before.st_ino, after.st_ino);
  assert_true(count_files("full/trajectory", "part-") > parts);
  assert_shows(INDEX("full"), 20);
}

/* A resumed run must write as many parts and the same rows as an uninterrupted run. */
static void interruptions_leave_no_trace(void **state) {
  (void)state;
  wl_trajectory *t = open_small("straight", 0, 6000);
  assert_ok(t_run(t, 0, 12, 2));
  assert_ok(wl_trajectory_close(&t));
  t = open_small("cut", 0, 6000);
  assert_ok(t_run(t, 0, 9, 1)); /* the trajectory t is not closed, because a killed process would not close it */
  wl_trajectory *again = open_small("cut", 6, 6000);
  assert_ok(t_run(again, 6, 12, 2));
  assert_ok(wl_trajectory_close(&again));
  wl_trajectory_close(&t);
  again = open_small("cut", 12, 6000); /* opens the run again but adds no rows */
  assert_ok(wl_trajectory_close(&again));
  assert_shows(INDEX("cut"), 12);
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
  assert_ok(wl_trajectory_open("other", &wider, 4, "", &t));
  assert_ok(t_run(t, 4, 6, 1));
  assert_ok(wl_trajectory_close(&t));
  double *const loss = column(INDEX("other"), "loss", &f);
  assert_true(f.shape[0] == 6 * T_UNITS && f.shape[1] == T_STEPS + 2);
  assert_true(loss[0] == 0.0 && isnan(loss[T_STEPS]) && loss[8 * (T_STEPS + 2)] == 4.0);
  free(loss);
  wl_real *const hidden = column(INDEX("other"), "hidden", &f);
  assert_int_equal(f.shape[0], 6 * T_UNITS);
  const int64_t row = T_STEPS * T_COORDINATES * T_HIDDEN;
  assert_true(hidden[1] == (wl_real)0.25 &&
              hidden[8 * row + 1] != hidden[8 * row + 1]); /* values that were not recorded are NaN */
  free(hidden);
}

/* If a part is missing, its rows must be read as NaN instead of zero. */
static void missing_part_is_nan(void **state) {
  (void)state;
  wl_field f;
  wl_trajectory *t = open_small("gone", 0, 1);
  assert_ok(t_run(t, 0, 4, 2));
  assert_ok(wl_trajectory_close(&t));
  assert_int_equal(unlink("gone/trajectory/part-00000001.h5"), 0);
  double *const loss = column(INDEX("gone"), "loss", &f);
  assert_true(isnan(loss[0]) && loss[4 * T_STEPS] == 2.0);
  free(loss);
  int64_t *const steps = column(INDEX("gone"), "meta_step", &f);
  assert_true(steps[0] == -1 && steps[4] == 2);
  free(steps);
}

static void damaged_part_is_left_out(void **state) {
  (void)state;
  wl_field f;
  wl_trajectory *t = open_small("damaged", 0, 1);
  assert_ok(t_run(t, 0, 6, 2));
  assert_ok(wl_trajectory_close(&t));
  assert_int_equal(truncate("damaged/trajectory/part-00000002.h5", 1000), 0);
  t = open_run("damaged", 6);
  assert_ok(wl_trajectory_close(&t));
  int64_t *const steps = column(INDEX("damaged"), "meta_step", &f);
  assert_true(f.shape[0] == 4 * T_UNITS && steps[4] == 4);
  free(steps);
}

/* If a flush has failed, the next flush must also write the rows of the failed flush. */
static void failing_flush_loses_nothing(void **state) {
  (void)state;
  wl_trajectory *t = open_run("failing", 0);
  assert_ok(t_run(t, 0, 3, 10));
  assert_int_equal(rename("failing/trajectory", "failing/away"), 0);
  assert_fails(wl_trajectory_flush(t), WL_ERR_CANNOT_CREATE, "part-00000001.h5");
  assert_int_equal(rename("failing/away", "failing/trajectory"), 0);
  assert_ok(t_run(t, 3, 4, 10));
  assert_ok(wl_trajectory_close(&t));
  assert_shows(INDEX("failing"), 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(records_come_back),
                                     cmocka_unit_test(before_the_first_flush),
                                     cmocka_unit_test(resume_drops_what_lies_beyond),
                                     cmocka_unit_test(full_parts_stay),
                                     cmocka_unit_test(interruptions_leave_no_trace),
                                     cmocka_unit_test(other_settings_after_a_resume),
                                     cmocka_unit_test(missing_part_is_nan),
                                     cmocka_unit_test(damaged_part_is_left_out),
                                     cmocka_unit_test(failing_flush_loses_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
