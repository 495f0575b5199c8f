/* test_arrays.c - tests the reading of HDF5 datasets that Warploom did not write. The reader must convert types. A
 * value that does not fit into the requested type must cause an error. */
#include <hdf5.h>
#include <hdf5_hl.h>

#include "io/arrays.h"
#include "io_test.h"

/* Writes a dataset in chunks without compression. If `shuffle` is true, the dataset uses the HDF5 filter shuffle. */
static void write_chunked(hid_t file, const char *name, const int *values, bool shuffle) {
  const hsize_t size[2] = {2, 3}, chunk[2] = {2, 2};
  const hid_t space = H5Screate_simple(2, size, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 2, chunk);
  if (shuffle) H5Pset_shuffle(creation);
  const hid_t set =
      H5Dcreate2(file, name, H5T_NATIVE_INT, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  assert_true(H5Dwrite(set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
  H5Dclose(set);
  H5Pclose(creation);
  H5Sclose(space);
}

static void write_foreign(const char *path) {
  const int bytes[6] = {0, 1, 1, 0, 1, 255}, numbers[3] = {-7, 0, 41};
  const hsize_t matrix[2] = {2, 3}, list[1] = {3}, none[1] = {0};
  const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(file >= 0);
  assert_true(H5LTmake_dataset(file, "image", 2, matrix, H5T_NATIVE_INT, bytes) >= 0);
  assert_true(H5LTmake_dataset_int(file, "index", 1, list, numbers) >= 0);
  assert_true(H5LTmake_dataset_string(file, "text", "words") >= 0);
  assert_true(H5LTmake_dataset_int(file, "empty", 1, none, numbers) >= 0);
  write_chunked(file, "chunks", bytes, false);
  write_chunked(file, "shuffled", bytes, true);
  H5Fclose(file);
}

static void test_read(void **state) {
  (void)state;
  static const uint8_t bytes[6] = {0, 1, 1, 0, 1, 255};
  static const int64_t numbers[3] = {-7, 0, 41};
  wl_field fields[] = {{.name = "image", .type = WL_UINT8, .ndim = 2},
                       {.name = "index", .type = WL_INT64, .ndim = 1},
                       {.name = "chunks", .type = WL_UINT8, .ndim = 2},
                       {.name = "shuffled", .type = WL_UINT8, .ndim = 2}};
  assert_ok(wl_arrays_read("foreign.h5", fields, 4));
  assert_int_equal(fields[0].shape[0], 2);
  assert_int_equal(fields[0].shape[1], 3);
  assert_memory_equal(fields[0].data, bytes, sizeof bytes);
  assert_int_equal(fields[1].shape[0], 3);
  assert_memory_equal(fields[1].data, numbers, sizeof numbers);
  for (int i = 2; i < 4; i++) assert_memory_equal(fields[i].data, bytes, sizeof bytes);
  for (int i = 0; i < 4; i++) wl_free(fields[i].data);
}

static void test_failures(void **state) {
  (void)state;
  static const struct {
    const char *path, *name;
    int ndim;
    wl_status code;
    const char *word;
  } cases[] = {
      {"nowhere.h5", "image", 2, WL_ERR_NO_INPUT, "nowhere.h5"},
      {"text.h5", "image", 2, WL_ERR_DATA, "text.h5"},
      {"half.h5", "image", 2, WL_ERR_DATA, "half.h5"},
      {"foreign.h5", "picture", 2, WL_ERR_DATA, "'picture'"},
      {"foreign.h5", "image", 3, WL_ERR_DATA, "2 dimensions"},
      {"foreign.h5", "text", 0, WL_ERR_DATA, "text"},
      {"foreign.h5", "empty", 1, WL_ERR_DATA, "size 0"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wl_field fields[2] = {{.name = "index", .type = WL_INT64, .ndim = 1},
                          {.type = WL_UINT8, .ndim = cases[i].ndim}};
    snprintf(fields[1].name, sizeof fields[1].name, "%s", cases[i].name);
    assert_fails(wl_arrays_read(cases[i].path, fields, 2), cases[i].code, cases[i].word);
    assert_null(fields[0].data); /* the test frees the arrays that were read before the error */
    assert_null(fields[1].data);
  }
}

static void write_damaged(void) {
  unsigned char bytes[4096];
  FILE *file = fopen("foreign.h5", "rb");
  const size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  file = fopen("half.h5", "wb");
  fwrite(bytes, 1, size / 2, file);
  fclose(file);
  file = fopen("text.h5", "w");
  fputs("no HDF5\n", file);
  fclose(file);
}

int main(void) {
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  write_foreign("foreign.h5");
  write_damaged();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_failures)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
