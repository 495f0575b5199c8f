/* test_kill.c - kills a process that writes checkpoints, and tests that the newest checkpoint is never damaged. */
#include "io_test.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "io/file_impl.h"

/* The files are large, so the process spends much of its time writing. */
enum { KILLS = 20, BALLAST = 2 << 20 };
static double ballast[BALLAST];

/* Saves checkpoints of the meta-steps first, first + 1 and so on. After each save, writes the number of the meta-step
 * to the pipe `report`. */
static void write_forever(int64_t first, int report) {
  for (int64_t step = first;; step++) {
    sample s;
    wl_field fields[SAMPLE_FIELDS + 1] = {
        {.name = "ballast", .type = WL_FLOAT64, .ndim = 1, .shape = {BALLAST}, .data = ballast}};
    sample_make(&s, step);
    memcpy(fields + 1, s.fields, sizeof s.fields);
    if (wl_checkpoint_save(
            "run", &(wl_checkpoint){step, 2, 0, fields, SAMPLE_FIELDS + 1, NULL, 0}) != WL_OK)
      _exit(1);
    if (write(report, &step, sizeof step) != sizeof step) _exit(1);
  }
}

/* Starts a process that writes checkpoints. Waits for the first report of the process, waits `extra_microseconds`
 * longer, and then kills the process. Returns the last reported meta-step. */
static int64_t run_and_kill(int64_t first, long extra_microseconds) {
  int ends[2];
  int64_t last = -1, step = -1;
  assert_int_equal(pipe(ends), 0);
  fflush(NULL);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) write_forever(first, ends[1]);
  close(ends[1]);
  if (read(ends[0], &step, sizeof step) == sizeof step) last = step;
  const struct timespec pause = {0, extra_microseconds * 1000};
  nanosleep(&pause, NULL);
  kill(child, SIGKILL);
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  while (read(ends[0], &step, sizeof step) == sizeof step) last = step;
  close(ends[0]);
  return last;
}

static int64_t newest_step(void) {
  wl_file *file = NULL;
  int64_t step = -1;
  int different = -1;
  assert_ok(wl_checkpoint_open_newest("run", &file, &step));
  assert_ok(sample_compare(file, step, &different));
  assert_int_equal(different, 0);
  wl_file_close(&file);
  return step;
}

/* Asserts that every file with the name of a checkpoint is complete. The test fails for an incomplete file, even if a
 * resume could use an older checkpoint. */
static void assert_all_whole(void) {
  char folder[WL_PATH_MAX], path[WL_PATH_MAX];
  wl_names names;
  assert_ok(wl_checkpoint_list("run", folder, &names));
  assert_true(names.count > 0);
  for (int i = 0; i < names.count; i++) {
    wl_file *file = NULL;
    assert_ok(wl_path_join(path, folder, names.at[i]));
    assert_ok(wl_file_open(path, "checkpoint", &file));
    wl_file_close(&file);
  }
  wl_names_clear(&names);
}

static void newest_survives(void **state) {
  (void)state;
  int64_t first = 1;
  int stale = 0;
  mkdir("run", 0777);
  for (int i = 0; i < KILLS; i++) {
    const int64_t last = run_and_kill(first, (i * 7919) % 60000);
    stale += count_files("run/checkpoints", "tmp-") > 0;
    assert_all_whole();
    const int64_t newest = newest_step();
    assert_true(newest == last || newest == last + 1); /* the process was killed before it reported the meta-step */
    first = newest + 1;
  }
  print_message("%d kills, of which %d in the middle of a file, %d checkpoints\n", KILLS, stale,
                (int)first - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(newest_survives)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
