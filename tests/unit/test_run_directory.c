/* test_run_directory.c - tests the folder of a run: how it is created and locked, what happens to an earlier run, and
 * the lines of metrics.jsonl. */
#include "io/io_test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "run/run_directory.h"

static void assert_text(const char *path, const char *expected) {
  size_t bytes = 0;
  unsigned char *const text = slurp(path, &bytes);
  assert_string_equal((char *)text, expected);
  free(text);
}

static void parents_are_made(void **state) {
  (void)state;
  wl_run_directory *d = NULL;
  assert_ok(wl_run_directory_open("a/b/c", false, &d));
  assert_ok(wl_run_directory_write(d, "config.yaml", "seed: 1\n"));
  assert_ok(wl_run_directory_write(d, "config.yaml", "seed: 2\n"));
  wl_run_directory_close(&d);
  assert_null(d);
  assert_text("a/b/c/config.yaml", "seed: 2\n");
  assert_int_equal(count_files("a/b/c", "tmp-"), 0);
}

static void impossible_folders(void **state) {
  (void)state;
  wl_run_directory *d = NULL;
  spill("file", "x", 1);
  assert_fails(wl_run_directory_open("file", false, &d), WL_ERR_CANNOT_CREATE,
               "a file with this name exists");
  assert_fails(wl_run_directory_open("file/run", false, &d), WL_ERR_CANNOT_CREATE, "file");
  assert_fails(wl_run_directory_open("", false, &d), WL_ERR_CONFIG, "empty");
  mkdir("closed", 0500);
  const uid_t user = geteuid();
  if (user == 0) assert_int_equal(seteuid(65534), 0);
  const wl_status status = wl_run_directory_open("closed/run", false, &d);
  if (user == 0) assert_int_equal(seteuid(0), 0);
  assert_fails(status, WL_ERR_PERMISSION, "closed/run");
}

static void one_training_at_a_time(void **state) {
  (void)state;
  wl_run_directory *first = NULL, *second = NULL;
  assert_ok(wl_run_directory_open("locked", false, &first));
  assert_fails(wl_run_directory_open("locked", true, &second), WL_ERR_CANNOT_CREATE,
               "in use by another training (process ");
  assert_null(second);
  wl_run_directory_close(&first);
  assert_ok(wl_run_directory_open("locked", true, &second));
  wl_run_directory_close(&second);
}

/* When the process that holds the lock ends for any reason, the lock must be released. */
static void lock_of_a_killed_process_is_free(void **state) {
  (void)state;
  int ends[2];
  char byte = 0;
  wl_run_directory *d = NULL;
  assert_int_equal(pipe(ends), 0);
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    if (wl_run_directory_open("killed", false, &d) != WL_OK || write(ends[1], "x", 1) != 1)
      _exit(1);
    for (;;) pause();
  }
  assert_int_equal(read(ends[0], &byte, 1), 1);
  assert_fails(wl_run_directory_open("killed", true, &d), WL_ERR_CANNOT_CREATE, "in use");
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  assert_ok(wl_run_directory_open("killed", true, &d));
  wl_run_directory_close(&d);
}

static void earlier_run_is_moved_aside(void **state) {
  (void)state;
  wl_run_directory *d = NULL;
  sample s;
  sample_make(&s, 1);
  for (int round = 1; round <= 2; round++) {
    assert_ok(wl_run_directory_open("moved", false, &d));
    assert_ok(wl_run_directory_write(d, "config.yaml", round == 1 ? "one" : "two"));
    assert_ok(wl_run_directory_append_metrics(d, "{\"meta_step\":1}"));
    assert_ok(wl_checkpoint_save("moved",
                                 &(wl_checkpoint){round, 2, 0, s.fields, SAMPLE_FIELDS, NULL, 0}));
    wl_run_directory_close(&d);
  }
  assert_text("moved/previous-1/config.yaml", "one");
  assert_true(file_exists("moved/previous-1/checkpoints/step-00000001.h5"));
  assert_true(file_exists("moved/checkpoints/step-00000002.h5"));
  assert_false(file_exists("moved/checkpoints/step-00000001.h5"));
  assert_text("moved/metrics.jsonl", "{\"meta_step\":1}\n");

  assert_ok(wl_run_directory_open("moved", true, &d)); /* a resumed run must not rename any file */
  wl_run_directory_close(&d);
  assert_text("moved/config.yaml", "two");
  assert_false(file_exists("moved/previous-2"));
}

static void metrics_are_trimmed(void **state) {
  (void)state;
  wl_run_directory *d = NULL;
  char line[64];
  assert_ok(wl_run_directory_open("metrics", false, &d));
  assert_ok(wl_run_directory_trim_metrics(d, 3)); /* the metrics file does not exist yet */
  for (int step = 1; step <= 5; step++) {
    snprintf(line, sizeof line, "{\"meta_step\":%d,\"loss\":0.5}", step);
    assert_ok(wl_run_directory_append_metrics(d, line));
  }
  FILE *const file = fopen("metrics/metrics.jsonl", "a");
  fputs("{\"meta_step\":2,\"lo", file); /* a line that is incomplete because the process was killed */
  fclose(file);
  assert_ok(wl_run_directory_trim_metrics(d, 3));
  assert_text(
      "metrics/metrics.jsonl",
      "{\"meta_step\":1,\"loss\":0.5}\n{\"meta_step\":2,\"loss\":0.5}\n{\"meta_step\":3,\"loss\":0.5}\n");
  assert_ok(wl_run_directory_append_metrics(d, "{\"meta_step\":4}"));
  assert_ok(wl_run_directory_trim_metrics(d, 0));
  assert_text("metrics/metrics.jsonl", "");
  wl_run_directory_close(&d);
}

/* If a line cannot be written completely, the incomplete line must be removed from the file. */
static void metrics_on_a_full_disk(void **state) {
  (void)state;
  wl_run_directory *d = NULL;
  struct rlimit before, small;
  assert_ok(wl_run_directory_open("fullmetrics", false, &d));
  assert_ok(wl_run_directory_append_metrics(d, "{\"meta_step\":1}"));
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = before;
  small.rlim_cur = 20;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  const wl_status status = wl_run_directory_append_metrics(d, "{\"meta_step\":2}");
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_fails(status, WL_ERR_IO, "metrics.jsonl");
  assert_text("fullmetrics/metrics.jsonl", "{\"meta_step\":1}\n");
  wl_run_directory_close(&d);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(parents_are_made),
                                     cmocka_unit_test(impossible_folders),
                                     cmocka_unit_test(one_training_at_a_time),
                                     cmocka_unit_test(lock_of_a_killed_process_is_free),
                                     cmocka_unit_test(earlier_run_is_moved_aside),
                                     cmocka_unit_test(metrics_are_trimmed),
                                     cmocka_unit_test(metrics_on_a_full_disk)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
