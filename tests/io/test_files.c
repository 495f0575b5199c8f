/* test_files.c - tests that files contain the data that were written. Invalid requests must cause errors. */
#include "io_test.h"

static const wl_attribute attributes[] = {{"configuration", "seed: 1\noutput: \"\xc3\xa4\"\n"},
                                          {"empty", ""}};

static void write_sample(const char *path, int64_t seed) {
  sample s;
  sample_make(&s, seed);
  assert_ok(wl_file_write(path, "dump", s.fields, SAMPLE_FIELDS, attributes, 2));
}

static void round_trip(void **state) {
  (void)state;
  wl_file *file = NULL;
  int different = -1;
  write_sample("round.h5", 5);
  assert_ok(wl_file_open("round.h5", "dump", &file));
  assert_ok(sample_compare(file, 5, &different));
  assert_int_equal(different, 0);
  assert_ok(sample_compare(file, 6, &different)); /* this comparison must find differences, which shows that the
                                                   * comparison works */
  assert_int_equal(different, SAMPLE_FIELDS);
  wl_file_close(&file);
  assert_null(file);
  assert_int_equal(count_files(".", "tmp-"), 0);
}

static void attributes_come_back(void **state) {
  (void)state;
  static const char *const always[] = {"creator",   "version", "revision",     "compiler",
                                       "processor", "blas",    "hdf5_version", "date"};
  wl_file *file = NULL;
  char *text = NULL;
  write_sample("attributes.h5", 1);
  assert_ok(wl_file_open("attributes.h5", NULL, &file));
  for (int i = 0; i < 2; i++) {
    assert_ok(wl_file_attribute(file, attributes[i].name, &text));
    assert_string_equal(text, attributes[i].value);
    free(text);
  }
  for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
    assert_ok(wl_file_attribute(file, always[i], &text));
    assert_true(strlen(text) > 0);
    if (strcmp(always[i], "date") == 0)
      assert_true(strlen(text) == 25 && text[10] == 'T' && text[22] == ':');
    free(text);
  }
  assert_fails(wl_file_attribute(file, "nothing", &text), WL_ERR_DATA, "no attribute 'nothing'");
  wl_file_close(&file);
}

static void large_attribute(void **state) {
  (void)state;
  char *const big = malloc(200001), *text = NULL;
  sample s;
  wl_file *file = NULL;
  memset(big, 'y', 200000);
  big[200000] = '\0';
  const wl_attribute attribute = {"configuration", big};
  sample_make(&s, 1);
  assert_ok(wl_file_write("large.h5", "dump", s.fields, SAMPLE_FIELDS, &attribute, 1));
  assert_ok(wl_file_open("large.h5", NULL, &file));
  assert_ok(wl_file_attribute(file, "configuration", &text));
  assert_string_equal(text, big);
  wl_file_close(&file);
  free(text);
  free(big);
}

static void query(void **state) {
  (void)state;
  wl_file *file = NULL;
  wl_field field = {0};
  write_sample("query.h5", 1);
  assert_ok(wl_file_open("query.h5", NULL, &file));
  assert_ok(wl_file_query(file, "units/deep/cube", &field));
  assert_int_equal(field.type, WL_FLOAT32);
  assert_int_equal(field.ndim, 3);
  assert_true(field.shape[0] == 2 && field.shape[1] == 3 && field.shape[2] == 5);
  assert_true(wl_file_has(file, "phi/matrix"));
  assert_false(wl_file_has(file, "phi/none"));
  assert_false(wl_file_has(file, "none/matrix"));
  assert_fails(wl_file_query(file, "phi/none", &field), WL_ERR_DATA, "no dataset 'phi/none'");
  wl_file_close(&file);
}

static void other_shapes_are_refused(void **state) {
  (void)state;
  sample s;
  wl_file *file = NULL;
  write_sample("shape.h5", 1);
  sample_make(&s, 1);
  assert_ok(wl_file_open("shape.h5", NULL, &file));
  s.fields[0].shape[1] = 3;
  assert_fails(wl_file_read(file, &s.fields[0]), WL_ERR_DATA,
               "is float64(3, 4), expected float64(3, 3)");
  s.fields[3].type = WL_FLOAT64;
  assert_fails(wl_file_read(file, &s.fields[3]), WL_ERR_DATA, "expected float64(2, 3, 5)");
  wl_file_close(&file);
}

static void ranges(void **state) {
  (void)state;
  wl_file *file = NULL;
  uint8_t part[7] = {0};
  write_sample("range.h5", 10);
  assert_ok(wl_file_open("range.h5", NULL, &file));
  assert_ok(wl_file_read_range(file, "bytes", WL_UINT8, 2, 3, part));
  assert_true(part[0] == 12 && part[2] == 14 && part[3] == 0);
  assert_ok(wl_file_read_range(file, "bytes", WL_UINT8, 7, 0, part));
  assert_fails(wl_file_read_range(file, "bytes", WL_UINT8, 5, 3, part), WL_ERR_DATA,
               "no elements [5, 8)");
  assert_fails(wl_file_read_range(file, "bytes", WL_INT64, 0, 1, part), WL_ERR_DATA,
               "expected type");
  assert_fails(wl_file_read_range(file, "phi/matrix", WL_FLOAT64, 0, 1, part), WL_ERR_DATA,
               "no elements");
  wl_file_close(&file);
}

static void empty_and_many(void **state) {
  (void)state;
  enum { MANY = 300 };
  wl_field *const fields = calloc(MANY + 1, sizeof *fields);
  double value[MANY];
  wl_file *file = NULL;
  for (int i = 0; i < MANY; i++) {
    value[i] = i;
    fields[i] = (wl_field){.type = WL_FLOAT64, .ndim = 1, .shape = {1}, .data = &value[i]};
    snprintf(fields[i].name, sizeof fields[i].name, "many/%d", i);
  }
  fields[MANY] =
      (wl_field){.name = "nothing", .type = WL_INT64, .ndim = 2, .shape = {0, 3}, .data = value};
  assert_ok(wl_file_write("many.h5", "dump", fields, MANY + 1, NULL, 0));
  assert_ok(wl_file_open("many.h5", NULL, &file));
  double got = -1;
  wl_field last = fields[MANY - 1];
  last.data = &got;
  assert_ok(wl_file_read(file, &last));
  assert_true(got == MANY - 1);
  assert_ok(wl_file_read(file, &fields[MANY]));
  wl_file_close(&file);
  assert_ok(wl_file_write("none.h5", "dump", NULL, 0, NULL, 0));
  assert_ok(wl_file_open("none.h5", "dump", &file));
  wl_file_close(&file);
  free(fields);
}

static void wrong_files(void **state) {
  (void)state;
  wl_file *file = NULL;
  write_sample("kind.h5", 1);
  assert_fails(wl_file_open("kind.h5", "checkpoint", &file), WL_ERR_DATA,
               "the kind 'dump', but 'checkpoint' is needed");
  assert_null(file);
  assert_fails(wl_file_open("missing.h5", NULL, &file), WL_ERR_NO_INPUT, "missing.h5");
  const char text[] =
      "hello, this is no HDF5 file at all, but it is long enough to hold a seal, is it not? Yes, it is.";
  spill("text.h5", text, sizeof text - 1);
  assert_fails(wl_file_open("text.h5", NULL, &file), WL_ERR_DATA, "not a Warploom file");
  spill("empty.h5", "", 0);
  assert_fails(wl_file_open("empty.h5", NULL, &file), WL_ERR_DATA, "too short");
}

/* Files with equal contents must have equal bytes, except for the date. */
static void files_repeat(void **state) {
  (void)state;
  size_t bytes[2] = {0};
  write_sample("first.h5", 3);
  write_sample("second.h5", 3);
  unsigned char *const a = slurp("first.h5", &bytes[0]), *const b = slurp("second.h5", &bytes[1]);
  assert_int_equal(bytes[0], bytes[1]);
  size_t different = 0;
  for (size_t i = 0; i < bytes[0]; i++) different += a[i] != b[i];
  assert_true(different <= 100); /* only the bytes of the date and of the checksums differ */
  free(a);
  free(b);
}

/* Writing a file must not replace a pipe or a device, even if the program runs as root. */
static void other_things_stay(void **state) {
  (void)state;
  struct stat there;
  double x = 1;
  const wl_field field = {
      .name = "x", .type = WL_FLOAT64, .ndim = 1, .shape = {1}, .data = &x, .units = "1"};
  assert_int_equal(mkfifo("pipe", 0600), 0);
  assert_fails(wl_file_write("pipe", "optimizer", &field, 1, NULL, 0), WL_ERR_CANNOT_CREATE,
               "not a regular file");
  assert_int_equal(stat("pipe", &there), 0);
  assert_true(S_ISFIFO(there.st_mode));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip),
                                     cmocka_unit_test(attributes_come_back),
                                     cmocka_unit_test(large_attribute),
                                     cmocka_unit_test(query),
                                     cmocka_unit_test(other_shapes_are_refused),
                                     cmocka_unit_test(ranges),
                                     cmocka_unit_test(empty_and_many),
                                     cmocka_unit_test(wrong_files),
                                     cmocka_unit_test(files_repeat),
                                     cmocka_unit_test(other_things_stay)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
