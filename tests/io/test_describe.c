/* test_describe.c - tests how `info` describes files and runs. With --verify, `info` must find damage. */
#include "io_test.h"

#include "cli/info_print.h"
#include "io/describe.h"
#include "trajectory_sample.h"

static void make_run(void) {
  sample s;
  wl_trajectory *t = NULL;
  wl_trajectory_setting small = t_setting;
  small.part_bytes = 1;
  const wl_attribute attributes[] = {
      {"configuration", "seed: 1\n"}, {"digest", "0123456789abcdef"}, {"meta_steps", "20"}};
  mkdir("run", 0777);
  sample_make(&s, 1);
  assert_ok(wl_checkpoint_save("run",
                               &(wl_checkpoint){10, 2, 0, s.fields, SAMPLE_FIELDS, attributes, 3}));
  assert_ok(wl_checkpoint_save("run",
                               &(wl_checkpoint){20, 2, 0, s.fields, SAMPLE_FIELDS, attributes, 3}));
  assert_ok(wl_file_write("run/optimizer.h5", "optimizer", s.fields, 2, attributes, 3));
  assert_ok(wl_trajectory_open("run", &small, 0, "seed: 1\n", &t));
  assert_ok(t_run(t, 0, 4, 2));
  assert_ok(wl_trajectory_close(&t));
}

static const char *text_at(const json_t *object, const char *key) {
  const char *const text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static char *printed(const json_t *description) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *const out = open_memstream(&text, &bytes);
  wl_info_print(description, out);
  fclose(out);
  return text;
}

static void a_file(void **state) {
  (void)state;
  json_t *d = NULL;
  make_run();
  assert_ok(wl_describe("run/checkpoints/step-00000010.h5", true, &d));
  assert_string_equal(text_at(d, "kind"), "checkpoint");
  assert_true(json_is_true(json_object_get(d, "verified")));
  assert_int_equal(json_array_size(json_object_get(d, "datasets")), SAMPLE_FIELDS);
  const json_t *const matrix = json_array_get(json_object_get(d, "datasets"), 1);
  assert_string_equal(text_at(matrix, "name"), "phi/matrix");
  assert_string_equal(text_at(matrix, "type"), "float64");
  assert_string_equal(json_string_value(json_array_get(json_object_get(matrix, "dimensions"), 1)),
                      "column");
  assert_int_equal(json_integer_value(json_array_get(json_object_get(matrix, "shape"), 1)), 4);
  char *const text = printed(d);
  assert_non_null(strstr(text, "(row 3, column 4)"));
  assert_non_null(strstr(text, "digest           0123456789abcdef"));
  free(text);
  json_decref(d);
}

static void a_run(void **state) {
  (void)state;
  json_t *d = NULL;
  assert_ok(wl_describe("run", true, &d));
  assert_string_equal(text_at(d, "kind"), "run");
  assert_string_equal(text_at(d, "newest"), "step-00000020.h5");
  assert_int_equal(json_array_size(json_object_get(d, "checkpoints")), 2);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(d, "trajectory"), "records")),
                   4 * T_UNITS);
  char *const text = printed(d);
  assert_non_null(strstr(text, "<- resume"));
  assert_non_null(strstr(text, "8 records and 4 lines of metrics in 2 parts"));
  free(text);
  json_decref(d);
}

static void change_byte(const char *path, size_t byte) {
  size_t bytes = 0;
  unsigned char *const data = slurp(path, &bytes);
  assert_true(byte < bytes);
  data[byte] ^= 4;
  spill(path, data, bytes);
  free(data);
}

static void verify_finds(const char *path, const char *damaged) {
  json_t *d = NULL;
  change_byte(damaged, 3000);
  assert_fails(wl_describe(path, true, &d), WL_ERR_DATA, damaged);
  assert_true(json_is_false(json_object_get(d, "verified")) || !json_object_get(d, "verified"));
  char *const text = printed(d);
  assert_non_null(strstr(text, "problem: "));
  free(text);
  json_decref(d);
  change_byte(damaged, 3000);
}

static void damage_is_found(void **state) {
  (void)state;
  verify_finds("run/checkpoints/step-00000020.h5", "run/checkpoints/step-00000020.h5");
  verify_finds("run", "run/checkpoints/step-00000010.h5");
  verify_finds("run", "run/trajectory/part-00000002.h5");
  verify_finds("run", "run/optimizer.h5");
  verify_finds("run", "run/trajectory.h5");
  verify_finds("run/trajectory.h5", "run/trajectory/part-00000001.h5");
}

/* The part files that an index lists must exist. If part files exist, the index must also exist. */
static void missing_parts_are_found(void **state) {
  (void)state;
  json_t *d = NULL;
  assert_int_equal(rename("run/trajectory/part-00000002.h5", "away.h5"), 0);
  assert_fails(wl_describe("run", true, &d), WL_ERR_DATA, "part-00000002.h5");
  json_decref(d);
  assert_fails(wl_describe("run/trajectory.h5", true, &d), WL_ERR_DATA, "part-00000002.h5");
  json_decref(d);
  assert_int_equal(rename("run/trajectory", "folder"), 0);
  assert_fails(wl_describe("run", true, &d), WL_ERR_DATA, "2 problems");
  json_decref(d);
  assert_int_equal(rename("folder", "run/trajectory"), 0);
  assert_int_equal(rename("away.h5", "run/trajectory/part-00000002.h5"), 0);
  assert_int_equal(rename("run/trajectory.h5", "away.h5"), 0);
  assert_fails(wl_describe("run", true, &d), WL_ERR_DATA, "trajectory.h5");
  json_decref(d);
  assert_int_equal(rename("away.h5", "run/trajectory.h5"), 0);
  assert_ok(wl_describe("run", true, &d));
  json_decref(d);
}

/* The description of an index must describe the datasets in its parts. */
static void an_index(void **state) {
  (void)state;
  json_t *d = NULL;
  assert_ok(wl_describe("run/trajectory.h5", true, &d));
  char *const text = printed(d);
  assert_non_null(strstr(text, "(record 8, step 5, coordinate 3)"));
  free(text);
  json_decref(d);
}

/* Even without --verify, `info` must describe a damaged checkpoint as damaged, and must name the checkpoint before it
 * as the newest one. */
static void damaged_checkpoint_is_shown(void **state) {
  (void)state;
  json_t *d = NULL;
  change_byte("run/checkpoints/step-00000020.h5", 3000);
  assert_ok(wl_describe("run", false, &d));
  assert_string_equal(text_at(d, "newest"), "step-00000010.h5");
  char *const text = printed(d);
  assert_non_null(strstr(text, "DAMAGED"));
  free(text);
  json_decref(d);
  change_byte("run/checkpoints/step-00000020.h5", 3000);
}

static void nothing_there(void **state) {
  (void)state;
  json_t *d = NULL;
  assert_fails(wl_describe("missing", false, &d), WL_ERR_NO_INPUT, "missing");
  assert_null(d);
  mkdir("bare", 0777);
  assert_fails(wl_describe("bare", false, &d), WL_ERR_NO_INPUT, "not a run directory");
  assert_null(d);
  spill("note.txt", "hello", 5);
  assert_fails(wl_describe("note.txt", false, &d), WL_ERR_DATA, "note.txt");
  json_decref(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_file),          cmocka_unit_test(a_run),
      cmocka_unit_test(damage_is_found), cmocka_unit_test(missing_parts_are_found),
      cmocka_unit_test(an_index),        cmocka_unit_test(damaged_checkpoint_is_shown),
      cmocka_unit_test(nothing_there)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
