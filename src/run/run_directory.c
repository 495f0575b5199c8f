/* run_directory.c - creates and locks the folder of a run, moves the files of an earlier run, and writes metrics as
 * lines of JSON. */
#define _GNU_SOURCE
#include "run/run_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/log.h"
#include "base/path.h"

struct wl_run_directory {
  char path[WL_PATH_MAX];
  int lock; /* file descriptor of RUN/lock; -1 if this file is not open */
};

/* The files of a run, in the order in which a new run moves them to RUN/previous-N. Checkpoints are
 * moved first. If the move is interrupted, a resumed run then finds no old checkpoints among the
 * files of the new run. */
static const char *const parts[] = {
    "checkpoints", "trajectory.h5", "trajectory",    "metrics.jsonl",
    "config.yaml", "optimizer.h5",  "evaluation.h5", NULL};

/* ---- making ---- */

/* Creates a folder and its parents, as mkdir -p does. */
static wl_status make_folders(const char *path) {
  char part[WL_PATH_MAX];
  if (path[0] == '\0' || strlen(path) >= WL_PATH_MAX)
    return WL_FAIL(WL_ERR_CONFIG, "the output folder's name is empty or longer than %d bytes",
                   WL_PATH_MAX - 1);
  for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
    WL_TRY(wl_make_folder(part));
  }
  return wl_make_folder(path);
}

/* ---- locking ---- */

static wl_status say_held(const char *path, int fd) {
  char holder[128] = "";
  const ssize_t got = pread(fd, holder, sizeof holder - 1, 0);
  holder[got > 0 ? strcspn(holder, "\n") : 0] = '\0';
  return WL_FAIL(
      WL_ERR_CANNOT_CREATE,
      "'%s' is in use by another training (%s): wait for it, or choose another output folder", path,
      holder[0] ? holder : "unknown process");
}

static void sign_lock(int fd) {
  char host[64] = "", text[128];
  gethostname(host, sizeof host - 1);
  const int length = snprintf(text, sizeof text, "process %ld on %s\n", (long)getpid(), host);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)length, 0) != length)
    wl_log_warning("cannot write the owner into the lock file: %s", strerror(errno));
}

/* Returns true if `error`, a value of errno, means that the file system has no locks. The program
 * then cannot detect a second training in the same folder. */
static bool locks_are_unsupported(int error) {
  return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP || error == EINVAL;
}

static wl_status lock(wl_run_directory *d) {
  char path[WL_PATH_MAX];
  WL_TRY(wl_path_join(path, d->path, "lock"));
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return wl_os_fail("create", path, errno);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (!locks_are_unsupported(error)) {
      const wl_status status =
          error == EWOULDBLOCK ? say_held(d->path, fd) : wl_os_fail("lock", path, error);
      close(fd);
      return status;
    }
    wl_log_warning(
        "'%s' is on a file system without locks (%s): run only one training in it at a time",
        d->path, strerror(error));
  }
  sign_lock(fd);
  d->lock = fd;
  return WL_OK;
}

/* ---- moving an earlier run ---- */

/* Creates the first folder RUN/previous-N that does not exist yet. */
static wl_status make_previous(const wl_run_directory *d, char path[WL_PATH_MAX]) {
  for (int n = 1; n < 100000; n++) {
    char name[32];
    snprintf(name, sizeof name, "previous-%d", n);
    WL_TRY(wl_path_join(path, d->path, name));
    if (mkdir(path, 0777) == 0) return WL_OK;
    if (errno != EEXIST) return wl_os_fail("create the folder", path, errno);
  }
  return WL_FAIL(WL_ERR_CANNOT_CREATE,
                 "'%s' contains too many earlier runs: choose another output folder", d->path);
}

static wl_status rename_earlier(const wl_run_directory *d) {
  char previous[WL_PATH_MAX] = "", from[WL_PATH_MAX], to[WL_PATH_MAX];
  for (int i = 0; parts[i]; i++) {
    if (!wl_is_there(d->path, parts[i])) continue;
    if (previous[0] == '\0') WL_TRY(make_previous(d, previous));
    WL_TRY(wl_path_join(from, d->path, parts[i]));
    WL_TRY(wl_path_join(to, previous, parts[i]));
    if (rename(from, to) != 0) return wl_os_fail("move aside", from, errno);
  }
  if (previous[0] != '\0')
    wl_log_info("'%s' contained a run, which was moved to '%s'; use --resume to continue a run instead",
                d->path, previous);
  return WL_OK;
}

/* ---- opening and closing a run directory ---- */

static wl_status open_directory(wl_run_directory *d, bool resume) {
  WL_TRY(make_folders(d->path));
  WL_TRY(lock(d));
  wl_remove_temporaries(d->path);
  return resume ? WL_OK : rename_earlier(d);
}

wl_status wl_run_directory_open(const char *path, bool resume, wl_run_directory **out) {
  wl_run_directory *d = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(d, 1));
  d->lock = -1;
  snprintf(d->path, sizeof d->path, "%s", path);
  const wl_status status = strlen(path) < WL_PATH_MAX
                               ? open_directory(d, resume)
                               : WL_FAIL(WL_ERR_CONFIG, "the output folder's name is too long");
  if (status != WL_OK) wl_run_directory_close(&d);
  *out = d;
  return status;
}

void wl_run_directory_close(wl_run_directory **directory) {
  if (!*directory) return;
  if ((*directory)->lock >= 0) close((*directory)->lock);
  wl_free(*directory);
  *directory = NULL;
}

/* ---- text files ---- */

wl_status wl_run_directory_write(wl_run_directory *d, const char *name, const char *text) {
  char path[WL_PATH_MAX];
  WL_TRY(wl_path_join(path, d->path, name));
  return wl_atomic_write(path, text, strlen(text));
}

/* Appends a line and its newline with one write. If only a part of the line was written, removes this part from the
 * file. */
static wl_status append_line(int fd, const char *path, const char *line) {
  const size_t length = strlen(line);
  const off_t before = lseek(fd, 0, SEEK_END);
  char *const text = malloc(length + 2);
  if (!text) return WL_FAIL(WL_ERR_OS, "out of memory for a line of '%s'", path);
  memcpy(text, line, length);
  memcpy(text + length, "\n", 2);
  const ssize_t done = write(fd, text, length + 1);
  const int error = done < 0 ? errno : ENOSPC;
  free(text);
  if (done == (ssize_t)(length + 1)) return WL_OK;
  if (done > 0 && ftruncate(fd, before) != 0) wl_log_warning("'%s' ends in an incomplete line", path);
  return wl_os_fail("append to", path, error);
}

wl_status wl_run_directory_append_metrics(wl_run_directory *d, const char *line) {
  char path[WL_PATH_MAX];
  WL_TRY(wl_path_join(path, d->path, "metrics.jsonl"));
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return wl_os_fail("append to", path, errno);
  const wl_status status = append_line(fd, path, line);
  close(fd);
  return status;
}

/* Returns true if a line is complete and its meta-step is not after `meta_step`. */
static bool is_kept(const char *line, size_t length, int64_t meta_step) {
  json_t *const object = json_loadb(line, length, 0, NULL);
  const json_t *const step = json_object_get(object, "meta_step");
  const bool kept = json_is_integer(step) && json_integer_value(step) <= meta_step;
  json_decref(object);
  return kept;
}

/* Moves the complete lines up to `meta_step` to the start of `text`, and returns the total length
 * of these lines in bytes. */
static size_t keep_lines(char *text, size_t bytes, int64_t meta_step) {
  size_t kept = 0;
  for (size_t at = 0; at < bytes;) {
    const char *const end = memchr(text + at, '\n', bytes - at);
    if (!end) break; /* the last line is incomplete */
    const size_t length = (size_t)(end - (text + at)) + 1;
    if (is_kept(text + at, length - 1, meta_step)) {
      memmove(text + kept, text + at, length);
      kept += length;
    }
    at += length;
  }
  return kept;
}

wl_status wl_run_directory_trim_metrics(wl_run_directory *d, int64_t meta_step) {
  char path[WL_PATH_MAX], *text = NULL;
  size_t bytes = 0;
  WL_TRY(wl_path_join(path, d->path, "metrics.jsonl"));
  const wl_status status = wl_read_file(path, &text, &bytes);
  if (status == WL_ERR_NO_INPUT) return WL_OK;
  WL_TRY(status);
  const size_t kept = keep_lines(text, bytes, meta_step);
  const wl_status written = kept == bytes ? WL_OK : wl_atomic_write(path, text, kept);
  free(text);
  return written;
}
