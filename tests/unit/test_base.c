/* test_base.c - tests small modules: error messages, allocation, layouts of tensors, fields, digests, and suggestions
 * for misspelt words. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/build_info.h"
#include "base/digest.h"
#include "base/failure.h"
#include "base/fault.h"
#include "base/field.h"
#include "base/isa.h"
#include "base/real.h"
#include "base/suggest.h"
#include "unit/cmocka_all.h"

static void status_keeps_the_message(void **state) {
  (void)state;
  assert_int_equal(WL_FAIL(WL_ERR_CONFIG, "job.yaml:%d: wrong", 3), WL_ERR_CONFIG);
  assert_string_equal(wl_last_error(), "job.yaml:3: wrong");
  /* the new message contains the previous message as an argument */
  assert_int_equal(WL_FAIL(WL_ERR_DATA, "rank 2: %s", wl_last_error()), WL_ERR_DATA);
  assert_string_equal(wl_last_error(), "rank 2: job.yaml:3: wrong");
  WL_FAIL(WL_ERR_SOFTWARE, "a defect");
  assert_non_null(strstr(wl_last_error(), "a defect ("));
  assert_non_null(strstr(wl_last_error(), "test_base.c:"));
}

static void status_cuts_long_messages(void **state) {
  (void)state;
  char *const text = malloc(100000);
  assert_non_null(text);
  memset(text, 'x', 99999);
  text[99999] = '\0';
  WL_FAIL(WL_ERR_SOFTWARE, "%s", text);
  assert_true(strlen(wl_last_error()) > 1000);
  assert_true(strlen(wl_last_error()) < 99999);
  free(text);
}

static void alloc_is_aligned_and_zeroed(void **state) {
  (void)state;
  for (size_t count = 0; count < 70; count += 23) {
    double *x = NULL;
    assert_int_equal(WL_NEW(x, count), WL_OK);
    assert_non_null(x);
    assert_int_equal((uintptr_t)x % WL_ALIGN, 0);
    for (size_t i = 0; i < count; ++i) assert_true(x[i] == 0);
    wl_free(x);
  }
  void *huge = &huge;
  assert_int_equal(wl_alloc(&huge, SIZE_MAX / 4, 8), WL_ERR_OS);
  assert_null(huge);
}

static void alloc_fails_on_request(void **state) {
  (void)state;
  wl_fault_request(WL_FAULT_ALLOC, 3);
  void *memory[4];
  wl_status statuses[4];
  for (int i = 0; i < 4; ++i) statuses[i] = wl_alloc(&memory[i], 1, 1);
  for (int i = 0; i < 4; ++i) {
    assert_int_equal(statuses[i], i == 2 ? WL_ERR_OS : WL_OK);
    wl_free(memory[i]);
  }
}

static void layout_places_blocks_in_order(void **state) {
  (void)state;
  wl_layout layout = {0};
  int64_t offset = -1;
  for (int i = 0; i < 40; ++i) { /* number of tensors that exceeds the initial capacity of the layout */
    char name[16];
    snprintf(name, sizeof name, "w%d", i);
    assert_int_equal(wl_layout_add(&layout, "rule", name, 2, (int64_t[]){2, 3}, &offset), WL_OK);
    assert_int_equal(offset, 6 * i);
  }
  assert_int_equal(wl_layout_add(&layout, "", "scalar", 0, NULL, &offset), WL_OK);
  assert_int_equal(layout.size, 241);
  const wl_tensor_entry *const block = wl_layout_find(&layout, "w17");
  assert_non_null(block);
  assert_int_equal(block->offset, 102);
  assert_int_equal(block->size, 6);
  assert_int_equal(block->shape[1], 3);
  assert_string_equal(block->group, "rule");
  assert_null(wl_layout_find(&layout, "w40"));
  wl_layout_clear(&layout);
  assert_int_equal(layout.count, 0);
}

static void layout_refuses_impossible_blocks(void **state) {
  (void)state;
  wl_layout layout = {0};
  const int64_t huge = INT64_C(1) << 40;
  char long_name[WL_NAME_SIZE + 1];
  memset(long_name, 'a', WL_NAME_SIZE);
  long_name[WL_NAME_SIZE] = '\0';
  assert_int_equal(wl_layout_add(&layout, "", "a", 1, (int64_t[]){4}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&layout, "", "a", 1, (int64_t[]){4}, NULL), WL_ERR_SOFTWARE);
  assert_int_equal(wl_layout_add(&layout, "", "b", 1, (int64_t[]){0}, NULL), WL_ERR_SOFTWARE);
  assert_int_equal(wl_layout_add(&layout, "", "b", 1, (int64_t[]){-1}, NULL), WL_ERR_SOFTWARE);
  assert_int_equal(wl_layout_add(&layout, "", "b", 5, (int64_t[]){1, 1, 1, 1, 1}, NULL),
                   WL_ERR_SOFTWARE);
  assert_int_equal(wl_layout_add(&layout, "", "b", 2, (int64_t[]){huge, huge}, NULL),
                   WL_ERR_SOFTWARE);
  assert_int_equal(wl_layout_add(&layout, "", long_name, 1, (int64_t[]){4}, NULL), WL_ERR_SOFTWARE);
  assert_int_equal(layout.count, 1);
  assert_int_equal(layout.size, 4);
  wl_layout_clear(&layout);
}

static void layout_appends_all_or_nothing(void **state) {
  (void)state;
  wl_layout a = {0}, b = {0};
  int64_t offset = -1;
  assert_int_equal(wl_layout_add(&a, "x", "one", 1, (int64_t[]){5}, NULL), WL_OK);
  assert_int_equal(wl_layout_add(&b, "y", "two", 1, (int64_t[]){3}, NULL), WL_OK);
  assert_int_equal(wl_layout_append(&a, &b, &offset), WL_OK);
  assert_int_equal(offset, 5);
  assert_int_equal(wl_layout_find(&a, "two")->offset, 5);
  assert_int_equal(wl_layout_add(&b, "y", "one", 1, (int64_t[]){3}, NULL), WL_OK);
  wl_layout c = {0};
  assert_int_equal(wl_layout_add(&c, "", "one", 1, (int64_t[]){1}, NULL), WL_OK);
  assert_int_equal(wl_layout_append(&c, &b, NULL), WL_ERR_SOFTWARE); /* the tensor "two" is appended first */
  assert_int_equal(c.count, 1);
  assert_int_equal(c.size, 1);
  wl_layout_clear(&a);
  wl_layout_clear(&b);
  wl_layout_clear(&c);
}

static void field_sizes(void **state) {
  (void)state;
  assert_int_equal(wl_type_size(WL_FLOAT32), 4);
  assert_int_equal(wl_type_size(WL_UINT8), 1);
  assert_int_equal(wl_type_size(WL_REAL_TYPE), sizeof(wl_real));
  const wl_field field = {.ndim = 3, .shape = {2, 3, 4}};
  assert_int_equal(wl_field_count(&field), 24);
  assert_int_equal(wl_field_count(&(wl_field){.ndim = 0}), 1);
}

static void digest_known_values(void **state) {
  (void)state;
  /* the documentation of xxHash contains the hash XXH3_64bits of zero bytes with seed 0, and a digest of Warploom
   * begins with this value */
  wl_digest digest = {0};
  char hex[17];
  wl_digest_add(&digest, "", "abc", 3);
  assert_true(digest.value == XXH3_64bits_withSeed("abc", 3, UINT64_C(0x2d06800538d394c2)));
  wl_digest_hex((wl_digest){UINT64_C(0x2d06800538d394c2)}, hex);
  assert_string_equal(hex, "2d06800538d394c2");
  wl_digest_hex((wl_digest){1}, hex);
  assert_string_equal(hex, "0000000000000001");
}

static uint64_t digest_of(const char *name_a, const char *a, const char *name_b, const char *b) {
  wl_digest digest = {0};
  wl_digest_add(&digest, name_a, a, strlen(a));
  wl_digest_add(&digest, name_b, b, strlen(b));
  return digest.value;
}

static void digest_tells_everything_apart(void **state) {
  (void)state;
  const uint64_t values[] = {digest_of("a", "12", "b", "3"), digest_of("b", "3", "a", "12"),
                             digest_of("a", "1", "b", "23"), digest_of("a", "12", "b", "4"),
                             digest_of("a1", "2", "b", "3"), digest_of("a", "12", "c", "3"),
                             digest_of("a", "123", "b", ""), digest_of("a", "", "b", "123")};
  const size_t count = sizeof values / sizeof *values;
  for (size_t i = 0; i < count; ++i)
    for (size_t j = 0; j < i; ++j) assert_true(values[i] != values[j]);
}

static void suggestions(void **state) {
  (void)state;
  static const char *const words[] = {"steps", "units", "optimizer", "learning_rate"};
  assert_string_equal(wl_suggest("stepps", words, 4), "steps");
  /* an exchange of two neighbouring letters counts as one edit, and two substitutions count as two edits */
  assert_string_equal(wl_suggest("setps", (const char *const[]){"setup", "steps"}, 2), "steps");
  assert_string_equal(wl_suggest("learning_rat", words, 4), "learning_rate");
  assert_string_equal(wl_suggest("optimiser", words, 4), "optimizer");
  assert_null(wl_suggest("batch", words, 4));
  assert_null(wl_suggest("", words, 4));
}

/* A stored failure must be raised later with its original message and only once, even if other calls have failed in
 * the meantime. */
static void failure_keeps_its_own_message(void **state) {
  (void)state;
  wl_failure kept = {0};
  wl_failure_keep(&kept, WL_OK);
  assert_int_equal(wl_failure_raise(&kept), WL_OK);
  wl_failure_keep(&kept, WL_FAIL(WL_ERR_IO, "the disk"));
  wl_failure_keep(&kept, WL_FAIL(WL_ERR_OS, "something else"));
  WL_FAIL(WL_ERR_DATA, "unrelated");
  assert_int_equal(wl_failure_raise(&kept), WL_ERR_IO);
  assert_string_equal(wl_last_error(), "the disk");
  assert_int_equal(wl_failure_raise(&kept), WL_OK);
}

/* All callers must receive the same instruction set. WARPLOOM_ISA must be able to select a less capable instruction
 * set. An instruction set that the processor does not support must not be selected. */
static void instruction_set_is_as_asked(void **state) {
  (void)state;
  unsetenv("WARPLOOM_ISA");
  const wl_isa best = wl_isa_choose();
  for (int i = 0; i < WL_ISA_COUNT; i++) {
    setenv("WARPLOOM_ISA", wl_isa_name((wl_isa)i), 1);
    assert_int_equal(wl_isa_choose(), i <= (int)best ? i : (int)best);
  }
  setenv("WARPLOOM_ISA", "sse9", 1);
  assert_int_equal(wl_isa_choose(), best);
  setenv("WARPLOOM_ISA", "baseline", 1);
  assert_non_null(strstr(wl_build_processor(), "(baseline)"));
}

static void build_information_is_complete(void **state) {
  (void)state;
  assert_true(strlen(wl_build_version()) >= 5);
  assert_true(strlen(wl_build_revision()) > 0);
  assert_non_null(strstr(wl_build_compiler(), "-ffp-contract=fast"));
  assert_true(strlen(wl_build_processor()) > 3);
  assert_non_null(strstr(wl_build_blas(), "OpenBLAS"));
  assert_true(strlen(wl_build_hdf5()) >= 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(alloc_fails_on_request), /* this test must run first, because it counts all allocations of the
                                                 * process */
      cmocka_unit_test(status_keeps_the_message),
      cmocka_unit_test(status_cuts_long_messages),
      cmocka_unit_test(failure_keeps_its_own_message),
      cmocka_unit_test(alloc_is_aligned_and_zeroed),
      cmocka_unit_test(layout_places_blocks_in_order),
      cmocka_unit_test(layout_refuses_impossible_blocks),
      cmocka_unit_test(layout_appends_all_or_nothing),
      cmocka_unit_test(field_sizes),
      cmocka_unit_test(digest_known_values),
      cmocka_unit_test(digest_tells_everything_apart),
      cmocka_unit_test(suggestions),
      cmocka_unit_test(instruction_set_is_as_asked),
      cmocka_unit_test(build_information_is_complete),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
