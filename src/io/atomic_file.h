/* atomic_file.h - writes a file so that no reader finds an incomplete file under its name.
 *
 * A file is written under a temporary name in the same directory, checked, synced and renamed; then the directory is
 * synced. Not collective. WL_FAIL_IO=k in the environment makes the k-th step of the process fail (tests). */
#ifndef WL_IO_ATOMIC_FILE_H
#define WL_IO_ATOMIC_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* WL_ATOMIC_SLICE: largest number of bytes that one call of write() writes. */
enum { WL_PATH_MAX = 4096, WL_ATOMIC_SLICE = 1 << 23 };

/* A file that is being written under its temporary name. */
typedef struct wl_atomic_file {
  const char *path; /* borrowed */
  char temporary[WL_PATH_MAX];
  int fd;
  bool unsynced; /* set by the caller: do not sync; a power failure may then leave the old file */
} wl_atomic_file;

/* Creates the temporary. WL_ERR_PERMISSION, WL_ERR_CANNOT_CREATE. */
wl_status wl_atomic_begin(const char *path, wl_atomic_file *file);
/* Appends bytes. WL_ERR_IO: the disk is full (the message says how many bytes are free) or has failed. */
wl_status wl_atomic_append(wl_atomic_file *file, const void *data, size_t bytes);
/* Runs `check` (NULL: none) on the temporary file, syncs the file and renames it to `path`, which is unchanged until
 * WL_OK is returned. The temporary is removed in any case. `status` is the status of the appends; a failure is
 * returned without the other steps. */
wl_status wl_atomic_end(wl_atomic_file *file, wl_status status,
                        wl_status (*check)(const char *temporary));
/* Writes a whole file, without a check. */
wl_status wl_atomic_write(const char *path, const void *data, size_t bytes);
/* Removes the temporaries of killed processes from a folder, but not the temporaries that are being written. */
void wl_remove_temporaries(const char *folder);

/* Joins folder and name; WL_ERR_CONFIG when the result is too long. */
wl_status wl_path_join(char out[WL_PATH_MAX], const char *folder, const char *name);
/* Finds the folder part of a path; "." if the path has no folder. */
void wl_path_folder(const char *path, char out[WL_PATH_MAX]);
/* Fails with the code that fits `error` (errno); `doing` is a verb such as "write" or "create". */
wl_status wl_os_fail(const char *doing, const char *path, int error);
/* Opens a regular file for reading. WL_ERR_NO_INPUT, WL_ERR_PERMISSION. */
wl_status wl_open_to_read(const char *path, int *fd, uint64_t *bytes);
/* Reads all of the bytes [offset, offset + bytes). WL_ERR_IO. */
wl_status wl_read_at(int fd, const char *path, uint64_t offset, void *data, size_t bytes);
/* Reads the whole file; *data is malloc'ed and has a zero byte after the contents. WL_ERR_NO_INPUT, WL_ERR_PERMISSION,
 * WL_ERR_IO. */
wl_status wl_read_file(const char *path, char **data, size_t *bytes);

/* A list of names, each of which is malloc'ed. */
typedef struct wl_names {
  char **at;
  int count, room;
} wl_names;
wl_status wl_names_add(wl_names *names, const char *name);
void wl_names_clear(wl_names *names);
void wl_names_sort(wl_names *names);
/* Lists the names (without folder) of the entries that `wanted` accepts, sorted. A folder that does not exist has no
 * entries. */
wl_status wl_list_folder(const char *folder, bool (*wanted)(const char *name), wl_names *names);
/* Returns the number in a name PREFIX, eight digits or more, ".h5"; -1 for any other name. */
int64_t wl_numbered_name(const char *name, const char *prefix);

#endif
