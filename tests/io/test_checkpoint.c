/* test_checkpoint.c - tests the names of checkpoints, damaged checkpoints, the search for the newest valid
 * checkpoint, and the deletion of old checkpoints. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "io_test.h"

static void save_as(const char *run, int64_t step, int keep, int64_t last_counted) {
  sample s;
  sample_make(&s, step);
  mkdir(run, 0777);
  assert_ok(wl_checkpoint_save(
      run, &(wl_checkpoint){step, keep, last_counted, s.fields, SAMPLE_FIELDS, NULL, 0}));
}

static void save(const char *run, int64_t step, int keep) { save_as(run, step, keep, 0); }
static void save_last_counted(const char *run, int64_t step, int64_t last_counted) {
  save_as(run, step, 2, step < last_counted ? step : last_counted);
}

static void assert_newest(const char *run, int64_t expected) {
  wl_file *file = NULL;
  int64_t step = -1;
  char name[64];
  int different = -1;
  assert_ok(wl_checkpoint_open_newest(run, &file, &step));
  assert_int_equal(step, expected);
  snprintf(name, sizeof name, "/checkpoints/step-%08d.h5", (int)expected);
  assert_non_null(strstr(wl_file_path(file), name));
  assert_ok(sample_compare(file, expected, &different));
  assert_int_equal(different, 0);
  wl_file_close(&file);
}

/* Changes one byte in the middle of a checkpoint. */
static void damage(const char *path) {
  size_t bytes = 0;
  unsigned char *const data = slurp(path, &bytes);
  data[bytes / 2] ^= 0x10;
  spill(path, data, bytes);
  free(data);
}

static void none_at_all(void **state) {
  (void)state;
  wl_file *file = NULL;
  int64_t step = 7;
  assert_fails(wl_checkpoint_open_newest("nowhere", &file, &step),
               WL_ERR_NO_INPUT, "no checkpoint");
  assert_null(file);
}

static void newest_is_kept_and_pointed_to(void **state) {
  (void)state;
  for (int64_t step = 100; step <= 500; step += 100) save("kept", step, 2);
  assert_newest("kept", 500);
  assert_int_equal(count_files("kept/checkpoints", "step-"), 2);
  assert_true(file_exists("kept/checkpoints/step-00000400.h5"));
  size_t bytes = 0;
  unsigned char *const text = slurp("kept/checkpoints/latest", &bytes);
  assert_string_equal((char *)text, "step-00000500.h5\n");
  free(text);
}

/* Large arrays are written without a copy. The same checkpoints must be kept as with small arrays. */
static void large_ones_are_kept_alike(void **state) {
  (void)state;
  enum { REALS = 9 << 20 };
  float *const data = calloc(REALS, sizeof *data);
  const wl_field field = {
      .name = "state", .type = WL_FLOAT32, .ndim = 1, .shape = {REALS}, .data = data};
  mkdir("large", 0777);
  for (int64_t step = 1; step <= 4; step++)
    assert_ok(wl_checkpoint_save("large", &(wl_checkpoint){step, 2, 0, &field, 1, NULL, 0}));
  assert_int_equal(count_files("large/checkpoints", "step-"), 2);
  damage("large/checkpoints/step-00000004.h5"); /* a damaged checkpoint must not be one of the checkpoints that `keep`
                                                 * counts */
  assert_ok(wl_checkpoint_save("large", &(wl_checkpoint){5, 2, 0, &field, 1, NULL, 0}));
  assert_int_equal(count_files("large/checkpoints", "step-"), 3);
  free(data);
}

static void order_is_by_number(void **state) {
  (void)state;
  save("order", 99999999, 5);
  save("order", 100000000, 5); /* an alphabetical order would put a name with nine digits before a name with eight
                                * digits */
  save("order", 2, 5);
  assert_newest("order", 100000000);
}

static void damaged_newest_is_passed_over(void **state) {
  (void)state;
  for (int64_t step = 1; step <= 3; step++) save("fallback", step, 3);
  damage("fallback/checkpoints/step-00000003.h5");
  assert_newest("fallback", 2);
  assert_int_equal(truncate("fallback/checkpoints/step-00000002.h5", 100), 0);
  assert_newest("fallback", 1);
  damage("fallback/checkpoints/step-00000001.h5");
  wl_file *file = NULL;
  int64_t step = 0;
  assert_fails(wl_checkpoint_open_newest("fallback", &file, &step), WL_ERR_DATA,
               "all 3 checkpoints");
  assert_null(file);
}

/* A damaged checkpoint must not be one of the checkpoints that `keep` counts. */
static void two_whole_ones_stay(void **state) {
  (void)state;
  save("whole", 1, 2);
  save("whole", 2, 2);
  damage("whole/checkpoints/step-00000002.h5");
  save("whole", 3, 2);
  assert_true(file_exists("whole/checkpoints/step-00000001.h5"));
  damage("whole/checkpoints/step-00000003.h5");
  assert_newest("whole", 1);
}

static void strangers_and_temporaries(void **state) {
  (void)state;
  save("strange", 1, 2);
  spill("strange/checkpoints/step-00000009.h5.tmp-123", "x", 1);
  spill("strange/checkpoints/step-9.h5", "x", 1);
  spill("strange/checkpoints/notes.txt", "x", 1);
  assert_newest("strange", 1);
  save("strange", 2, 2);
  assert_false(file_exists("strange/checkpoints/step-00000009.h5.tmp-123"));
  assert_true(file_exists("strange/checkpoints/notes.txt"));
}

/* The temporary file of a running process must not be deleted. After the process has been killed, this temporary file
 * must be deleted. */
static void temporaries_of_the_living_stay(void **state) {
  (void)state;
  int ready[2], go[2];
  char byte = 0;
  save("living", 1, 2);
  assert_int_equal(pipe(ready) + pipe(go), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(go[1]); /* if the test fails, the parent's end of the pipe closes, and the child's read then returns */
    wl_atomic_file file;
    const wl_status status = wl_atomic_begin("living/checkpoints/other.h5", &file);
    if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1 || status != WL_OK) _exit(1);
    if (wl_atomic_end(&file, WL_OK, NULL) != WL_OK) _exit(2);
    if (wl_atomic_begin("living/checkpoints/more.h5", &file) != WL_OK) _exit(3);
    raise(SIGKILL);
  }
  int ended = 0;
  assert_int_equal(read(ready[0], &byte, 1), 1);
  save("living", 2, 2);
  assert_int_equal(count_files("living/checkpoints", "other.h5.tmp-"), 1);
  assert_int_equal(write(go[1], &byte, 1), 1);
  assert_int_equal(waitpid(child, &ended, 0), child);
  assert_true(WIFSIGNALED(ended));
  assert_true(file_exists("living/checkpoints/other.h5"));
  assert_int_equal(count_files("living/checkpoints", "more.h5.tmp-"), 1);
  save("living", 3, 2);
  assert_int_equal(count_files("living/checkpoints", "tmp-"), 0);
  for (int i = 0; i < 2; i++) close(ready[i]), close(go[i]);
}

/* The last checkpoint before a divergence must be kept, even if many newer checkpoints exist. A damaged checkpoint
 * does not count as the last checkpoint before the divergence. */
static void last_counted_stays(void **state) {
  (void)state;
  for (int64_t step = 1; step <= 6; step++) save_last_counted("diverged", step, 4);
  assert_int_equal(count_files("diverged/checkpoints", "step-"), 3);
  assert_true(file_exists("diverged/checkpoints/step-00000003.h5"));
  for (int64_t step = 1; step <= 6; step++) {
    save_last_counted("spoilt", step, 4);
    if (step == 3) damage("spoilt/checkpoints/step-00000003.h5");
  }
  assert_true(file_exists("spoilt/checkpoints/step-00000002.h5"));
  for (int64_t step = 1; step <= 6; step++) save_last_counted("fine", step, step);
  assert_int_equal(count_files("fine/checkpoints", "step-"), 2);
}

/* If a resumed run writes a checkpoint of the same meta-step again, the new checkpoint must replace the old
 * checkpoint. */
static void same_step_again(void **state) {
  (void)state;
  save("again", 5, 2);
  damage("again/checkpoints/step-00000005.h5");
  save("again", 5, 2);
  assert_newest("again", 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(none_at_all),         cmocka_unit_test(newest_is_kept_and_pointed_to),
      cmocka_unit_test(order_is_by_number),  cmocka_unit_test(damaged_newest_is_passed_over),
      cmocka_unit_test(two_whole_ones_stay), cmocka_unit_test(strangers_and_temporaries),
      cmocka_unit_test(last_counted_stays),  cmocka_unit_test(temporaries_of_the_living_stay),
      cmocka_unit_test(same_step_again),     cmocka_unit_test(large_ones_are_kept_alike)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
