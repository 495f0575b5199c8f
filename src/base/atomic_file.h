/* atomic_file.h - writes a file atomically: a reader never finds an incomplete file under the final name.
 *
 * A file is written under a temporary name in the same directory, checked, synced and renamed. Then the directory is
 * synced. Not collective. For tests, the environment variable WL_FAIL_IO=k makes the k-th file operation of the process
 * fail. */
#ifndef WL_BASE_ATOMIC_FILE_H
#define WL_BASE_ATOMIC_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* WL_ATOMIC_SLICE: the largest number of bytes in one call of write(). */
enum { WL_PATH_MAX = 4096, WL_ATOMIC_SLICE = 1 << 23 };

/* A file that is being written under its temporary name. */
typedef struct wl_atomic_file {
  const char *path; /* borrowed */
  char temporary[WL_PATH_MAX];
  int fd;
} wl_atomic_file;

/* Creates the temporary file. Errors: WL_ERR_PERMISSION, WL_ERR_CANNOT_CREATE. */
wl_status wl_atomic_begin(const char *path, wl_atomic_file *file);
/* Appends bytes. Returns WL_ERR_IO if the write fails or the disk is full. If the disk is full, the
 * message says how many bytes are free. */
wl_status wl_atomic_append(wl_atomic_file *file, const void *data, size_t bytes);
/* Calls `check` for the temporary file, syncs the file and renames the file to `path`. `check` is
 * NULL if no check is needed. If the function fails, `path` is unchanged. The temporary file is
 * removed in any case. `status` is the status of the earlier calls of wl_atomic_append. If `status`
 * is a failure, the function only removes the temporary file and returns `status`. */
wl_status wl_atomic_end(wl_atomic_file *file, wl_status status,
                        wl_status (*check)(const char *temporary));
/* Writes an array of bytes to the file `path`. The written file is not read back or checked. */
wl_status wl_atomic_write(const char *path, const void *data, size_t bytes);
/* Creates a folder. Does nothing if the folder exists. Errors: WL_ERR_PERMISSION,
 * WL_ERR_CANNOT_CREATE. */
wl_status wl_make_folder(const char *path);
/* Removes from a folder the temporary files that killed processes left. Temporary files that a
 * running process writes are not removed. */
void wl_remove_temporaries(const char *folder);

/* Writes the path of the file `name` in `folder` to `out`. Returns WL_ERR_CONFIG if the path is too
 * long. */
wl_status wl_path_join(char out[WL_PATH_MAX], const char *folder, const char *name);
/* Writes the path of the folder that contains `path` to `out`. If `path` has no slash, the result
 * is ".". */
void wl_path_folder(const char *path, char out[WL_PATH_MAX]);
/* Sets an error message and returns the status code that fits `error`, which is a value of errno.
 * `doing` is a verb, for example "write" or "create". */
wl_status wl_os_fail(const char *doing, const char *path, int error);
/* Opens a regular file for reading. Errors: WL_ERR_NO_INPUT, WL_ERR_PERMISSION. */
wl_status wl_open_to_read(const char *path, int *fd, uint64_t *bytes);
/* Reads `bytes` bytes from the position `offset` of the file. Returns WL_ERR_IO if the read fails
 * or the file ends too early. */
wl_status wl_read_at(int fd, const char *path, uint64_t offset, void *data, size_t bytes);
/* Reads the whole file. *data is malloc'ed, and the caller frees it. A zero byte follows the
 * contents of the file in *data. Errors: WL_ERR_NO_INPUT, WL_ERR_PERMISSION, WL_ERR_IO. */
wl_status wl_read_file(const char *path, char **data, size_t *bytes);

/* A list of names. The list owns the malloc'ed names. */
typedef struct wl_names {
  char **at;
  int count, room;
} wl_names;
wl_status wl_names_add(wl_names *names, const char *name);
void wl_names_clear(wl_names *names);
void wl_names_sort(wl_names *names);
/* Returns true if the sorted list contains the name. */
bool wl_names_has(const wl_names *sorted, const char *name);
/* Lists the names in a folder that wl_numbered_name accepts, in the order of their numbers. If the
 * folder does not exist, the list is empty. */
wl_status wl_list_numbered(const char *folder, const char *prefix, wl_names *names);
/* Returns the number in a name that consists of `prefix`, eight or more digits, and ".h5". Returns -1 for any other
 * name. */
int64_t wl_numbered_name(const char *name, const char *prefix);

#endif
