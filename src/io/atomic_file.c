/* atomic_file.c - temporary, sync, check, rename, sync of the directory.
 *
 * A process killed at any point leaves `path` as it was, or whole and new, and at worst a stale
 * temporary, which the next writer removes. The temporary of a process that is still writing is locked:
 * a lock goes with its process, on whichever host that runs. */
#define _GNU_SOURCE
#include "io/atomic_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "io/aside.h"

#define TEMPORARY_MARK ".tmp-"

/* Bytes of one read call; from how many written ones on the disk is set to work at once. */
enum { PART = 1 << 26, START_FROM = 1 << 20 };

static atomic_llong steps_taken;

/* True when this step is the one that WL_FAIL_IO asks to fail. */
static bool is_to_fail(void) {
  const char *const wanted = getenv("WL_FAIL_IO");
  return wanted && atomic_fetch_add(&steps_taken, 1) + 1 == strtoll(wanted, NULL, 10);
}

/* ---- paths and errors ---- */

wl_status wl_join(char out[WL_PATH_MAX], const char *folder, const char *name) {
  const int length = snprintf(out, WL_PATH_MAX, "%s/%s", folder, name);
  if (length < 0 || length >= WL_PATH_MAX)
    return WL_FAIL(WL_ERR_CONFIG,
                   "the path '%s/%s' is longer than %d bytes: choose a shorter output folder",
                   folder, name, WL_PATH_MAX - 1);
  return WL_OK;
}

/* The folder part of a path, "." without one. */
static void folder_of(const char *path, char out[WL_PATH_MAX]) {
  const char *const slash = strrchr(path, '/');
  if (!slash) snprintf(out, WL_PATH_MAX, ".");
  else snprintf(out, WL_PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static wl_status full_disk(const char *doing, const char *path, int error) {
  char folder[WL_PATH_MAX];
  struct statvfs disk;
  folder_of(path, folder);
  if (statvfs(folder, &disk) != 0)
    return WL_FAIL(WL_ERR_IO, "cannot %s '%s': %s", doing, path, strerror(error));
  return WL_FAIL(
      WL_ERR_IO,
      "cannot %s '%s': %s; %llu bytes are free in '%s': free some, raise the quota or the file size "
      "limit, or choose another output folder",
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
                     "cannot %s '%s': %s; check the rights of the file and its folder", doing, path,
                     strerror(error));
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EEXIST:
      return WL_FAIL(WL_ERR_CANNOT_CREATE,
                     "cannot %s '%s': %s; check that its folder exists and the name is free", doing,
                     path, strerror(error));
    default: return WL_FAIL(WL_ERR_IO, "cannot %s '%s': %s", doing, path, strerror(error));
  }
}

/* ---- writing ---- */

static wl_status begin_step(const char *doing, const char *path) {
  if (!is_to_fail()) return WL_OK;
  return WL_FAIL(WL_ERR_IO, "cannot %s '%s': failure asked for by WL_FAIL_IO", doing, path);
}

/* Asks the system to start writing what it holds of these bytes; nothing depends on it. */
static void start_writing(int fd, uint64_t offset, size_t bytes) {
#ifdef SYNC_FILE_RANGE_WRITE
  if (bytes >= START_FROM)
    (void)sync_file_range(fd, (off64_t)offset, (off64_t)bytes, SYNC_FILE_RANGE_WRITE);
#else
  (void)fd, (void)offset, (void)bytes;
#endif
}

/* At most a slice. */
static wl_status put_slice(const wl_atomic_file *file, uint64_t offset, const char *data,
                           size_t bytes) {
  WL_TRY(begin_step("write", file->path));
  for (size_t at = 0; at < bytes;) {
    const ssize_t done = pwrite(file->fd, data + at, bytes - at, (off_t)(offset + at));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return wl_os_fail("write", file->path, errno);
    if (done == 0) return wl_os_fail("write", file->path, ENOSPC);
    at += (size_t)done;
  }
  start_writing(file->fd, offset, bytes);
  return WL_OK;
}

wl_status wl_atomic_put(const wl_atomic_file *file, uint64_t offset, const void *data,
                        size_t bytes) {
  for (size_t at = 0; at < bytes; at += WL_ATOMIC_SLICE) {
    const size_t left = bytes - at;
    WL_TRY(put_slice(file, offset + at, (const char *)data + at,
                     left < WL_ATOMIC_SLICE ? left : WL_ATOMIC_SLICE));
  }
  return WL_OK;
}

wl_status wl_atomic_get(const wl_atomic_file *file, uint64_t offset, void *data, size_t bytes) {
  for (size_t at = 0; at < bytes;) {
    const ssize_t got = pread(file->fd, (char *)data + at, bytes - at, (off_t)(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return wl_os_fail("read back", file->path, errno);
    if (got == 0)
      return WL_FAIL(WL_ERR_IO, "'%s' is shorter than what was written to it", file->path);
    at += (size_t)got;
  }
  return WL_OK;
}

/* The rename would put a file in the place of a device or a pipe. */
static wl_status spare_others(const char *path) {
  struct stat there;
  if (stat(path, &there) != 0 || S_ISREG(there.st_mode)) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE,
                 "cannot create '%s': what has that name is no regular file; choose another", path);
}

/* Locks the new temporary against removal; false when somebody has just removed it. On file systems without
 * locks there is none. */
static bool hold(int fd) {
  struct stat now;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
  return fstat(fd, &now) != 0 || now.st_nlink > 0;
}

/* Creates and locks the temporary. */
static int open_temporary(const char *path) {
  enum { TRIES = 100 };
  int fd = -1;
  for (int i = 0; i < TRIES; i++) {
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || hold(fd)) return fd;
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
  if (length < 0 || length >= WL_PATH_MAX) {
    file->temporary[0] = '\0';
    return WL_FAIL(WL_ERR_CONFIG, "the path '%s' is too long: choose a shorter output folder",
                   path);
  }
  WL_TRY(spare_others(path));
  WL_TRY(begin_step("create", path));
  file->fd = open_temporary(file->temporary);
  return file->fd < 0 ? wl_os_fail("create", path, errno) : WL_OK;
}

void wl_atomic_abandon(wl_atomic_file *file) {
  if (file->fd >= 0) close(file->fd);
  if (file->temporary[0] != '\0') unlink(file->temporary);
}

/* Some file systems have no sync of directories (EINVAL): nothing more can be done there. */
static wl_status sync_folder(const char *path) {
  char folder[WL_PATH_MAX];
  folder_of(path, folder);
  const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return wl_os_fail("open the folder of", path, errno);
  const int error = fsync(fd) != 0 ? errno : 0;
  close(fd);
  return error == 0 || error == EINVAL ? WL_OK : wl_os_fail("sync the folder of", path, error);
}

static wl_status rename_to(const char *temporary, const char *path) {
  WL_TRY(begin_step("rename to", path));
  return rename(temporary, path) == 0 ? WL_OK : wl_os_fail("rename to", path, errno);
}

/* What is to be checked, for the thread that does so. */
typedef struct checking {
  const wl_atomic_file *file;
  wl_file_check check;
  void *context;
} checking;

static wl_status check_file(void *data) {
  const checking *const c = data;
  return c->check(c->file->temporary, c->context);
}

static wl_status sync_file(const wl_atomic_file *file) {
  WL_TRY(begin_step("sync", file->path));
  return fsync(file->fd) == 0 ? WL_OK : wl_os_fail("sync", file->path, errno);
}

/* The disk takes its time over the data; meanwhile they are read back. */
static wl_status sync_and_check(const wl_atomic_file *file, wl_file_check check, void *context) {
  if (!check) return sync_file(file);
  checking c = {file, check, context};
  wl_aside aside = {0};
  WL_TRY(begin_step("verify", file->path));
  wl_aside_start(&aside, check_file, &c);
  const wl_status synced = sync_file(file), checked = wl_aside_wait(&aside);
  return synced != WL_OK ? synced : checked;
}

/* Closes the temporary, which may tell of a failed write, and gives it its name. The lock goes at the last
 * moment before: HDF5 in a reader's program would not open a file that is locked. */
static wl_status finish(wl_atomic_file *file) {
  const int fd = file->fd, locked = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  file->fd = -1;
  wl_status status = close(fd) == 0 ? WL_OK : wl_os_fail("close", file->path, errno);
  if (locked >= 0) close(locked);
  if (status == WL_OK) status = rename_to(file->temporary, file->path);
  if (status == WL_OK) file->temporary[0] = '\0';
  return status;
}

wl_status wl_atomic_commit(wl_atomic_file *file, wl_file_check check, void *context) {
  WL_TRY(sync_and_check(file, check, context));
  WL_TRY(finish(file));
  return sync_folder(file->path);
}

static wl_status write_at_once(const char *path, const void *data, size_t bytes, bool durable) {
  wl_atomic_file file;
  wl_status status = wl_atomic_begin(path, &file);
  if (status == WL_OK) status = wl_atomic_put(&file, 0, data, bytes);
  if (status == WL_OK) status = durable ? wl_atomic_commit(&file, NULL, NULL) : finish(&file);
  if (status != WL_OK) wl_atomic_abandon(&file);
  return status;
}

wl_status wl_atomic_write(const char *path, const void *data, size_t bytes) {
  return write_at_once(path, data, bytes, true);
}

wl_status wl_atomic_replace(const char *path, const void *data, size_t bytes) {
  return write_at_once(path, data, bytes, false);
}

/* ---- folders ---- */

bool wl_is_temporary(const char *name) { return strstr(name, TEMPORARY_MARK) != NULL; }

/* Removes a temporary unless its writer is alive and holds it. */
static void remove_stale(const char *path) {
  const int fd =
      open(path, O_RDWR | O_CLOEXEC); /* some network file systems lock only for writers */
  if (fd < 0) return;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) unlink(path);
  close(fd);
}

void wl_remove_temporaries(const char *folder) {
  char **names = NULL, path[WL_PATH_MAX];
  int count = 0;
  if (wl_list_folder(folder, wl_is_temporary, &names, &count) != WL_OK) return;
  for (int i = 0; i < count; i++)
    if (wl_join(path, folder, names[i]) == WL_OK) remove_stale(path);
  wl_free_names(names, count);
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

void wl_free_names(char **names, int count) {
  for (int i = 0; i < count; i++) free(names[i]);
  free(names);
}

static wl_status collect_names(DIR *folder, bool (*wanted)(const char *name), char ***names,
                               int *count) {
  int room = 0;
  for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
    if (wanted && !wanted(entry->d_name)) continue;
    if (*count == room) {
      room = 2 * room + 16;
      char **const more = realloc(*names, (size_t)room * sizeof **names);
      if (!more)
        return WL_FAIL(WL_ERR_OS, "out of memory while listing a folder of %d files", *count);
      *names = more;
    }
    char *const copy = strdup(entry->d_name);
    if (!copy)
      return WL_FAIL(WL_ERR_OS, "out of memory while listing a folder of %d files", *count);
    (*names)[(*count)++] = copy;
  }
  return WL_OK;
}

wl_status wl_list_folder(const char *folder, bool (*wanted)(const char *name), char ***names,
                         int *count) {
  *names = NULL;
  *count = 0;
  DIR *const handle = opendir(folder);
  if (!handle && errno == ENOENT) return WL_OK;
  if (!handle) return wl_os_fail("list", folder, errno);
  const wl_status status = collect_names(handle, wanted, names, count);
  closedir(handle);
  if (status != WL_OK) {
    wl_free_names(*names, *count);
    *names = NULL;
    *count = 0;
    return status;
  }
  if (*count > 1) qsort(*names, (size_t)*count, sizeof **names, compare_names);
  return WL_OK;
}

/* ---- reading ---- */

static wl_status read_all(int fd, const char *path, char *data, size_t bytes) {
  for (size_t at = 0; at < bytes;) {
    const size_t left = bytes - at;
    const ssize_t got = read(fd, data + at, left < PART ? left : PART);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return WL_FAIL(WL_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (got == 0) return WL_FAIL(WL_ERR_IO, "'%s' became shorter while it was read", path);
    at += (size_t)got;
  }
  return WL_OK;
}

static wl_status read_open_file(int fd, const char *path, char **data, size_t *bytes) {
  struct stat file;
  if (fstat(fd, &file) != 0)
    return WL_FAIL(WL_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
  if (!S_ISREG(file.st_mode)) return WL_FAIL(WL_ERR_NO_INPUT, "'%s' is not a regular file", path);
  *bytes = (size_t)file.st_size;
  *data = malloc(*bytes + 1);
  if (!*data)
    return WL_FAIL(WL_ERR_OS, "out of memory: %zu bytes wanted to read '%s'", *bytes, path);
  (*data)[*bytes] = '\0';
  const wl_status status = read_all(fd, path, *data, *bytes);
  if (status == WL_OK) return WL_OK;
  free(*data);
  *data = NULL;
  return status;
}

wl_status wl_read_whole(const char *path, char **data, size_t *bytes) {
  *data = NULL;
  *bytes = 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && (errno == EACCES || errno == EPERM)) return wl_os_fail("read", path, errno);
  if (fd < 0) return WL_FAIL(WL_ERR_NO_INPUT, "cannot read '%s': %s", path, strerror(errno));
  const wl_status status = read_open_file(fd, path, data, bytes);
  close(fd);
  return status;
}
