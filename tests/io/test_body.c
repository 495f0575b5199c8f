/* test_body.c - a body is written and read back, where it is wide by two threads: what was not written as it
 * should be is told, and large arrays take no room in HDF5's part. */
#include "io_test.h"

#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "io/body.h"
#include "io/dimension.h"

/* A body of some slices and a bit between the parts of HDF5: one that a thread writes, and one that needs none. */
enum {
  HEAD = 1000,
  TAIL = 77,
  NARROW = 2 * WL_ATOMIC_SLICE + 12345,
  WIDE = 4 * WL_ATOMIC_SLICE + 12345
};

typedef struct scene {
  size_t large, all;
  char *memory;
  uint64_t hash;
  wl_part parts[3]; /* the second is direct */
  wl_atomic_file file;
  wl_body body;
} scene;

static int set_up(void **state, size_t large) {
  scene *const s = calloc(1, sizeof *s);
  *state = s;
  s->large = large;
  s->all = HEAD + large + TAIL;
  s->memory = malloc(s->all);
  for (size_t i = 0; i < s->all; i++) s->memory[i] = (char)(i * 2654435761u >> 11);
  s->hash = XXH3_64bits(s->memory + HEAD, s->large);
  s->parts[0] = (wl_part){0, HEAD, s->memory, NULL};
  s->parts[1] = (wl_part){HEAD, s->large, s->memory + HEAD, &s->hash};
  s->parts[2] = (wl_part){HEAD + s->large, TAIL, s->memory + HEAD + s->large, NULL};
  return wl_atomic_begin("body.h5", &s->file) == WL_OK ? 0 : -1;
}

static int set_up_narrow(void **state) { return set_up(state, NARROW); }
static int set_up_wide(void **state) { return set_up(state, WIDE); }

static int tear_down(void **state) {
  scene *const s = *state;
  wl_atomic_abandon(&s->file);
  free(s->memory);
  free(s);
  return 0;
}

static void width(void **state) {
  const scene *const s = *state;
  assert_int_equal(wl_body_is_wide(&s->parts[1], 1), s->large == WIDE);
}

static void pause_briefly(void) { nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); }

static void wait_for_writing(scene *s) {
  while (wl_aside_is_busy(&s->body.writing)) pause_briefly();
}

/* ---- a slow disk ---- */

/* A body whose slices take until it is given up, or PATIENCE pauses where it never is. */
static wl_body *slow;
enum { PATIENCE = 5000 };

wl_status __real_wl_atomic_put(const wl_atomic_file *file, uint64_t offset, const void *data,
                               size_t bytes);
wl_status __wrap_wl_atomic_put(const wl_atomic_file *file, uint64_t offset, const void *data,
                               size_t bytes);

static bool is_given_up(wl_body *b) {
  pthread_mutex_lock(&b->lock);
  const bool given_up = b->given_up;
  pthread_mutex_unlock(&b->lock);
  return given_up;
}

/* The linker puts it in the place of wl_atomic_put (--wrap). */
wl_status __wrap_wl_atomic_put(const wl_atomic_file *file, uint64_t offset, const void *data,
                               size_t bytes) {
  for (int i = 0; slow && i < PATIENCE && !is_given_up(slow); i++) pause_briefly();
  return __real_wl_atomic_put(file, offset, data, bytes);
}

/* ---- the body ---- */

static void all_parts_arrive(void **state) {
  scene *const s = *state;
  uint64_t hash = 0;
  size_t bytes = 0;
  wl_body_start(&s->body, &s->file, &s->parts[1], 1);
  assert_ok(wl_body_finish(&s->body, s->parts, 3, &hash));
  wl_body_end(&s->body);
  assert_int_equal(hash, XXH3_64bits(s->memory, s->all));
  unsigned char *const written = slurp(s->file.temporary, &bytes);
  assert_int_equal(bytes, s->all);
  assert_memory_equal(written, s->memory, s->all);
  free(written);
}

static void changed_state_is_told(void **state) {
  scene *const s = *state;
  uint64_t hash = 0;
  s->memory[HEAD + s->large - 1] ^= 1; /* after its hash was taken */
  wl_body_start(&s->body, &s->file, &s->parts[1], 1);
  assert_fails(wl_body_finish(&s->body, s->parts, 3, &hash), WL_ERR_DATA, "not what was written");
  wl_body_end(&s->body);
}

static void changed_file_is_told(void **state) {
  scene *const s = *state;
  uint64_t hash = 0;
  wl_body_start(&s->body, &s->file, &s->parts[1], 1);
  wait_for_writing(s);
  const char other = (char)(s->memory[HEAD + s->large / 2] + 1);
  assert_ok(wl_atomic_put(&s->file, HEAD + s->large / 2, &other, 1));
  assert_fails(wl_body_finish(&s->body, s->parts, 3, &hash), WL_ERR_DATA, "body.h5");
  wl_body_end(&s->body);
}

/* The thread's error reaches the one who waits for its bytes. */
static void failed_writing_is_told(void **state) {
  scene *const s = *state;
  uint64_t hash = 0;
  wl_atomic_file broken = s->file;
  broken.fd = -1;
  wl_body_start(&s->body, &broken, &s->parts[1], 1);
  wait_for_writing(s);
  s->body.file = &s->file;
  assert_fails(wl_body_finish(&s->body, s->parts, 3, &hash), WL_ERR_IO, "cannot write 'body.h5'");
  wl_body_end(&s->body);
}

/* Whoever gives up need not wait for all slices: the thread, held in its first one until then, writes no other. */
static void giving_up_ends_the_thread(void **state) {
  scene *const s = *state;
  struct stat written;
  slow = &s->body;
  wl_body_start(&s->body, &s->file, &s->parts[1], 1);
  wl_body_end(&s->body);
  slow = NULL;
  assert_int_equal(fstat(s->file.fd, &written), 0);
  assert_int_equal(written.st_size, HEAD + WL_ATOMIC_SLICE);
}

/* ---- HDF5's part ---- */

static wl_status place(wl_image *image, const wl_field *field) {
  const hsize_t size = (hsize_t)field->shape[0];
  const WL_H5_SCOPED space = H5Screate_simple(1, &size, NULL);
  const WL_H5_SCOPED creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  const WL_H5_SCOPED dataset =
      H5Dcreate2(image->file, field->name, H5T_STD_U8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  return wl_image_put("image", image, dataset, field->data, size, NULL);
}

static void large_arrays_take_no_room(void **state) {
  scene *const s = *state;
  wl_image image;
  wl_part *parts = NULL;
  int n_parts = 0;
  const wl_field fields[2] = {
      {.name = "a", .type = WL_UINT8, .ndim = 1, .shape = {(int64_t)s->large}, .data = s->memory},
      {.name = "b",
       .type = WL_UINT8,
       .ndim = 1,
       .shape = {(int64_t)s->large - 1},
       .data = s->memory}};
  assert_ok(wl_image_create("image", H5F_LIBVER_V18, 1 << 16, &image));
  for (int i = 0; i < 2; i++) assert_ok(place(&image, &fields[i]));
  assert_ok(wl_image_settle("image", &image));
  for (int i = 0; i < 2; i++) assert_ok(wl_dimensions_name("image", image.file, &fields[i]));
  assert_ok(wl_image_close("image", &image));
  assert_true(image.room < 1 << 18 && image.bytes > 2 * s->large - 1);
  assert_ok(wl_image_parts("image", &image, &parts, &n_parts));
  assert_int_equal(n_parts, 3); /* nothing comes behind the arrays */
  free(parts);
  wl_image_free(&image);
}

#define BOTH(test)                                                 \
  cmocka_unit_test_setup_teardown(test, set_up_narrow, tear_down), \
      cmocka_unit_test_setup_teardown(test, set_up_wide, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(width),
      BOTH(all_parts_arrive),
      BOTH(changed_state_is_told),
      BOTH(changed_file_is_told),
      BOTH(failed_writing_is_told),
      cmocka_unit_test_setup_teardown(giving_up_ends_the_thread, set_up_wide, tear_down),
      cmocka_unit_test_setup_teardown(large_arrays_take_no_room, set_up_narrow, tear_down)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
