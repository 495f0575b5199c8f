/* status.h - declares the status of a function and the message of the last error, and allocates
 * memory.
 *
 * Every function that can fail returns a wl_status. The codes are the exit codes of sysexits.h, and
 * main returns the status as the exit code. WL_FAIL stores a message for the calling thread. If a
 * call fails, WL_TRY returns the status of the failure from the calling function. Only code in
 * src/cli ends the process. */
#ifndef WL_BASE_STATUS_H
#define WL_BASE_STATUS_H

#include <stdbool.h>

#include "warploom/status.h"

/* Stores the message as this thread's last error. The value of the macro is `code`. The message
 * says what is wrong, where (file, line, key, rank), and how to fix the problem. If the code is
 * WL_ERR_SOFTWARE (a defect in Warploom), the source file and its line are appended. */
#define WL_FAIL(code, ...) wl_status_fail((code), __FILE__, __LINE__, __VA_ARGS__)

/* Calls `call`. If this call fails, the calling function returns the status of the failure. */
#define WL_TRY(call)                      \
  do {                                    \
    const wl_status wl_try_ = (call);     \
    if (wl_try_ != WL_OK) return wl_try_; \
  } while (0)

/* Sets `status` to the result of `call`, and jumps to the clean-up label if the call failed. */
#define WL_TRY_GOTO(status, call, label) \
  do {                                   \
    (status) = (call);                   \
    if ((status) != WL_OK) goto label;   \
  } while (0)

/* Checks a condition that is true unless Warploom has a defect. The check is made in every
 * build. */
#define WL_CHECK(condition)                                                                     \
  do {                                                                                          \
    if (!(condition)) return WL_FAIL(WL_ERR_SOFTWARE, "internal check failed: %s", #condition); \
  } while (0)

wl_status wl_status_fail(wl_status code, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Marks this thread's last error as shared by all ranks. A shared error is the last error on all
 * ranks, because the ranks agreed on the error or computed it from the same data. Each new failure
 * clears the mark. If a failure is not shared, main must also end the other ranks, because they may
 * wait for this rank. */
void wl_error_share(bool shared);
bool wl_error_is_shared(void);

/* Allocates zeroed memory aligned to WL_ALIGN. Returns WL_ERR_OS if no memory is available. The caller frees the memory
 * with wl_free. Tests can make an allocation fail (base/fault.h). */
wl_status wl_alloc(void **out, size_t count, size_t size);
#define WL_NEW(pointer, count) wl_alloc((void **)&(pointer), (size_t)(count), sizeof *(pointer))
void wl_free(void *pointer);
/* Makes an array large enough for one more element. The array has `count` elements. The array was
 * allocated with wl_alloc, or it is NULL. *room is the number of elements for which memory is
 * allocated. If the array is full, *room is more than doubled. */
wl_status wl_grow(void **array, int count, int *room, size_t size);
#define WL_GROW(array, count, room) wl_grow((void **)&(array), (count), &(room), sizeof *(array))

#endif
