/* spill.c - writes and reads rows of a sparse scratch file without a name. Row r begins at byte r *
 * row_bytes. */
#include "train/spill.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"

struct wl_spill {
  char folder[WL_PATH_MAX]; /* folder of the file, for error messages */
  int fd;
  int64_t rows;
  size_t row_bytes;
};

/* Creates a file with a unique name and unlinks it immediately. */
static wl_status make_file(wl_spill *s) {
  char path[WL_PATH_MAX];
  WL_TRY(wl_path_join(path, s->folder, "warploom-replay-XXXXXX"));
  s->fd = mkstemp(path);
  if (s->fd < 0)
    return WL_FAIL(errno == EACCES ? WL_ERR_PERMISSION : WL_ERR_CANNOT_CREATE,
                   "a scratch file cannot be created in the folder %s (replay.spill): %s", s->folder, strerror(errno));
  unlink(path);
  return WL_OK;
}

wl_status wl_spill_open(const char *folder, int64_t rows, size_t row_bytes, wl_spill **out) {
  wl_spill *s = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(s, 1));
  s->fd = -1;
  s->rows = rows;
  s->row_bytes = row_bytes;
  wl_status status = strlen(folder) < sizeof s->folder
                         ? WL_OK
                         : WL_FAIL(WL_ERR_CONFIG, "replay.spill: the path '%.200s...' is too long", folder);
  if (status == WL_OK) {
    memcpy(s->folder, folder, strlen(folder) + 1);
    status = make_file(s);
  }
  if (status != WL_OK) wl_spill_close(&s);
  *out = s;
  return status;
}

void wl_spill_close(wl_spill **spill) {
  wl_spill *s = *spill;
  if (!s) return;
  if (s->fd >= 0) close(s->fd);
  wl_free(s);
  *spill = NULL;
}

static wl_status fail(const wl_spill *s, const char *doing, int error) {
  char what[64];
  snprintf(what, sizeof what, "%s a scratch file in", doing);
  return wl_os_fail(what, s->folder, error);
}

wl_status wl_spill_write(wl_spill *s, int64_t row, const void *elements) {
  const char *const from = elements;
  WL_CHECK(row >= 0 && row < s->rows);
  for (size_t at = 0; at < s->row_bytes;) {
    const off_t offset = (off_t)row * (off_t)s->row_bytes + (off_t)at;
    const ssize_t done = pwrite(s->fd, from + at, s->row_bytes - at, offset);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return fail(s, "write", done < 0 ? errno : ENOSPC);
    at += (size_t)done;
  }
  return WL_OK;
}

wl_status wl_spill_read(wl_spill *s, int64_t row, void *elements) {
  char *const to = elements;
  WL_CHECK(row >= 0 && row < s->rows);
  for (size_t at = 0; at < s->row_bytes;) {
    const off_t offset = (off_t)row * (off_t)s->row_bytes + (off_t)at;
    const ssize_t done = pread(s->fd, to + at, s->row_bytes - at, offset);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return fail(s, "read", done < 0 ? errno : EIO);
    at += (size_t)done;
  }
  return WL_OK;
}
