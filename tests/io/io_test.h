/* io_test.h - defines the functions that the tests of files share, and a small file with known content. */
#ifndef WL_TESTS_IO_IO_TEST_H
#define WL_TESTS_IO_IO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/checkpoint.h"

/* Asserts that the call succeeds. If the call fails, the test fails with the error message of the call. */
#define assert_ok(call)                                              \
  do {                                                               \
    if ((call) != WL_OK) fail_msg("%s: %s", #call, wl_last_error()); \
  } while (0)
/* Asserts that the call fails with the status `code` and a message that contains `part`. */
#define assert_fails(call, code, part)                                                         \
  do {                                                                                         \
    const wl_status got_ = (call);                                                             \
    if (got_ != (code))                                                                        \
      fail_msg("%s: %d instead of %d: %s", #call, got_, (code), wl_last_error());              \
    if (!strstr(wl_last_error(), (part))) fail_msg("no '%s' in: %s", (part), wl_last_error()); \
  } while (0)

enum { SAMPLE_FIELDS = 6 };

/* Contains the fields of a test file. The fields have every type and every number of dimensions. The values of the
 * fields depend only on `seed`. */
typedef struct sample {
  double matrix[3][4], scalar, square[2][2];
  float cube[2][3][5];
  int64_t step[1];
  uint8_t bytes[7];
  wl_field fields[SAMPLE_FIELDS];
} sample;

static inline void sample_fill(sample *s, int64_t seed) {
  for (int i = 0; i < 12; i++) (&s->matrix[0][0])[i] = (double)seed + 0.25 * i;
  for (int i = 0; i < 4; i++) (&s->square[0][0])[i] = -(double)seed * i;
  for (int i = 0; i < 30; i++) (&s->cube[0][0][0])[i] = (float)seed - 0.5f * (float)i;
  for (int i = 0; i < 7; i++) s->bytes[i] = (uint8_t)(seed + i);
  s->scalar = (double)seed;
  s->step[0] = seed;
}

static inline void sample_make(sample *s, int64_t seed) {
  *s = (sample){0};
  sample_fill(s, seed);
  const wl_field fields[SAMPLE_FIELDS] = {
      {.name = "phi/matrix",
       .type = WL_FLOAT64,
       .ndim = 2,
       .shape = {3, 4},
       .data = s->matrix,
       .units = "1",
       .long_name = "a matrix",
       .dims = {"row", "column"}},
      {.name = "phi/square", .type = WL_FLOAT64, .ndim = 2, .shape = {2, 2}, .data = s->square},
      {.name = "scalar", .type = WL_FLOAT64, .ndim = 0, .data = &s->scalar, .units = "s"},
      {.name = "units/deep/cube",
       .type = WL_FLOAT32,
       .ndim = 3,
       .shape = {2, 3, 5},
       .data = s->cube},
      {.name = "progress/meta_step", .type = WL_INT64, .ndim = 1, .shape = {1}, .data = s->step},
      {.name = "bytes", .type = WL_UINT8, .ndim = 1, .shape = {7}, .data = s->bytes}};
  memcpy(s->fields, fields, sizeof fields);
}

/* Reads all fields from the file. Sets *different to the number of fields whose values differ from the values for
 * `seed`. */
static inline wl_status sample_compare(const wl_file *file, int64_t seed, int *different) {
  sample want, have;
  sample_make(&want, seed);
  sample_make(&have, seed + 1);
  *different = 0;
  for (int i = 0; i < SAMPLE_FIELDS; i++) {
    const wl_status status = wl_file_read(file, &have.fields[i]);
    if (status != WL_OK) return status;
    const size_t bytes =
        (size_t)wl_field_count(&want.fields[i]) * wl_type_size(want.fields[i].type);
    *different += memcmp(want.fields[i].data, have.fields[i].data, bytes) != 0;
  }
  return WL_OK;
}

static inline int file_exists(const char *path) {
  struct stat there;
  return stat(path, &there) == 0;
}

/* Returns how many entries of a folder have names that contain `part`, or -1 if the folder cannot be read. */
static inline int count_files(const char *folder, const char *part) {
  char command[512];
  int count = -1;
  snprintf(command, sizeof command, "ls -1A '%s' | grep -c -e '%s'", folder, part);
  FILE *const pipe = popen(command, "r");
  if (!pipe || fscanf(pipe, "%d", &count) != 1) count = -1;
  if (pipe) pclose(pipe);
  return count;
}

/* Returns the bytes of the whole file. The caller must free the array. */
static inline unsigned char *slurp(const char *path, size_t *bytes) {
  FILE *const file = fopen(path, "rb");
  assert_non_null(file);
  fseek(file, 0, SEEK_END);
  *bytes = (size_t)ftell(file);
  rewind(file);
  unsigned char *const data = malloc(*bytes + 1);
  assert_int_equal(fread(data, 1, *bytes, file), *bytes);
  data[*bytes] = '\0';
  fclose(file);
  return data;
}

static inline void spill(const char *path, const void *data, size_t bytes) {
  FILE *const file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, bytes, file), bytes);
  fclose(file);
}

#endif
