/* test_disk.c - tests what happens if the disk is full, if a folder is write-protected, or if any step of writing a
 * file fails. After each failure, the old file must still exist, and no temporary file may exist. */
#define _GNU_SOURCE
#include "io_test.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "base/atomic_file.h"

static void write_ok(const char *path, int64_t seed) {
  sample s;
  sample_make(&s, seed);
  assert_ok(wl_file_write(path, "dump", s.fields, SAMPLE_FIELDS, NULL, 0));
}

static wl_status try_write(const char *path, int64_t seed) {
  sample s;
  sample_make(&s, seed);
  return wl_file_write(path, "dump", s.fields, SAMPLE_FIELDS, NULL, 0);
}

static void assert_holds(const char *path, int64_t seed) {
  wl_file *file = NULL;
  int different = -1;
  assert_ok(wl_file_open(path, NULL, &file));
  assert_ok(sample_compare(file, seed, &different));
  assert_int_equal(different, 0);
  wl_file_close(&file);
}

/* Number of elements of an array of 20 MiB. The writer writes such an array in slices instead of copying it first. */
enum { LARGE = 5 << 20 };

static wl_status try_reals(const char *path, int64_t seed, int64_t reals) {
  float *const data = malloc((size_t)reals * sizeof *data);
  for (int64_t i = 0; i < reals; i++) data[i] = (float)(seed * i);
  const wl_field field = {
      .name = "reals", .type = WL_FLOAT32, .ndim = 1, .shape = {reals}, .data = data};
  const wl_status status = wl_file_write(path, "dump", &field, 1, NULL, 0);
  free(data);
  return status;
}

static void assert_holds_reals(const char *path, int64_t seed, int64_t reals) {
  wl_file *file = NULL;
  float last = 0;
  assert_ok(wl_file_open(path, NULL, &file));
  assert_ok(wl_file_read_range(file, "reals", WL_FLOAT32, reals - 1, 1, &last));
  assert_true(last == (float)(seed * (reals - 1)));
  wl_file_close(&file);
}

static wl_status try_large(const char *path, int64_t seed) { return try_reals(path, seed, LARGE); }

static void assert_holds_large(const char *path, int64_t seed) {
  assert_holds_reals(path, seed, LARGE);
}

/* Describes a file for the test: its path, a function that writes the file, and a function that checks its content. */
typedef struct failing {
  const char *path;
  wl_status (*write)(const char *path, int64_t seed);
  void (*holds)(const char *path, int64_t seed);
} failing;

/* Writes the file in a child process and makes step k of the writing fail. Returns the exit code of the child
 * process: 0 if it wrote the file, 1 if it reported the failure with the name of the file, otherwise 2. */
static int child_with_failure(const failing *f, int k) {
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    wl_fault_request(WL_FAULT_IO, k);
    const wl_status status = f->write(f->path, 2);
    _exit(status == WL_OK ? 0 : status == WL_ERR_IO && strstr(wl_last_error(), f->path) ? 1 : 2);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

/* Makes each step of writing a file fail in turn. Returns the number of steps of writing the file. */
static int fail_each_step(const failing *f) {
  int k = 1, outcome = 1;
  assert_ok(f->write(f->path, 1));
  for (; outcome != 0; k++) {
    outcome = child_with_failure(f, k);
    assert_true(outcome != 2 && k < 50);
    f->holds(f->path, outcome == 0 ? 2 : 1);
    assert_int_equal(count_files(".", "tmp-"), 0);
  }
  return k - 2;
}

static void each_step_failing(void **state) {
  (void)state;
  const failing small = {"steps.h5", try_write, assert_holds},
                large = {"large.h5", try_large, assert_holds_large};
  /* the six steps are: create, write, write the footer, verify, synchronise, rename */
  assert_int_equal(fail_each_step(&small), 6);
  /* the writer writes each slice of the file image in a separate step */
  const int64_t slices = (LARGE * (int64_t)sizeof(float) - 1) / WL_ATOMIC_SLICE + 1;
  assert_in_range(fail_each_step(&large), 5 + slices, 6 + slices);
}

static void file_size_limit(void **state) {
  (void)state;
  struct rlimit before, small;
  write_ok("limit.h5", 1);
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = before;
  small.rlim_cur = 2000;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  const wl_status status = try_write("limit.h5", 2);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_fails(status, WL_ERR_IO, "bytes are free");
  assert_non_null(strstr(wl_last_error(), "limit.h5"));
  assert_int_equal(count_files(".", "tmp-"), 0);
  assert_holds("limit.h5", 1);
}

/* Writes to a file system that is really full. If the process may not mount a file system, the test is skipped. */
static void full_disk(void **state) {
  (void)state;
  mkdir("full", 0777);
  if (mount("tmpfs", "full", "tmpfs", 0, "size=8k") != 0) skip();
  const wl_status status = try_write("full/x.h5", 1);
  char message[1024];
  snprintf(message, sizeof message, "%s", wl_last_error());
  const int left = count_files("full", "x.h5");
  umount2("full", MNT_DETACH);
  assert_int_equal(status, WL_ERR_IO);
  assert_non_null(strstr(message, "full/x.h5"));
  assert_non_null(strstr(message, "bytes are free"));
  assert_int_equal(left, 0);
}

static void no_permission(void **state) {
  (void)state;
  mkdir("locked", 0500);
  const uid_t user = geteuid();
  if (user == 0 && seteuid(65534) != 0) skip(); /* root may write to every folder, so another user writes */
  const wl_status status = try_write("locked/x.h5", 1);
  if (user == 0) assert_int_equal(seteuid(0), 0);
  assert_fails(status, WL_ERR_PERMISSION, "locked/x.h5");
}

static void no_folder(void **state) {
  (void)state;
  assert_fails(try_write("nowhere/x.h5", 1), WL_ERR_CANNOT_CREATE, "nowhere/x.h5");
  mkdir("taken.h5", 0777);
  assert_fails(try_write("taken.h5", 1), WL_ERR_CANNOT_CREATE, "taken.h5");
  assert_int_equal(count_files(".", "tmp-"), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_step_failing),
                                     cmocka_unit_test(file_size_limit), cmocka_unit_test(full_disk),
                                     cmocka_unit_test(no_permission), cmocka_unit_test(no_folder)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
