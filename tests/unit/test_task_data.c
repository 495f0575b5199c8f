/* test_task_data.c - tests reading image data and text data. Compressed files must result in the same task as
 * uncompressed files. The error for a damaged file must name the file and the position of the byte. The built-in data
 * set must have the documented content. */
#include "task/image_source.h"

#include "task_fixture.h"

/* Creates a task with image data whose key `data` has the given value. */
static wl_status task_on(const char *data, const char *more, wl_task **out) {
  char yaml[512];
  snprintf(yaml, sizeof yaml, "{family: mlp, widths: [4], batch: 8, data: '%s'%s}", data, more);
  return task_from(yaml, out);
}

static void expect_failure(const char *data, const char *more, wl_status code,
                           const char *const *words) {
  wl_task *task = NULL;
  const wl_status status = task_on(data, more, &task);
  if (status != code)
    fail_msg("%s: status %d, expected %d: %s", data, status, code, wl_last_error());
  assert_null(task);
  for (; *words; words++)
    if (!strstr(wl_last_error(), *words)) fail_msg("'%s' is not in: %s", *words, wl_last_error());
}

#define EXPECT_DATA_ERROR(directory, ...)      \
  expect_failure((directory), "", WL_ERR_DATA, \
                 (const char *const[]){(directory), __VA_ARGS__, NULL})

/* ---- whole sets ---- */

static void test_plain_equals_gzipped(void **state) {
  (void)state;
  write_tiny("plain", false);
  write_tiny("zipped", true);
  const char *const directories[] = {"plain", "zipped"};
  double loss[2][2];
  for (int i = 0; i < 2; i++) {
    char yaml[256];
    snprintf(yaml, sizeof yaml, "{family: mlp, widths: [4], batch: 8, data: %s}", directories[i]);
    fixture f = open_fixture(yaml);
    const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 3};
    loss[i][0] = wl_task_loss(f.task, f.ws, &(wl_task_point){&batch, f.theta, NULL}, NULL, NULL);
    loss[i][1] = wl_task_evaluate(f.task, f.ws, WL_SPLIT_HELDOUT, f.theta, NULL, NULL);
    close_fixture(&f);
  }
  assert_true(loss[0][0] == loss[1][0] && loss[0][1] == loss[1][1]);
}

/* Opens a data set by creating a task with the given options. `more` contains further keys in YAML, for
 * example ", side: 4". */
static const wl_dataset *open_data_as(const char *data, const char *more) {
  static const wl_option options[] = {WL_DATASET_OPTIONS(wl_image_source, keys), {0}};
  const wl_section sections[] = {{.name = "task", .doc = "data", .options = options}, {0}};
  char text[256];
  snprintf(text, sizeof text, "task: {data: '%s'%s}\n", data, more);
  wl_config *config = NULL;
  assert_ok(wl_config_parse(text, "test", sections, NULL, 0, &config));
  wl_image_source source = {0};
  wl_map_read(wl_config_map(config, "task", 0), options, &source);
  assert_ok(wl_dataset_open(&source.keys, &source.data));
  wl_config_destroy(&config);
  return source.data;
}

static const wl_dataset *open_data(const char *data) { return open_data_as(data, ""); }

static void test_contents(void **state) {
  (void)state;
  write_tiny("contents", true);
  const wl_dataset *d = open_data("contents"), *again = open_data("contents");
  assert_ptr_equal(d, again); /* shared */
  assert_int_equal(d->rows, TINY_SIDE);
  assert_int_equal(d->classes, TINY_CLASSES);
  for (int s = 0; s < 2; s++) {
    const wl_images *images = &d->split[s];
    int seen[TINY_TRAIN] = {0};
    assert_int_equal(images->count, tiny_count(s));
    for (int64_t i = 0; i < images->count; i++) {
      assert_int_equal(images->labels[i], tiny_label(s, i));
      for (int64_t p = 0; p < d->pixels; p++)
        assert_int_equal(images->pixels[i * d->pixels + p], tiny_pixel(s, i, p));
      assert_int_equal(seen[images->sample[i]]++, 0); /* a permutation */
    }
  }
  wl_dataset_close(&again);
  assert_int_equal(d->split[0].labels[1], tiny_label(0, 1)); /* still open */
  wl_dataset_close(&d);
  assert_null(d);
}

/* A minibatch must consist of complete images of the split, each with its label. All images must occur about equally
 * often. */
static void test_gather(void **state) {
  (void)state;
  enum { BATCH = 300, STEPS = 40 };
  write_tiny("gather", false);
  const wl_dataset *d = open_data("gather");
  const wl_image_source source = {.data = d, .batch = BATCH, .fraction = {.low = 1.0, .high = 1.0}};
  const wl_episode episode = episode_number(1);
  static wl_real x[BATCH * TINY_SIDE * TINY_SIDE];
  int32_t labels[BATCH];
  int64_t hits[TINY_HELDOUT] = {0};
  for (int64_t step = 0; step < STEPS; step++) {
    const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_HELDOUT, step};
    int64_t drawn[BATCH];
    wl_image_source_load(&source, &episode, &batch, x, labels);
    for (int64_t i = 0; i < BATCH; i++) {
      int64_t which = 0;
      while (which < TINY_HELDOUT && x[i * d->pixels + 1] * 255 != (wl_real)tiny_pixel(1, which, 1))
        which++;
      assert_true(which < TINY_HELDOUT);
      for (int64_t p = 0; p < d->pixels; p++)
        assert_true(x[i * d->pixels + p] == (wl_real)tiny_pixel(1, which, p) / (wl_real)255);
      assert_int_equal(labels[i], tiny_label(1, which));
      hits[which]++;
      drawn[i] = which;
    }
    /* the first 128 samples of the minibatch must differ from the second 128 samples */
    assert_memory_not_equal(drawn, drawn + 128, 128 * sizeof *drawn);
  }
  const double expected = (double)(BATCH * STEPS) / TINY_HELDOUT;
  for (int i = 0; i < TINY_HELDOUT; i++)
    assert_close((double)hits[i], expected, 5.0 * sqrt(expected));
  wl_dataset_close(&d);
}

/* Tests the key that limits a task to a part of the training images. Batches and evaluations must use only this
 * part, the first images of the file. An evaluation of as many images must use each image of the part once. All
 * held-out images must remain available. */
static void test_fraction(void **state) {
  (void)state;
  enum { USED = 24, PIXELS = TINY_SIDE * TINY_SIDE }; /* 0.6 of 40 */
  write_tiny("fraction", false);
  const wl_dataset *d = open_data("fraction");
  const wl_episode episode = episode_number(1);
  static wl_real x[USED * PIXELS];
  const wl_image_source source = {.data = d, .batch = USED, .fraction = {.low = 0.6, .high = 0.6}},
                        small = {
                            .data = d, .batch = USED / 2, .fraction = {.low = 0.6, .high = 0.6}};
  for (int64_t step = 0; step < 20; step++) {
    const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, step};
    wl_image_source_load(&source, &episode, &batch, x, NULL);
    for (int64_t i = 0; i < USED; i++) {
      int64_t which = 0;
      while (which < USED && x[i * PIXELS + 1] * 255 != (wl_real)tiny_pixel(0, which, 1)) which++;
      assert_true(which < USED);
    }
  }
  for (int s = 0; s < 2; s++) {
    int seen[USED] = {0};
    for (int64_t step = 0; step < 2; step++) {
      const wl_batch batch = {WL_FOR_EVAL_BATCH, (wl_split)s, step};
      wl_image_source_load(&small, &episode, &batch, x, NULL);
      for (int64_t i = 0; i < USED / 2; i++)
        for (int64_t w = 0; w < USED; w++)
          seen[w] += x[i * PIXELS + 1] * 255 == (wl_real)tiny_pixel(s, w, 1) &&
                     x[i * PIXELS + 9] * 255 == (wl_real)tiny_pixel(s, w, 9);
    }
    for (int w = 0; w < USED; w++) assert_int_equal(seen[w], 1);
  }
  wl_dataset_close(&d);
}

/* If the side of the images is halved, each pixel must be the mean of 2 x 2 pixels. If the side is reduced from 8 to
 * 3 pixels, the pixels must be interpolated at the positions 5/6, 3 1/2 and 6 1/6. */
static void test_resized(void **state) {
  (void)state;
  write_tiny("resized", false);
  const wl_dataset *half = open_data_as("resized", ", side: 4"),
                   *three = open_data_as("resized", ", side: 3");
  assert_int_equal(half->pixels, 16);
  assert_null(half->split[0].pixels);
  for (int64_t i = 0; i < TINY_HELDOUT; i++) {
    const wl_real *x = half->split[1].values + i * 16;
    for (int64_t r = 0; r < 4; r++)
      for (int64_t c = 0; c < 4; c++) {
        const int64_t at = 2 * r * TINY_SIDE + 2 * c;
        const int sum = tiny_pixel(1, i, at) + tiny_pixel(1, i, at + 1) +
                        tiny_pixel(1, i, at + TINY_SIDE) + tiny_pixel(1, i, at + TINY_SIDE + 1);
        assert_close((double)x[4 * r + c], sum / 4.0 / 255.0, 1e-6);
      }
    const double corner = (double)three->split[1].values[9 * i];
    const double above = tiny_pixel(1, i, 0) / 6.0 + tiny_pixel(1, i, 1) * 5 / 6.0,
                 below = tiny_pixel(1, i, 8) / 6.0 + tiny_pixel(1, i, 9) * 5 / 6.0;
    assert_close(corner, (above / 6.0 + below * 5 / 6.0) / 255.0, 1e-6);
  }
  wl_dataset_close(&half);
  wl_dataset_close(&three);
  const wl_dataset *same = open_data_as("resized", ", side: 8");
  assert_non_null(same->split[0].pixels); /* the size of the images does not change, so no pixel is interpolated */
  wl_dataset_close(&same);
}

static void test_synthetic(void **state) {
  (void)state;
  const wl_dataset *d = open_data("synthetic");
  assert_int_equal(d->classes, 10);
  assert_int_equal(d->split[WL_SPLIT_TRAIN].count, 4096);
  assert_int_equal(d->split[WL_SPLIT_HELDOUT].count, 1024);
  for (int s = 0; s < 2; s++) {
    int64_t members[10] = {0};
    double sum = 0.0, square = 0.0;
    const wl_images *images = &d->split[s];
    for (int64_t i = 0; i < images->count; i++) members[images->labels[i]]++;
    for (int64_t i = 0; i < images->count * d->pixels; i++) {
      const double value = images->pixels[i] / 255.0;
      sum += value;
      square += value * value;
    }
    const double n = (double)(images->count * d->pixels), mean = sum / n;
    assert_close(mean, 0.4, 0.2); /* the mean of the pixels must be neither near 0 nor near 1 */
    assert_close(sqrt(square / n - mean * mean), 0.3, 0.15); /* the pixels must differ from each other */
    for (int c = 0; c < 10; c++)
      assert_close((double)members[c], images->count / 10.0, 0.25 * images->count / 10.0);
  }
  wl_dataset_close(&d);
}

/* Compares the built-in digits with the function load_digits of scikit-learn. The test compares the sum over all
 * images and pixels, the number of images of each digit, and the first two rows of the first image. */
static void test_digits(void **state) {
  (void)state;
  static const int members[10] = {178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
  static const int first[16] = {0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0};
  const wl_dataset *d = open_data("digits");
  assert_int_equal(d->split[WL_SPLIT_TRAIN].count, 1438);
  assert_int_equal(d->split[WL_SPLIT_HELDOUT].count, 359);
  int64_t seen[10] = {0}, ink = 0;
  for (int s = 0; s < 2; s++)
    for (int64_t i = 0; i < d->split[s].count; i++) {
      seen[d->split[s].labels[i]]++;
      for (int p = 0; p < 64; p++) ink += (d->split[s].pixels[64 * i + p] * 16 + 127) / 255;
    }
  for (int c = 0; c < 10; c++) assert_int_equal(seen[c], members[c]);
  assert_int_equal(ink, 561718);
  for (int p = 0; p < 16; p++)
    assert_int_equal(d->split[0].pixels[p], (int)lround(255.0 * first[p] / 16));
  assert_int_equal(d->split[0].labels[0], 0);
  wl_dataset_close(&d);
}

/* ---- Missing and damaged files ---- */

static void test_missing(void **state) {
  (void)state;
  expect_failure("nowhere", "", WL_ERR_NO_INPUT,
                 (const char *const[]){"nowhere", "fashion-mnist", NULL});
  write_tiny("missing", true);
  assert_int_equal(remove("missing/t10k-labels-idx1-ubyte.gz"), 0);
  expect_failure("missing", "", WL_ERR_NO_INPUT,
                 (const char *const[]){"missing", "t10k-labels-idx1-ubyte.gz", NULL});
}

/* Tests three kinds of wrong text files: missing files, files that are too short for a held-out sequence, and files
 * that are not regular files. */
static void test_bad_texts(void **state) {
  (void)state;
  static const struct {
    const char *yaml, *words[3];
    wl_status code;
  } bad[] = {
      {"{family: language-model, text: no.txt}", {"no.txt", "`text`", ""}, WL_ERR_NO_INPUT},
      {"{family: language-model, text: tiny.txt, length: 40}",
       {"tiny.txt", "400 characters", "`length`"},
       WL_ERR_DATA},
      {"{family: transformer, text: .}", {".: ", "regular file", ""}, WL_ERR_NO_INPUT},
  };
  write_tiny_text("tiny.txt");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wl_task *task = NULL;
    assert_int_equal(task_from(bad[i].yaml, &task), bad[i].code);
    for (int k = 0; k < 3; k++) assert_non_null(strstr(wl_last_error(), bad[i].words[k]));
  }
  wl_task *task = NULL;
  assert_ok(task_from("{family: language-model, text: tiny.txt, length: 39}", &task));
  wl_task_destroy(&task);
}

static void test_named_data_gives_a_hint(void **state) {
  (void)state;
  mkdir("empty", 0777);
  setenv("WARPLOOM_DATA", "empty", 1);
  if (access("/usr/share/datasets/mnist", F_OK) != 0)
    expect_failure("mnist", "", WL_ERR_NO_INPUT,
                   (const char *const[]){"train-images-idx3-ubyte", "WARPLOOM_DATA", NULL});
  if (access("/usr/share/datasets/cifar-10", F_OK) != 0)
    expect_failure("cifar-10", "", WL_ERR_NO_INPUT,
                   (const char *const[]){"data_batch_1.bin", "WARPLOOM_DATA", NULL});
  /* data sets in the folder WARPLOOM_DATA must be found by their names, and their number of classes must be
   * correct */
  mkdir("shelf", 0777);
  write_tiny("shelf/mnist", true);
  setenv("WARPLOOM_DATA", "shelf", 1);
  const wl_dataset *d = open_data("mnist");
  assert_int_equal(d->classes, 10);
  wl_dataset_close(&d);
  unsetenv("WARPLOOM_DATA");
}

/* Writes a correct data set, and then replaces one of its files by `bytes`. */
static void spoil(const char *directory, const char *name, const uint8_t *bytes, int64_t n) {
  write_tiny(directory, false);
  write_file(directory, name, false, bytes, n);
}

static void test_bad_headers(void **state) {
  (void)state;
  uint8_t bytes[TINY_BYTES + 1];
  const int64_t n = tiny_images(0, bytes);
  put_word(bytes, 0x801);
  spoil("magic", tiny_image_names[0], bytes, n);
  EXPECT_DATA_ERROR("magic", "train-images-idx3-ubyte", "byte 0", "0x00000803", "0x00000801");
  tiny_images(0, bytes);
  put_word(bytes + 12, 0);
  spoil("empty-rows", tiny_image_names[0], bytes, n);
  EXPECT_DATA_ERROR("empty-rows", "byte 12", "expected 1 to");
  tiny_images(0, bytes);
  put_word(bytes + 4, 0x7fffffff);
  spoil("promise", tiny_image_names[0], bytes, n);
  EXPECT_DATA_ERROR("promise", "truncated", "its header states");
  write_file("promise", tiny_image_names[0], true, bytes, n);
  assert_int_equal(remove("promise/train-images-idx3-ubyte"), 0);
  EXPECT_DATA_ERROR("promise", "train-images-idx3-ubyte.gz", "truncated");
  tiny_images(1, bytes);
  put_word(bytes + 8, TINY_SIDE / 2);
  spoil("shape", tiny_image_names[1], bytes, n);
  EXPECT_DATA_ERROR("shape", "t10k-images-idx3-ubyte", "byte 8", "4 x 8", "8 x 8");
}

static void test_bad_lengths(void **state) {
  (void)state;
  uint8_t bytes[TINY_BYTES + 1] = {0};
  const int64_t n = tiny_images(0, bytes);
  bytes[n] = 0;
  spoil("longer", tiny_image_names[0], bytes, n + 1);
  EXPECT_DATA_ERROR("longer", "byte 2576", "expected the end");
  spoil("short-header", tiny_image_names[0], bytes, 9);
  EXPECT_DATA_ERROR("short-header", "truncated", "byte 9", "header");
  const int64_t labels = tiny_labels(0, bytes);
  bytes[labels] = 0;
  spoil("more-labels", tiny_label_names[0], bytes, labels + 1);
  EXPECT_DATA_ERROR("more-labels", "train-labels-idx1-ubyte", "byte 48", "expected the end");
  spoil("short-labels", tiny_label_names[0], bytes, labels - 3);
  EXPECT_DATA_ERROR("short-labels", "train-labels-idx1-ubyte", "truncated", "byte 45", "3 more");
  put_word(bytes + 4, TINY_TRAIN - 1);
  spoil("count", tiny_label_names[0], bytes, labels - 1);
  EXPECT_DATA_ERROR("count", "train-labels-idx1-ubyte", "byte 4", "39 labels", "40");
}

static void test_bad_labels(void **state) {
  (void)state;
  uint8_t bytes[TINY_BYTES];
  int64_t n = tiny_labels(1, bytes);
  bytes[8 + 6] = TINY_CLASSES;
  spoil("range", tiny_label_names[1], bytes, n);
  EXPECT_DATA_ERROR("range", "t10k-labels-idx1-ubyte", "byte 14", "label 3", "0 to 2");
  n = tiny_labels(0, bytes);
  bytes[8 + 7] = 200;
  spoil("gap", tiny_label_names[0], bytes, n);
  EXPECT_DATA_ERROR("gap", "train-labels-idx1-ubyte", "byte 15", "label 200", "classes");
  wl_task *task = NULL;
  assert_ok(task_on("gap", ", classes: 201", &task));
  wl_task_destroy(&task);
  expect_failure("gap", ", classes: 3", WL_ERR_DATA,
                 (const char *const[]){"byte 15", "0 to 2", NULL});
}

/* Rewrites a file. Inverts some bits of the byte at the position `at`, or truncates the file at this position. */
static void damage(const char *path, long at, bool cut) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  uint8_t bytes[1 << 16];
  size_t n = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  if (at < 0) at += (long)n;
  if (cut) n = (size_t)at;
  else bytes[at] ^= 0x55;
  file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, n, file), n);
  assert_int_equal(fclose(file), 0);
}

static void test_damaged_gzip(void **state) {
  (void)state;
  const char *const path = "gzip/train-images-idx3-ubyte.gz";
  write_tiny("gzip", true);
  damage(path, -6, false); /* damages the checksum */
  EXPECT_DATA_ERROR("gzip", "train-images-idx3-ubyte.gz", "damaged");
  write_tiny("gzip", true);
  damage(path, 60, false); /* damages the compressed data */
  EXPECT_DATA_ERROR("gzip", "train-images-idx3-ubyte.gz");
  write_tiny("gzip", true);
  damage(path, -100, true);
  EXPECT_DATA_ERROR("gzip", "train-images-idx3-ubyte.gz");
}

/* If the trailer of a gzip member is missing or incomplete, the reader cannot verify the checksum. Reading such a
 * file must result in an error. */
static void test_missing_trailer(void **state) {
  (void)state;
  for (long cut = 1; cut <= 8; cut++) {
    write_tiny("trailer", true);
    damage("trailer/train-labels-idx1-ubyte.gz", -cut, true);
    EXPECT_DATA_ERROR("trailer", "train-labels-idx1-ubyte.gz", "before its checksum");
  }
}

/* Two consecutive gzip members must be read as one file. The bytes after a member must be another member, otherwise
 * reading must result in an error. */
static void test_members(void **state) {
  (void)state;
  uint8_t bytes[TINY_BYTES];
  const int64_t n = tiny_labels(0, bytes);
  const char *const path = "members/train-labels-idx1-ubyte.gz";
  write_tiny("members", true);
  gzFile file = gzopen(path, "wb");
  assert_int_equal(gzwrite(file, bytes, 11), 11);
  assert_int_equal(gzclose(file), Z_OK);
  file = gzopen(path, "ab");
  assert_int_equal(gzwrite(file, bytes + 11, (unsigned)(n - 11)), n - 11);
  assert_int_equal(gzclose(file), Z_OK);
  wl_task *task = NULL;
  assert_ok(task_on("members", "", &task));
  wl_task_destroy(&task);
  FILE *more = fopen(path, "ab");
  fputs("no member", more);
  fclose(more);
  EXPECT_DATA_ERROR("members", "train-labels-idx1-ubyte.gz", "damaged");
}

/* Tests paths that are folders or pipes instead of files. The reader must reject a pipe, because reading it would
 * wait forever. */
static void test_no_regular_file(void **state) {
  (void)state;
  write_tiny("irregular", false);
  assert_int_equal(remove("irregular/train-images-idx3-ubyte"), 0);
  assert_int_equal(mkfifo("irregular/train-images-idx3-ubyte", 0600), 0);
  expect_failure("irregular", "", WL_ERR_NO_INPUT, (const char *const[]){"regular", NULL});
  assert_int_equal(remove("irregular/train-images-idx3-ubyte"), 0);
  assert_int_equal(mkdir("irregular/train-images-idx3-ubyte", 0700), 0);
  expect_failure("irregular", "", WL_ERR_NO_INPUT, (const char *const[]){"regular", NULL});
}

/* If the configured number of classes differs from the number of classes in the data, the task must be rejected. */
static void test_other_classes(void **state) {
  (void)state;
  static const char *const words[] = {"task.classes", "10 classes", NULL};
  expect_failure("synthetic", ", classes: 7", WL_ERR_CONFIG, words);
  expect_failure("synthetic", ", classes: 11", WL_ERR_CONFIG, words);
  mkdir("labelled", 0777);
  write_tiny("labelled/mnist", true);
  setenv("WARPLOOM_DATA", "labelled", 1);
  expect_failure("mnist", ", classes: 40", WL_ERR_CONFIG, words);
  unsetenv("WARPLOOM_DATA");
  wl_task *task = NULL;
  assert_ok(task_on("synthetic", ", classes: 10", &task));
  wl_task_destroy(&task);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plain_equals_gzipped),
      cmocka_unit_test(test_contents),
      cmocka_unit_test(test_gather),
      cmocka_unit_test(test_fraction),
      cmocka_unit_test(test_resized),
      cmocka_unit_test(test_synthetic),
      cmocka_unit_test(test_digits),
      cmocka_unit_test(test_missing),
      cmocka_unit_test(test_bad_texts),
      cmocka_unit_test(test_named_data_gives_a_hint),
      cmocka_unit_test(test_bad_headers),
      cmocka_unit_test(test_bad_lengths),
      cmocka_unit_test(test_bad_labels),
      cmocka_unit_test(test_damaged_gzip),
      cmocka_unit_test(test_missing_trailer),
      cmocka_unit_test(test_members),
      cmocka_unit_test(test_no_regular_file),
      cmocka_unit_test(test_other_classes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
