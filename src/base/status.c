/* status.c - stores the last error of each thread, and allocates memory.
 *
 * Tests can make any allocation fail (base/fault.h). */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fault.h"
#include "base/real.h"

enum { MESSAGE_SIZE = 4096 };

static _Thread_local char last_error[MESSAGE_SIZE];
static _Thread_local bool last_error_shared;

const char *wl_last_error(void) { return last_error; }

void wl_error_share(bool shared) { last_error_shared = shared; }
bool wl_error_is_shared(void) { return last_error_shared; }

wl_status wl_status_fail(wl_status code, const char *file, int line, const char *format, ...) {
  /* the message is written to a separate buffer, because an argument may point to the last error */
  char text[MESSAGE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length < 0) text[0] = '\0';
  memcpy(last_error, text, sizeof text);
  last_error_shared = false;

  /* A defect in Warploom is reported with the source line. In other errors, the source line would
   * not help the user. */
  if (code == WL_ERR_SOFTWARE && length >= 0 && length < MESSAGE_SIZE)
    snprintf(last_error + length, sizeof last_error - (size_t)length, " (%s:%d)", file, line);
  return code;
}

/* Allocates `bytes` bytes. Allocations of WL_HUGE_PAGE bytes or more use huge pages if the system
 * supports them. With small pages, the physical addresses of an array are scattered, so that even
 * an array smaller than the second-level cache can have conflicts in this cache. */
static void *take(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, bytes >= WL_HUGE_PAGE ? WL_HUGE_PAGE : WL_ALIGN, bytes) != 0)
    return NULL;
#ifdef MADV_HUGEPAGE
  if (bytes >= WL_HUGE_PAGE) madvise(memory, bytes / WL_HUGE_PAGE * WL_HUGE_PAGE, MADV_HUGEPAGE);
#endif
  return memory;
}

wl_status wl_alloc(void **out, size_t count, size_t size) {
  *out = NULL;
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - WL_ALIGN)
    return WL_FAIL(WL_ERR_OS, "out of memory: cannot allocate %zu items of %zu bytes, because the "
                              "product is too large",
                   count, size);
  /* the size is rounded up to a multiple of WL_ALIGN, and is WL_ALIGN for zero bytes */
  const size_t padded = bytes == 0 ? WL_ALIGN : (bytes + WL_ALIGN - 1) / WL_ALIGN * WL_ALIGN;
  void *const memory = wl_fault_due(WL_FAULT_ALLOC) ? NULL : take(padded);
  if (!memory)
    return WL_FAIL(WL_ERR_OS,
                   "out of memory: %zu bytes are needed; run fewer ranks on a node, or make the "
                   "job smaller",
                   bytes);
  *out = memset(memory, 0, padded);
  return WL_OK;
}

void wl_free(void *pointer) { free(pointer); }

wl_status wl_grow(void **array, int count, int *room, size_t size) {
  if (count < *room) return WL_OK;
  void *bigger = NULL;
  const int wanted = 2 * *room + 16;
  WL_TRY(wl_alloc(&bigger, (size_t)wanted, size));
  if (count > 0) memcpy(bigger, *array, (size_t)count * size);
  wl_free(*array);
  *array = bigger;
  *room = wanted;
  return WL_OK;
}
