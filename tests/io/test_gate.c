/* test_gate.c - tests the reading of files that were manipulated intentionally. The test changes a valid file by HDF5
 * and adds a correct footer to the changed file. Reading a manipulated file must result in exactly one error, and the
 * reader must not read data from other files. */
#include <hdf5.h>
#include <hdf5_hl.h>

#include "io/arrays.h"
#include "io/describe.h"
#include "base/footer.h"
#include "io_test.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define GOOD "good.h5"
#define BAD "bad.h5"

static int make_good(void **state) {
  (void)state;
  sample s;
  sample_make(&s, 1);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  return wl_file_write(GOOD, "optimizer", s.fields, SAMPLE_FIELDS, NULL, 0) == WL_OK ? 0 : -1;
}

/* Opens a copy of the valid file so that a test can change it. The copy has no footer. */
static hid_t begin(void) {
  size_t bytes = 0;
  unsigned char *const data = slurp(GOOD, &bytes);
  spill(BAD, data, bytes - WL_FOOTER_BYTES);
  free(data);
  const hid_t file = H5Fopen(BAD, H5F_ACC_RDWR, H5P_DEFAULT);
  assert_true(file >= 0);
  return file;
}

static void end(hid_t file) {
  size_t bytes = 0;
  char footer[WL_FOOTER_BYTES + 1];
  assert_true(H5Fclose(file) >= 0);
  unsigned char *data = slurp(BAD, &bytes);
  wl_footer_make((const char *)data, bytes, footer);
  data = realloc(data, bytes + WL_FOOTER_BYTES);
  memcpy(data + bytes, footer, WL_FOOTER_BYTES);
  spill(BAD, data, bytes + WL_FOOTER_BYTES);
  free(data);
}

/* Reads everything that the file contains, and returns the first error or WL_OK. */
static wl_status read_bad(void) {
  json_t *description = NULL;
  const wl_status status = wl_describe(BAD, true, &description);
  json_decref(description);
  return status;
}

static void assert_refused(const char *why) { assert_fails(read_bad(), WL_ERR_DATA, why); }

static void unchanged_is_accepted(void **state) {
  (void)state;
  end(begin());
  assert_ok(read_bad());
}

/* ---- Links and kinds of objects ---- */

static void links(void **state) {
  (void)state;
  hid_t f = begin();
  H5Lcreate_soft("/phi", f, "again", H5P_DEFAULT, H5P_DEFAULT);
  end(f);
  assert_refused("'again' of 'bad.h5' is a soft or external link");
  f = begin();
  H5Lcreate_external(GOOD, "/phi/matrix", f, "phi/other", H5P_DEFAULT, H5P_DEFAULT);
  end(f);
  assert_refused("'phi/other' of 'bad.h5' is a soft or external link");
  f = begin();
  H5Lcreate_hard(f, "/", f, "phi/root", H5P_DEFAULT, H5P_DEFAULT);
  end(f);
  assert_refused("'phi/root' of 'bad.h5' has 2 links");
  f = begin();
  H5Lcreate_hard(f, "scalar", f, "twin", H5P_DEFAULT, H5P_DEFAULT);
  end(f);
  assert_refused("2 links");
  f = begin();
  const hid_t type = H5Tcopy(H5T_NATIVE_INT);
  H5Tcommit2(f, "type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Tclose(type);
  end(f);
  assert_refused("neither a group nor a dataset");
}

/* The groups link to one another, so a recursive visit would reach 2^30 groups. A reader must therefore limit the
 * depth and the number of objects. */
static void many_objects(void **state) {
  (void)state;
  char name[256] = "";
  hid_t f = begin();
  for (int i = 0; i < 12; i++) {
    strcat(name, "/g");
    H5Gclose(H5Gcreate2(f, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  }
  end(f);
  assert_refused("deep");
  f = begin();
  for (int i = 0; i < 70000; i++) {
    snprintf(name, sizeof name, "phi/g%d", i);
    H5Gclose(H5Gcreate2(f, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  }
  end(f);
  assert_refused("more than 65536 objects");
}

/* ---- datasets ---- */

typedef struct replacement {
  const char *why;
  hid_t type;
  int ndim;
  hsize_t size[5];
  void (*store)(hid_t creation, hid_t space);
} replacement;

static void store_external(hid_t creation, hid_t space) {
  (void)space;
  H5Pset_external(creation, "/dev/zero", 0, H5F_UNLIMITED);
}
static void store_virtual(hid_t creation, hid_t space) {
  H5Pset_virtual(creation, space, GOOD, "/scalar", space);
}
static void store_chunks(hid_t creation, hid_t space) {
  const hsize_t chunk[4] = {2, 1, 1, 1};
  H5Pset_chunk(creation, H5Sget_simple_extent_ndims(space), chunk);
  H5Pset_deflate(creation, 6);
}

static void datasets(void **state) {
  (void)state;
  const replacement cases[] = {
      {"other files", H5T_IEEE_F64LE, 1, {4}, store_external},
      {"other files", H5T_IEEE_F64LE, 1, {4}, store_virtual},
      {"storage layout", H5T_IEEE_F64LE, 1, {4}, store_chunks},
      {"storage layout", H5T_IEEE_F64LE, 1, {UINT64_C(1) << 30}, store_chunks},
      {"number of bytes", H5T_IEEE_F64LE, 1, {4}, NULL}, /* the file contains no data for this dataset */
      {"has size", H5T_IEEE_F64LE, 1, {UINT64_C(1) << 45}, NULL},
      {"has size", H5T_IEEE_F64LE, 2, {UINT64_C(1) << 30, UINT64_C(1) << 20}, NULL},
      {"5 dimensions", H5T_IEEE_F64LE, 5, {1, 1, 1, 1, 1}, NULL},
      {"does not write", H5T_IEEE_F64BE, 1, {4}, NULL},
      {"does not write", H5T_STD_I32LE, 1, {4}, NULL},
      {"does not write", H5T_STD_REF_OBJ, 1, {4}, NULL},
      {"does not write", H5T_C_S1, 1, {4}, NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const replacement *const c = &cases[i];
    const hid_t f = begin(), space = H5Screate_simple(c->ndim, c->size, NULL),
                creation = H5Pcreate(H5P_DATASET_CREATE);
    if (c->store) c->store(creation, space);
    H5Ldelete(f, "scalar", H5P_DEFAULT);
    const hid_t made = H5Dcreate2(f, "scalar", c->type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    assert_true(made >= 0);
    H5Dclose(made);
    H5Pclose(creation);
    H5Sclose(space);
    end(f);
    assert_refused(c->why);
    assert_non_null(strstr(wl_last_error(), "'scalar'"));
  }
}

static void other_meta_parameters(void **state) {
  (void)state;
  const double values[12] = {1, 2, 3};
  hid_t f = begin();
  const hid_t dataset = H5Dopen2(f, "phi/matrix", H5P_DEFAULT);
  H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  H5Dclose(dataset);
  end(f);
  assert_refused("do not match the digest in the file");
  f = begin();
  H5Adelete(f, "phi_digest");
  end(f);
  assert_refused("no attribute 'phi_digest'");
}

/* ---- attributes ---- */

/* Replaces an attribute of the valid file by an attribute with another type or length. */
static void replace_attribute(const char *name, hid_t type, hsize_t length) {
  static const char zeros[4096];
  const hid_t f = begin(), space = H5Screate_simple(1, &length, NULL);
  H5Adelete(f, name);
  const hid_t made = H5Acreate2(f, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(made >= 0);
  H5Awrite(made, type, zeros);
  H5Aclose(made);
  H5Sclose(space);
  end(f);
}

static void attributes(void **state) {
  (void)state;
  const hid_t variable = H5Tcopy(H5T_C_S1), text = H5Tcopy(H5T_C_S1);
  H5Tset_size(variable, H5T_VARIABLE);
  H5Tset_size(text, 8);
  replace_attribute("schema_version", H5T_STD_I64LE, 200);
  assert_refused("'schema_version' of 'bad.h5' is not a single integer");
  replace_attribute("complete", H5T_IEEE_F64LE, 1);
  assert_refused("'complete' of 'bad.h5' is not a single integer");
  replace_attribute("kind", text, 200);
  assert_refused("'kind' of 'bad.h5' is not a single text");
  replace_attribute("format", variable, 1);
  assert_refused("'format' of 'bad.h5' is not a text of fixed length");
  replace_attribute("schema_version", H5T_STD_I64LE, 1);
  assert_refused("schema version 0");
  H5Tclose(text);
  H5Tclose(variable);
}

/* ---- Files that other programs have written ---- */

static wl_status read_image(wl_field *field) {
  *field = (wl_field){.name = "image", .type = WL_UINT8, .ndim = 1};
  return wl_arrays_read("packed.h5", field, 1);
}

static void pack(hid_t type, const void *values, void (*store)(hid_t creation, hid_t space)) {
  const hsize_t four = 4;
  const hid_t f = H5Fcreate("packed.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
              space = H5Screate_simple(1, &four, NULL), creation = H5Pcreate(H5P_DATASET_CREATE);
  if (store) store(creation, space);
  const hid_t d = H5Dcreate2(f, "image", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  if (values) H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  H5Dclose(d);
  H5Pclose(creation);
  H5Sclose(space);
  H5Fclose(f);
}

static void packed_images(void **state) {
  (void)state;
  static const int good[4] = {0, 1, 255, 7}, minus[4] = {0, -1}, wide[4] = {256};
  static const float half[4] = {0.5f};
  wl_field f;
  pack(H5T_NATIVE_INT, good, store_chunks);
  assert_ok(read_image(&f));
  assert_true(((uint8_t *)f.data)[2] == 255 && ((uint8_t *)f.data)[3] == 7);
  wl_free(f.data);
  pack(H5T_NATIVE_INT, minus, NULL);
  assert_fails(read_image(&f), WL_ERR_DATA, "out of range");
  pack(H5T_NATIVE_INT, wide, NULL);
  assert_fails(read_image(&f), WL_ERR_DATA, "out of range");
  pack(H5T_NATIVE_FLOAT, half, NULL);
  assert_fails(read_image(&f), WL_ERR_DATA, "does not contain integers");
  pack(H5T_NATIVE_INT, NULL, store_chunks); /* the file contains no chunk of this dataset */
  assert_fails(read_image(&f), WL_ERR_DATA, "'image'");
  pack(H5T_NATIVE_UINT8, NULL, store_external);
  assert_fails(read_image(&f), WL_ERR_DATA, "other files");
  assert_int_equal(unlink("packed.h5"), 0);
  assert_int_equal(mkfifo("packed.h5", 0600), 0); /* the reader must check the kind of the file first, because opening
                                                   * a pipe would wait forever */
  assert_fails(read_image(&f), WL_ERR_NO_INPUT, "not a regular file");
  assert_int_equal(unlink("packed.h5"), 0);
}

/* One chunk of the file decompresses to fewer bytes than its shape requires. If Warploom did not check the length, HDF5
 * would copy memory from beyond the end of the chunk. */
static void short_chunks(void **state) {
  (void)state;
  static const int good[4] = {1, 2, 3, 4};
  static const unsigned char two_zeros[] = {0x78, 0x9c, 0x63, 0x60, 0x00,
                                            0x00, 0x00, 0x02, 0x00, 0x01};
  const hsize_t corner[1] = {2};
  wl_field f;
  pack(H5T_NATIVE_INT, good, store_chunks);
  const hid_t file = H5Fopen("packed.h5", H5F_ACC_RDWR, H5P_DEFAULT),
              dataset = H5Dopen2(file, "image", H5P_DEFAULT);
  assert_true(H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, corner, sizeof two_zeros, two_zeros) >= 0);
  H5Dclose(dataset);
  H5Fclose(file);
  assert_fails(read_image(&f), WL_ERR_DATA, "a chunk whose length does not match");
}

/* Strings from a file must be printed without control characters, because control characters could change the state of
 * the terminal. */
static void texts(void **state) {
  (void)state;
  json_t *d = NULL;
  hid_t f = begin();
  H5LTset_attribute_string(f, "/", "configuration", "a\033[31mb\xff");
  end(f);
  assert_ok(wl_describe(BAD, true, &d));
  const json_t *const all = json_object_get(d, "attributes");
  assert_string_equal(json_string_value(json_object_get(all, "configuration")), "?");
  json_decref(d);
  f = begin();
  H5LTset_attribute_string(f, "/", "configuration", "a\033[31mb");
  end(f);
  assert_ok(wl_describe(BAD, true, &d));
  assert_string_equal(
      json_string_value(json_object_get(json_object_get(d, "attributes"), "configuration")),
      "a?[31mb");
  json_decref(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(unchanged_is_accepted),
                                     cmocka_unit_test(links),
                                     cmocka_unit_test(many_objects),
                                     cmocka_unit_test(datasets),
                                     cmocka_unit_test(other_meta_parameters),
                                     cmocka_unit_test(attributes),
                                     cmocka_unit_test(packed_images),
                                     cmocka_unit_test(short_chunks),
                                     cmocka_unit_test(texts)};
  return cmocka_run_group_tests(tests, make_good, NULL);
}
