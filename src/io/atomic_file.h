/* atomic_file.h - a file appears whole under its name, or not at all.
 *
 * Temporary name in the same directory, write, sync, check, rename, sync of the directory. Not
 * collective. WL_FAIL_IO=k in the environment makes the k-th step of the process fail (tests). */
#ifndef WL_IO_ATOMIC_FILE_H
#define WL_IO_ATOMIC_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* WL_ATOMIC_SLICE: bytes of one write call; the disk gets to work on each while the next is copied. */
enum { WL_PATH_MAX = 4096, WL_ATOMIC_SLICE = 1 << 23 };

/* Checks the file at its temporary name before it gets its own. */
typedef wl_status (*wl_file_check)(const char *temporary, void *context);

/* A file on its way: at its temporary name until it is committed. */
typedef struct wl_atomic_file {
  const char *path; /* borrowed */
  char temporary[WL_PATH_MAX];
  int fd;
} wl_atomic_file;

/* Creates the temporary, puts bytes in it, makes it `path`. WL_ERR_PERMISSION, WL_ERR_CANNOT_CREATE, WL_ERR_IO (disk
 * full: the free bytes are named). Several threads may put and get. commit syncs the data while `check` (NULL: none)
 * reads them; abandon removes the temporary. `path` is as before until commit has returned WL_OK. */
wl_status wl_atomic_begin(const char *path, wl_atomic_file *file);
wl_status wl_atomic_put(const wl_atomic_file *file, uint64_t offset, const void *data,
                        size_t bytes);
/* Reads back what was put. */
wl_status wl_atomic_get(const wl_atomic_file *file, uint64_t offset, void *data, size_t bytes);
wl_status wl_atomic_commit(wl_atomic_file *file, wl_file_check check, void *context);
void wl_atomic_abandon(wl_atomic_file *file);
/* All of it at once, without a check. */
wl_status wl_atomic_write(const char *path, const void *data, size_t bytes);
/* The same without waiting for the disk: whole after any kill, perhaps still the old one after a power cut. */
wl_status wl_atomic_replace(const char *path, const void *data, size_t bytes);
/* Whether a file name (without folder) is that of a temporary. */
bool wl_is_temporary(const char *name);
/* Removes the temporaries that killed processes left in a folder; those that are being written stay. */
void wl_remove_temporaries(const char *folder);

/* Joins folder and name; WL_ERR_CONFIG when the result is too long. */
wl_status wl_join(char out[WL_PATH_MAX], const char *folder, const char *name);
/* WL_FAIL with the code that fits `error` (errno): `doing` is "write", "create", ... */
wl_status wl_os_fail(const char *doing, const char *path, int error);

/* The whole file, malloc'ed with a zero byte after it. WL_ERR_NO_INPUT, WL_ERR_PERMISSION, WL_ERR_IO. */
wl_status wl_read_whole(const char *path, char **data, size_t *bytes);
/* Names (without folder) of the entries that `wanted` accepts (NULL: all), sorted; each and the list malloc'ed.
 * A folder that does not exist has none. */
wl_status wl_list_folder(const char *folder, bool (*wanted)(const char *name), char ***names,
                         int *count);
void wl_free_names(char **names, int count);

#endif
