/* atomic_file.h - a file appears whole under its name, or not at all.
 *
 * Temporary name in the same directory, write, sync, check, rename, sync of the directory. Not
 * collective. WL_FAIL_IO=k in the environment makes the k-th step of the process fail (tests). */
#ifndef WL_IO_ATOMIC_FILE_H
#define WL_IO_ATOMIC_FILE_H

#include <stdbool.h>

#include "base/status.h"

enum { WL_PATH_MAX = 4096 };

/* A piece of the file, borrowed. */
typedef struct wl_piece { const void *data; size_t bytes; } wl_piece;
/* Checks the file at its temporary name before it gets its own; NULL: no check. */
typedef wl_status (*wl_file_check)(const char *temporary);

/* Writes the pieces one after the other as `path`. WL_ERR_PERMISSION, WL_ERR_CANNOT_CREATE, WL_ERR_IO
 * (disk full: the free bytes are named); `path` is as before then and the temporary removed. */
wl_status wl_atomic_write(const char *path, const wl_piece *pieces, int n_pieces, wl_file_check check);
/* Whether a file name (without folder) is that of a temporary. */
bool wl_is_temporary(const char *name);
/* Removes the temporaries that killed processes left in a folder. */
void wl_remove_temporaries(const char *folder);

/* Joins folder and name; WL_ERR_CONFIG when the result is too long. */
wl_status wl_join(char out[WL_PATH_MAX], const char *folder, const char *name);
/* WL_FAIL with the code that fits `error` (errno): `doing` is "write", "create", ... */
wl_status wl_os_fail(const char *doing, const char *path, int error);

/* The whole file, malloc'ed with a zero byte after it. WL_ERR_NO_INPUT, WL_ERR_PERMISSION, WL_ERR_IO. */
wl_status wl_read_whole(const char *path, char **data, size_t *bytes);
/* Names (without folder) of the entries that `wanted` accepts (NULL: all), sorted; each and the list malloc'ed.
 * A folder that does not exist has none. */
wl_status wl_list_folder(const char *folder, bool (*wanted)(const char *name), char ***names, int *count);
void wl_free_names(char **names, int count);

#endif
