/* test_spill.c - tests the scratch file in which rows of numbers are stored. Rows must be read as they
 * were written, for each size of elements and in any order. After a test, the scratch file must not exist. */
#include <dirent.h>

#include "train/spill.h"

#include "io/io_test.h"

enum { ROWS = 9, WIDTH = 37 };

static int files_in(const char *folder) {
  int count = 0;
  DIR *const directory = opendir(folder);
  assert_non_null(directory);
  for (const struct dirent *e = readdir(directory); e; e = readdir(directory))
    count += e->d_name[0] != '.';
  closedir(directory);
  return count;
}

/* Fills row r with bytes that depend on r and on the version. If these bytes are read as float or half, they can be
 * any number or NaN. */
static void fill(unsigned char *row, int r, size_t bytes, int version) {
  for (size_t i = 0; i < bytes; i++) row[i] = (unsigned char)(r * 31 + (int)i * 7 + version * 101);
}

static void round_trip(size_t element) {
  static const int order[ROWS] = {4, 0, 8, 2, 7, 1, 6, 3, 5};
  unsigned char row[WIDTH * sizeof(double)], expected[sizeof row];
  const size_t bytes = WIDTH * element;
  wl_spill *spill = NULL;
  assert_ok(wl_spill_open("folder", ROWS, bytes, &spill));
  assert_int_equal(files_in("folder"), 0);
  for (int version = 0; version < 2; version++) {
    for (int i = 0; i < ROWS; i++) {
      fill(row, order[i], bytes, version);
      assert_ok(wl_spill_write(spill, order[i], row));
    }
    for (int r = ROWS - 1; r >= 0; r--) {
      fill(expected, r, bytes, version);
      assert_ok(wl_spill_read(spill, r, row));
      assert_memory_equal(row, expected, bytes);
    }
  }
  assert_fails(wl_spill_read(spill, ROWS, row), WL_ERR_SOFTWARE, "row");
  wl_spill_close(&spill);
  assert_null(spill);
}

static void test_rows(void **state) {
  (void)state;
  round_trip(4);
  round_trip(8);
  round_trip(2);
  assert_int_equal(files_in("folder"), 0);
}

static void test_no_folder(void **state) {
  (void)state;
  wl_spill *spill = NULL;
  assert_fails(wl_spill_open("nowhere", ROWS, WIDTH, &spill), WL_ERR_CANNOT_CREATE, "nowhere");
  assert_null(spill);
}

int main(void) {
  mkdir("folder", 0777);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_no_folder)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
