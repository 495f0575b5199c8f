/* atomic_file.h - writes a file so that it is complete under its name or absent.
 *
 * Temporary name in the same directory, write, check, sync, rename, sync of the directory. Not
 * collective. WL_FAIL_IO=k in the environment makes the k-th step of the process fail (tests). */
#ifndef WL_IO_ATOMIC_FILE_H
#define WL_IO_ATOMIC_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* WL_ATOMIC_SLICE: bytes of one write call. */
enum { WL_PATH_MAX = 4096, WL_ATOMIC_SLICE = 1 << 23 };

/* A file at its temporary name, until it is committed. */
typedef struct wl_atomic_file {
  const char *path; /* borrowed */
  char temporary[WL_PATH_MAX];
  int fd;
  bool unsynced; /* set by the caller: not synced; a power failure may leave the old file */
} wl_atomic_file;

/* Creates the temporary. WL_ERR_PERMISSION, WL_ERR_CANNOT_CREATE. */
wl_status wl_atomic_begin(const char *path, wl_atomic_file *file);
/* Appends bytes. WL_ERR_IO: the disk is full (the free bytes are named), or failed. */
wl_status wl_atomic_append(wl_atomic_file *file, const void *data, size_t bytes);
/* Runs `check` (NULL: none) on the temporary file, syncs it and renames it to `path`, which is unchanged until WL_OK is
 * returned. The temporary is removed in any case. `status` is that of the appends; a failure is returned. */
wl_status wl_atomic_end(wl_atomic_file *file, wl_status status,
                        wl_status (*check)(const char *temporary));
/* Writes all of a file, without a check. */
wl_status wl_atomic_write(const char *path, const void *data, size_t bytes);
/* Removes the temporaries of killed processes from a folder, but not those that are being written. */
void wl_remove_temporaries(const char *folder);

/* Joins folder and name; WL_ERR_CONFIG when the result is too long. */
wl_status wl_path_join(char out[WL_PATH_MAX], const char *folder, const char *name);
/* WL_FAIL with the code that fits `error` (errno): `doing` is "write", "create", ... */
wl_status wl_os_fail(const char *doing, const char *path, int error);
/* The whole file, malloc'ed with a zero byte after it. WL_ERR_NO_INPUT, WL_ERR_PERMISSION, WL_ERR_IO. */
wl_status wl_read_file(const char *path, char **data, size_t *bytes);

/* Names, each malloc'ed. */
typedef struct wl_names {
  char **at;
  int count, room;
} wl_names;
wl_status wl_names_add(wl_names *names, const char *name);
void wl_names_clear(wl_names *names);
/* Sorted names (without folder) of the entries that `wanted` accepts; a folder that does not exist has none. */
wl_status wl_list_folder(const char *folder, bool (*wanted)(const char *name), wl_names *names);
/* The number in a name PREFIX, eight digits or more, ".h5"; -1: another name. */
int64_t wl_numbered_name(const char *name, const char *prefix);

#endif
