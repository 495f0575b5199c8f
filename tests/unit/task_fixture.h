/* task_fixture.h - defines functions that the tests of task families share. The functions create a task from a line of
 * YAML, a workspace that is bound to an episode, a point theta, and small IDX files. */
#ifndef WL_TEST_TASK_FIXTURE_H
#define WL_TEST_TASK_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "task/task.h"

/* Fails the test if |a - b| > tol, or if a or b is NaN. */
#define assert_close(a, b, tol)                                                            \
  do {                                                                                     \
    const double close_a = (a), close_b = (b), close_tol = (tol);                          \
    if (!(fabs(close_a - close_b) <= close_tol))                                           \
      fail_msg("%s = %.17g, expected %.17g within %.3g", #a, close_a, close_b, close_tol); \
  } while (0)

#define assert_ok(call)                                              \
  do {                                                               \
    if ((call) != WL_OK) fail_msg("%s: %s", #call, wl_last_error()); \
  } while (0)

/* Creates the task from YAML in braces, for example "{family: quadratic}". */
static inline wl_status task_from(const char *yaml, wl_task **out) {
  const wl_section sections[] = {{.name = "task",
                                  .doc = "the task",
                                  .options = wl_task_common_options,
                                  .selector = "family",
                                  .variants = wl_task_variants(),
                                  .fallback_variant = "quadratic",
                                  .flags = WL_KEY_ONE_OF},
                                 {0}};
  char text[1024];
  snprintf(text, sizeof text, "task: %s\n", yaml);
  wl_config *config = NULL;
  WL_TRY(wl_config_parse(text, "test", sections, NULL, 0, &config));
  const wl_status status = wl_task_create(wl_config_map(config, "task", 0), 1, out);
  wl_config_destroy(&config);
  return status;
}

/* Contains a task, a workspace that is bound to an episode (seed 7, unit 2), and some vectors. */
typedef struct fixture {
  wl_task *task;
  wl_task_ws *ws;
  int64_t n;
  wl_real *theta, *grad, *v, *hv; /* [n] each */
} fixture;

static inline wl_episode episode_number(int64_t index) {
  return (wl_episode){.seed = 7, .space = WL_SPACE_TUNE, .index = index, .unit = 2};
}

static inline fixture open_fixture(const char *yaml) {
  fixture f = {0};
  assert_ok(task_from(yaml, &f.task));
  assert_ok(wl_task_ws_create(f.task, true, &f.ws));
  const wl_episode episode = episode_number(5);
  assert_ok(wl_task_bind(f.task, f.ws, &episode));
  f.n = f.task->n;
  assert_int_equal(f.n, wl_task_theta(f.task)->size);
  assert_ok(WL_NEW(f.theta, f.n));
  assert_ok(WL_NEW(f.grad, f.n));
  assert_ok(WL_NEW(f.v, f.n));
  assert_ok(WL_NEW(f.hv, f.n));
  for (int64_t i = 0; i < f.n; i++) f.theta[i] = (wl_real)(0.5 * sin(1.0 + (double)i));
  return f;
}

static inline void close_fixture(fixture *f) {
  wl_free(f->theta);
  wl_free(f->grad);
  wl_free(f->v);
  wl_free(f->hv);
  wl_task_ws_destroy(&f->ws);
  wl_task_destroy(&f->task);
}

/* A small data set in IDX format whose values follow a formula. tests/reference/task_losses.py uses the same formula.
 * For image i of a split, pixel p is (i * i * 37 + p * p * 11 + i * p + 50 * split) mod 256, and the label is (i + i
 * div 5 + split) mod 3. */
enum { TINY_SIDE = 8, TINY_CLASSES = 3, TINY_TRAIN = 40, TINY_HELDOUT = 24 };

static inline int64_t tiny_count(int split) { return split ? TINY_HELDOUT : TINY_TRAIN; }
static inline uint8_t tiny_pixel(int split, int64_t i, int64_t p) {
  return (uint8_t)((i * i * 37 + p * p * 11 + i * p + 50 * split) % 256);
}
static inline uint8_t tiny_label(int split, int64_t i) {
  return (uint8_t)((i + i / 5 + split) % TINY_CLASSES);
}

static inline int64_t put_word(uint8_t *at, int64_t value) {
  for (int b = 0; b < 4; b++) at[b] = (uint8_t)(value >> (24 - 8 * b));
  return 4;
}

/* Writes the bytes of one of the four IDX files to `to`, which must have enough space. Returns the number of
 * bytes. */
static inline int64_t tiny_images(int split, uint8_t *to) {
  int64_t n = put_word(to, 0x803);
  n += put_word(to + n, tiny_count(split));
  n += put_word(to + n, TINY_SIDE);
  n += put_word(to + n, TINY_SIDE);
  for (int64_t i = 0; i < tiny_count(split); i++)
    for (int64_t p = 0; p < TINY_SIDE * TINY_SIDE; p++) to[n++] = tiny_pixel(split, i, p);
  return n;
}

static inline int64_t tiny_labels(int split, uint8_t *to) {
  int64_t n = put_word(to, 0x801);
  n += put_word(to + n, tiny_count(split));
  for (int64_t i = 0; i < tiny_count(split); i++) to[n++] = tiny_label(split, i);
  return n;
}

enum { TINY_BYTES = 16 + TINY_TRAIN * TINY_SIDE * TINY_SIDE };

static inline void write_file(const char *directory, const char *name, bool gzipped,
                              const uint8_t *bytes, int64_t n) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s%s", directory, name, gzipped ? ".gz" : "");
  gzFile file = gzopen(path, gzipped ? "wb" : "wbT");
  assert_non_null(file);
  assert_int_equal(gzwrite(file, bytes, (unsigned)n), n);
  assert_int_equal(gzclose(file), Z_OK);
}

static const char *const tiny_image_names[2] = {"train-images-idx3-ubyte",
                                                "t10k-images-idx3-ubyte"};
static const char *const tiny_label_names[2] = {"train-labels-idx1-ubyte",
                                                "t10k-labels-idx1-ubyte"};

/* Creates a folder in the current folder and writes all four files of the data set into it. */
static inline void write_tiny(const char *directory, bool gzipped) {
  mkdir(directory, 0777);
  uint8_t bytes[TINY_BYTES];
  for (int split = 0; split < 2; split++) {
    write_file(directory, tiny_image_names[split], gzipped, bytes, tiny_images(split, bytes));
    write_file(directory, tiny_label_names[split], gzipped, bytes, tiny_labels(split, bytes));
  }
}

/* A text that follows a formula. tests/reference/task_losses.py creates the same text. The character with the number
 * i is 'a' + (7 i i + 3 i + i / 9) mod 11. */
enum { TINY_TEXT = 400, TINY_LETTERS = 11 };

static inline void write_tiny_text(const char *path) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  for (int i = 0; i < TINY_TEXT; i++) fputc('a' + (7 * i * i + 3 * i + i / 9) % TINY_LETTERS, file);
  assert_int_equal(fclose(file), 0);
}

#endif
