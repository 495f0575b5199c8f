/* test_task_cifar.c - tests reading the binary format of CIFAR-10. The tests cover correct files, truncated files,
 * and labels out of range. Each file has its full size of 10,000 records and is compressed by gzip. */
#include "task/dataset_impl.h"

#include "task_fixture.h"

enum { RECORD = 3073, RECORDS = 10000, FILES = 6 };

static uint8_t cifar_label(int file, int64_t i) { return (uint8_t)((i + file) % 10); }
/* Returns the value of the pixels in one row of a channel of an image. All 32 pixels of a row are equal. */
static uint8_t cifar_pixel(int file, int64_t i, int64_t row) {
  return (uint8_t)(i * 5 + row * 3 + file);
}

static void cifar_name(int file, char name[32]) {
  if (file < FILES - 1) snprintf(name, 32, "data_batch_%d.bin", file + 1);
  else snprintf(name, 32, "test_batch.bin");
}

/* Writes one file with `records` records. The record with the number `bad` has the invalid label 10. If `bad` is -1,
 * all labels are valid. */
static void write_cifar(const char *directory, int file, int64_t records, int64_t bad) {
  char name[32], path[128];
  cifar_name(file, name);
  snprintf(path, sizeof path, "%s/%s.gz", directory, name);
  gzFile out = gzopen(path, "wb1");
  assert_non_null(out);
  uint8_t record[RECORD];
  for (int64_t i = 0; i < records; i++) {
    record[0] = i == bad ? 10 : cifar_label(file, i);
    for (int64_t row = 0; row < 96; row++)
      memset(record + 1 + 32 * row, cifar_pixel(file, i, row), 32);
    assert_int_equal(gzwrite(out, record, RECORD), RECORD);
  }
  assert_int_equal(gzclose(out), Z_OK);
}

static void free_images(wl_dataset *d) {
  for (int s = 0; s < 2; s++) {
    wl_free(d->split[s].pixels);
    wl_free(d->split[s].labels);
  }
  *d = (wl_dataset){0};
}

static void check_image(const wl_dataset *d, wl_split split, int64_t at, int file, int64_t i) {
  const wl_images *images = &d->split[split];
  assert_int_equal(images->labels[at], cifar_label(file, i));
  for (int64_t p = 0; p < d->pixels; p++)
    assert_int_equal(images->pixels[at * d->pixels + p], cifar_pixel(file, i, p / 32));
}

static void test_contents(void **state) {
  (void)state;
  assert_true(wl_dataset_is_cifar("cifar"));
  wl_dataset d = {0};
  assert_ok(wl_dataset_read_cifar("cifar", &d));
  assert_int_equal(d.channels, 3);
  assert_int_equal(d.pixels, RECORD - 1);
  assert_int_equal(d.split[WL_SPLIT_TRAIN].count, 5 * RECORDS);
  assert_int_equal(d.split[WL_SPLIT_HELDOUT].count, RECORDS);
  for (int file = 0; file < 5; file++) {
    check_image(&d, WL_SPLIT_TRAIN, (int64_t)file * RECORDS, file, 0);
    check_image(&d, WL_SPLIT_TRAIN, (int64_t)file * RECORDS + 9999, file, 9999);
  }
  check_image(&d, WL_SPLIT_HELDOUT, 1234, 5, 1234);
  free_images(&d);
}

static void expect_damage(const char *const *words) {
  wl_dataset d = {0};
  assert_int_equal(wl_dataset_read_cifar("cifar", &d), WL_ERR_DATA);
  for (; *words; words++)
    if (!strstr(wl_last_error(), *words)) fail_msg("'%s' is not in: %s", *words, wl_last_error());
  free_images(&d);
}

static void test_damage(void **state) {
  (void)state;
  write_cifar("cifar", 1, 3, -1);
  expect_damage((const char *const[]){"data_batch_2.bin.gz", "truncated", "byte 9219", NULL});
  write_cifar("cifar", 1, 3, 2);
  expect_damage((const char *const[]){"data_batch_2.bin.gz", "byte 6146", "label 10", NULL});
  write_cifar("cifar", 0, RECORDS + 1, -1);
  expect_damage((const char *const[]){"data_batch_1.bin.gz", "byte 30730000", "the end", NULL});
}

static int write_all(void **state) {
  (void)state;
  mkdir("cifar", 0777);
  for (int file = 0; file < FILES; file++) write_cifar("cifar", file, RECORDS, -1);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_contents),
                                     cmocka_unit_test(test_damage)};
  return cmocka_run_group_tests(tests, write_all, NULL);
}
