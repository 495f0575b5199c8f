/* test_damage.c - tests that truncated files, and files in which any byte was changed, are reported as damaged. A
 * reader must not return wrong data from a damaged file. */
#include "io_test.h"

static unsigned char *image;
static size_t image_bytes;

enum { SEED = 9 };

static int make_image(void **state) {
  (void)state;
  sample s;
  sample_make(&s, SEED);
  const wl_attribute attribute = {"configuration", "seed: 9\n"};
  if (wl_file_write("whole.h5", "dump", s.fields, SAMPLE_FIELDS, &attribute, 1) != WL_OK) return -1;
  image = slurp("whole.h5", &image_bytes);
  return 0;
}

static int free_image(void **state) {
  (void)state;
  free(image);
  return 0;
}

/* Returns 1 if the reader reports the changed file as damaged. Returns 0 if the reader returns the original data. The
 * test fails in all other cases. */
static int noticed(const char *path) {
  wl_file *file = NULL;
  int different = -1;
  const wl_status status = wl_file_open(path, NULL, &file);
  if (status != WL_OK) {
    assert_int_equal(status, WL_ERR_DATA);
    assert_null(file);
    return 1;
  }
  assert_ok(sample_compare(file, SEED, &different));
  assert_int_equal(different, 0);
  wl_file_close(&file);
  return 0;
}

static void undamaged(void **state) {
  (void)state;
  assert_int_equal(noticed("whole.h5"), 0);
}

static void assert_truncation_noticed(size_t length) {
  spill("short.h5", image, length);
  if (!noticed("short.h5")) fail_msg("cut to %zu of %zu bytes: not noticed", length, image_bytes);
}

static void truncations(void **state) {
  (void)state;
  for (size_t length = 0; length < image_bytes; length += length / 16 + 1)
    assert_truncation_noticed(length);
  for (size_t cut = 1; cut < 300; cut++)
    assert_truncation_noticed(image_bytes - cut); /* the file is cut off within the footer */
}

static void longer_files(void **state) {
  (void)state;
  unsigned char *const longer = malloc(image_bytes + 8);
  memcpy(longer, image, image_bytes);
  memset(longer + image_bytes, 0, 8);
  spill("longer.h5", longer, image_bytes + 8);
  assert_int_equal(noticed("longer.h5"), 1);
  free(longer);
}

static void flip(size_t byte, int bit) { image[byte] = (unsigned char)(image[byte] ^ (1 << bit)); }

/* Changes every byte of the footer and every 37th byte of the file image. */
static void flips_are_found(void **state) {
  (void)state;
  for (size_t b = 0; b < image_bytes; b += b + 300 < image_bytes ? 37 : 1) {
    wl_file *file = NULL;
    flip(b, (int)(b % 8));
    spill("flip.h5", image, image_bytes);
    flip(b, (int)(b % 8));
    assert_fails(wl_file_open("flip.h5", NULL, &file), WL_ERR_DATA, "'flip.h5' is damaged");
  }
}

/* Changes random bytes of the file, which may belong to structures of HDF5, attributes, gaps or the footer. */
static void flips_anywhere(void **state) {
  (void)state;
  unsigned seed = 12345;
  int unnoticed = 0;
  for (int i = 0; i < 300; i++) {
    seed = seed * 1664525u + 1013904223u;
    const size_t byte = (size_t)(seed >> 4) % image_bytes;
    const int bit = i % 8;
    flip(byte, bit);
    spill("flip.h5", image, image_bytes);
    flip(byte, bit);
    unnoticed += !noticed("flip.h5");
  }
  assert_int_equal(unnoticed, 0); /* a change of any byte, including those of the footer, must be detected */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(undamaged), cmocka_unit_test(truncations), cmocka_unit_test(longer_files),
      cmocka_unit_test(flips_are_found), cmocka_unit_test(flips_anywhere)};
  return cmocka_run_group_tests(tests, make_image, free_image);
}
