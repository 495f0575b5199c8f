/* atomic_file.c - replaces a file atomically by way of a temporary file. The file also has
 * functions for paths and folders.
 *
 * If the process is killed during the writing, the file `path` is either unchanged or completely
 * replaced. The killed process may leave its temporary file. The next program that writes into the
 * folder removes this file. The temporary file of a running writer is locked. The operating system
 * releases the lock when the process ends, even if the process runs on another host. */
#define _GNU_SOURCE
#include "base/atomic_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fault.h"

#define TEMPORARY_MARK ".tmp-"

/* ---- functions for paths and for errors ---- */

wl_status wl_path_join(char out[WL_PATH_MAX], const char *folder, const char *name) {
  const int length = snprintf(out, WL_PATH_MAX, "%s/%s", folder, name);
  if (length < 0 || length >= WL_PATH_MAX)
    return WL_FAIL(WL_ERR_CONFIG,
                   "the path '%s/%s' is longer than %d bytes: choose an output folder with a "
                   "shorter path",
                   folder, name, WL_PATH_MAX - 1);
  return WL_OK;
}

void wl_path_folder(const char *path, char out[WL_PATH_MAX]) {
  const char *const slash = strrchr(path, '/');
  if (!slash) snprintf(out, WL_PATH_MAX, ".");
  else snprintf(out, WL_PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static wl_status full_disk(const char *doing, const char *path, int error) {
  char folder[WL_PATH_MAX];
  struct statvfs disk;
  wl_path_folder(path, folder);
  if (statvfs(folder, &disk) != 0)
    return WL_FAIL(WL_ERR_IO, "cannot %s '%s': %s", doing, path, strerror(error));
  return WL_FAIL(
      WL_ERR_IO,
      "cannot %s '%s': %s; %llu bytes are free in '%s': delete files there, ask for a higher quota "
      "or file size limit, or choose another output folder",
      doing, path, strerror(error), (unsigned long long)disk.f_bavail * disk.f_frsize, folder);
}

wl_status wl_os_fail(const char *doing, const char *path, int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return full_disk(doing, path, error);
    case EACCES:
    case EPERM:
    case EROFS:
      return WL_FAIL(WL_ERR_PERMISSION,
                     "cannot %s '%s': %s; check the access permissions of the file and its folder", doing, path,
                     strerror(error));
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EEXIST:
      return WL_FAIL(WL_ERR_CANNOT_CREATE,
                     "cannot %s '%s': %s; check that the folder of this path exists and that the "
                     "name is not in use", doing,
                     path, strerror(error));
    default: return WL_FAIL(WL_ERR_IO, "cannot %s '%s': %s", doing, path, strerror(error));
  }
}

/* ---- writing ---- */

/* Returns WL_ERR_IO if the environment variable WL_FAIL_IO requests a failure of this file
 * operation. */
static wl_status begin_step(const char *doing, const char *path) {
  if (!wl_fault_due(WL_FAULT_IO)) return WL_OK;
  return WL_FAIL(WL_ERR_IO, "cannot %s '%s': WL_FAIL_IO requested this failure", doing, path);
}

static wl_status append_slice(wl_atomic_file *file, const char *data, size_t bytes) {
  WL_TRY(begin_step("write", file->path));
  for (size_t at = 0; at < bytes;) {
    const ssize_t done = write(file->fd, data + at, bytes - at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return wl_os_fail("write", file->path, done < 0 ? errno : ENOSPC);
    at += (size_t)done;
  }
/* start to write these bytes to the disk now, so that the sync at the end takes less time */
#ifdef SYNC_FILE_RANGE_WRITE
  if (bytes == WL_ATOMIC_SLICE) (void)sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
#endif
  return WL_OK;
}

wl_status wl_atomic_append(wl_atomic_file *file, const void *data, size_t bytes) {
  for (size_t at = 0; at < bytes; at += WL_ATOMIC_SLICE)
    WL_TRY(append_slice(file, (const char *)data + at,
                        bytes - at < WL_ATOMIC_SLICE ? bytes - at : WL_ATOMIC_SLICE));
  return WL_OK;
}

/* Returns an error if `path` is a device or a pipe, because the rename would replace the device or
 * pipe by a file. */
static wl_status refuse_others(const char *path) {
  struct stat there;
  if (stat(path, &there) != 0 || S_ISREG(there.st_mode)) return WL_OK;
  return WL_FAIL(
      WL_ERR_CANNOT_CREATE,
      "cannot create '%s': the name exists and is not a regular file; choose another name", path);
}

/* Locks the new temporary file, so that no other process removes this file. Returns false if
 * another process has just removed the file. On a file system without locks, the function returns
 * true and the file stays unlocked. */
static bool lock_temporary(int fd) {
  struct stat now;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
  return fstat(fd, &now) != 0 || now.st_nlink > 0;
}

static int open_temporary(const char *path) {
  for (int tries = 0; tries < 100; tries++) {
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || lock_temporary(fd)) return fd;
    close(fd);
  }
  errno = EBUSY;
  return -1;
}

wl_status wl_atomic_begin(const char *path, wl_atomic_file *file) {
  char host[64] = "";
  *file = (wl_atomic_file){.path = path, .fd = -1};
  gethostname(host, sizeof host - 1);
  const int length = snprintf(file->temporary, sizeof file->temporary, "%s" TEMPORARY_MARK "%s-%ld",
                              path, host, (long)getpid());
  if (length < 0 || length >= WL_PATH_MAX)
    return WL_FAIL(WL_ERR_CONFIG, "the path '%s' is too long: choose an output folder with a "
                                  "shorter path",
                   path);
  WL_TRY(refuse_others(path));
  WL_TRY(begin_step("create", path));
  file->fd = open_temporary(file->temporary);
  return file->fd < 0 ? wl_os_fail("create", path, errno) : WL_OK;
}

/* Syncs the folder. The error EINVAL is ignored, because file systems that cannot sync folders
 * return this error. */
static wl_status sync_folder(const char *path) {
  char folder[WL_PATH_MAX];
  wl_path_folder(path, folder);
  const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return wl_os_fail("open the folder of", path, errno);
  const int error = fsync(fd) != 0 ? errno : 0;
  close(fd);
  return error == 0 || error == EINVAL ? WL_OK : wl_os_fail("sync the folder of", path, error);
}

/* Closes the temporary file and renames it to the final name. The call of close() can report that
 * an earlier write has failed. The lock is released just before the rename, because HDF5 in a
 * reading program cannot open a locked file. */
static wl_status rename_temporary(wl_atomic_file *file) {
  const int fd = file->fd, locked = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  file->fd = -1;
  wl_status status = close(fd) == 0 ? WL_OK : wl_os_fail("close", file->path, errno);
  if (locked >= 0) close(locked);
  if (status == WL_OK) status = begin_step("rename to", file->path);
  if (status == WL_OK && rename(file->temporary, file->path) != 0)
    status = wl_os_fail("rename to", file->path, errno);
  return status;
}

static wl_status commit(wl_atomic_file *file, wl_status (*check)(const char *)) {
  if (check) WL_TRY(begin_step("verify", file->path));
  if (check) WL_TRY(check(file->temporary));
  WL_TRY(begin_step("sync", file->path));
  if (fsync(file->fd) != 0) return wl_os_fail("sync", file->path, errno);
  WL_TRY(rename_temporary(file));
  return sync_folder(file->path);
}

wl_status wl_atomic_end(wl_atomic_file *file, wl_status status, wl_status (*check)(const char *)) {
  if (file->fd < 0) return status;
  if (status == WL_OK) status = commit(file, check);
  if (file->fd >= 0) close(file->fd);
  file->fd = -1;
  /* If the file was renamed, no file has the temporary name, and this call has no effect. */
  unlink(file->temporary);
  return status;
}

wl_status wl_atomic_write(const char *path, const void *data, size_t bytes) {
  wl_atomic_file file;
  wl_status status = wl_atomic_begin(path, &file);
  if (status == WL_OK) status = wl_atomic_append(&file, data, bytes);
  return wl_atomic_end(&file, status, NULL);
}

/* ---- folders ---- */

wl_status wl_make_folder(const char *path) {
  struct stat there;
  if (mkdir(path, 0777) != 0 && errno != EEXIST) return wl_os_fail("create the folder", path, errno);
  if (stat(path, &there) == 0 && S_ISDIR(there.st_mode)) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE,
                 "cannot create the folder '%s': a file with this name exists; choose another output folder",
                 path);
}

/* Lists, in any order, the names in `folder` that contain the string `part`. */
static wl_status list_folder(const char *folder, const char *part, wl_names *names) {
  wl_status status = WL_OK;
  *names = (wl_names){0};
  DIR *const handle = opendir(folder);
  if (!handle && errno == ENOENT) return WL_OK;
  if (!handle) return wl_os_fail("list", folder, errno);
  const struct dirent *entry;
  while (status == WL_OK && (entry = readdir(handle)))
    if (strstr(entry->d_name, part)) status = wl_names_add(names, entry->d_name);
  closedir(handle);
  if (status != WL_OK) wl_names_clear(names);
  return status;
}

/* Removes a temporary file unless a running writer has locked it. The file is opened for writing, because some network
 * file systems allow locks only on files that are open for writing. */
static void remove_stale(const char *path) {
  const int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) unlink(path);
  close(fd);
}

void wl_remove_temporaries(const char *folder) {
  wl_names names = {0};
  char path[WL_PATH_MAX];
  if (list_folder(folder, TEMPORARY_MARK, &names) != WL_OK) return;
  for (int i = 0; i < names.count; i++)
    if (wl_path_join(path, folder, names.at[i]) == WL_OK) remove_stale(path);
  wl_names_clear(&names);
}

wl_status wl_names_add(wl_names *names, const char *name) {
  WL_TRY(WL_GROW(names->at, names->count, names->room));
  names->at[names->count] = strdup(name);
  if (!names->at[names->count])
    return WL_FAIL(WL_ERR_OS, "out of memory: cannot store the name of entry %d of a folder", names->count);
  names->count++;
  return WL_OK;
}

void wl_names_clear(wl_names *names) {
  for (int i = 0; i < names->count; i++) free(names->at[i]);
  wl_free(names->at);
  *names = (wl_names){0};
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

void wl_names_sort(wl_names *names) {
  if (names->count > 1) qsort(names->at, (size_t)names->count, sizeof *names->at, compare_names);
}

bool wl_names_has(const wl_names *sorted, const char *name) {
  return sorted->count > 0 &&
         bsearch(&name, sorted->at, (size_t)sorted->count, sizeof *sorted->at, compare_names);
}

int64_t wl_numbered_name(const char *name, const char *prefix) {
  char again[64];
  const size_t length = strlen(prefix);
  if (strncmp(name, prefix, length) != 0) return -1;
  const long long number = strtoll(name + length, NULL, 10);
  snprintf(again, sizeof again, "%s%08lld.h5", prefix, number);
  return number >= 0 && strcmp(again, name) == 0 ? number : -1;
}

/* Compares the numbers in two names that have the same prefix. A number with more digits is larger
 * than a number with fewer digits. */
static int compare_numbers(const void *a, const void *b) {
  const size_t x = strlen(*(char *const *)a), y = strlen(*(char *const *)b);
  return x == y ? compare_names(a, b) : x < y ? -1 : 1;
}

wl_status wl_list_numbered(const char *folder, const char *prefix, wl_names *names) {
  int kept = 0;
  WL_TRY(list_folder(folder, prefix, names));
  for (int i = 0; i < names->count; i++)
    if (wl_numbered_name(names->at[i], prefix) >= 0) names->at[kept++] = names->at[i];
    else free(names->at[i]);
  names->count = kept;
  if (kept > 1) qsort(names->at, (size_t)kept, sizeof *names->at, compare_numbers);
  return WL_OK;
}

/* ---- reading ---- */

wl_status wl_open_to_read(const char *path, int *fd, uint64_t *bytes) {
  struct stat file = {0};
  /* without O_NONBLOCK, opening a pipe would wait for its writer */
  *fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (*fd < 0 && (errno == EACCES || errno == EPERM)) return wl_os_fail("read", path, errno);
  if (*fd < 0) return WL_FAIL(WL_ERR_NO_INPUT, "cannot read '%s': %s", path, strerror(errno));
  if (fstat(*fd, &file) != 0 || !S_ISREG(file.st_mode)) {
    close(*fd);
    *fd = -1;
    return WL_FAIL(WL_ERR_NO_INPUT, "cannot read '%s': it is not a regular file", path);
  }
  *bytes = (uint64_t)file.st_size;
  return WL_OK;
}

wl_status wl_read_at(int fd, const char *path, uint64_t offset, void *data, size_t bytes) {
  enum { MOST = 1 << 26 };
  for (size_t at = 0; at < bytes;) {
    const size_t left = bytes - at;
    const ssize_t got =
        pread(fd, (char *)data + at, left < MOST ? left : MOST, (off_t)(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return WL_FAIL(WL_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (got == 0) return WL_FAIL(WL_ERR_IO, "cannot read '%s': another program made the file "
                                            "shorter during the read; try again", path);
    at += (size_t)got;
  }
  return WL_OK;
}

wl_status wl_read_file(const char *path, char **data, size_t *bytes) {
  int fd = -1;
  uint64_t size = 0;
  *data = NULL;
  *bytes = 0;
  WL_TRY(wl_open_to_read(path, &fd, &size));
  *data = calloc(size + 1, 1);
  const wl_status status =
      *data
          ? wl_read_at(fd, path, 0, *data, size)
          : WL_FAIL(WL_ERR_OS, "out of memory: %zu bytes are needed to read '%s'", (size_t)size, path);
  close(fd);
  if (status == WL_OK) {
    *bytes = size;
    return WL_OK;
  }
  free(*data);
  *data = NULL;
  return status;
}
