/* byte_file.c - reading a data file from the front, gzipped or plain (zlib reads both). */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "task/dataset_impl.h"

/* Deflate cannot shrink by more than this factor: bounds what a damaged header may promise. */
enum { DEFLATE_LIMIT = 1032, READ_CHUNK = 1 << 24 };

static wl_status make_path(const char *directory, const char *name, const char *suffix,
                           char path[WL_DATA_PATH]) {
  const int length = snprintf(path, WL_DATA_PATH, "%s/%s%s", directory, name, suffix);
  if (length < 0 || length >= WL_DATA_PATH)
    return WL_FAIL(WL_ERR_NO_INPUT, "%.200s...: the path is too long", directory);
  return WL_OK;
}

static bool readable_path(const char *directory, const char *name, char path[WL_DATA_PATH],
                          struct stat *info) {
  static const char *const suffixes[] = {"", ".gz"};
  for (int i = 0; i < 2; i++)
    if (make_path(directory, name, suffixes[i], path) == WL_OK && stat(path, info) == 0)
      return true;
  return false;
}

bool wl_byte_file_exists(const char *directory, const char *name) {
  char path[WL_DATA_PATH];
  struct stat info;
  return readable_path(directory, name, path, &info);
}

wl_status wl_byte_file_open(const char *directory, const char *name, wl_byte_file *out) {
  memset(out, 0, sizeof *out);
  struct stat info;
  if (!readable_path(directory, name, out->path, &info))
    return WL_FAIL(WL_ERR_NO_INPUT, "%s: neither %s nor %s.gz is there", directory, name, name);
  gzFile file = gzopen(out->path, "rb");
  if (!file) {
    const wl_status code = errno == EACCES   ? WL_ERR_PERMISSION
                           : errno == ENOMEM ? WL_ERR_OS
                                             : WL_ERR_NO_INPUT;
    return WL_FAIL(code, "%s: cannot be opened: %s", out->path, strerror(errno));
  }
  gzbuffer(file, 1 << 17);
  out->handle = file;
  out->limit = gzdirect(file) ? (int64_t)info.st_size : (int64_t)info.st_size * DEFLATE_LIMIT;
  return WL_OK;
}

void wl_byte_file_close(wl_byte_file *file) {
  if (file->handle) gzclose(file->handle);
  file->handle = NULL;
}

/* The failure behind a gzread that did not deliver. */
static wl_status read_failure(const wl_byte_file *file) {
  int code = Z_OK;
  const char *text = gzerror(file->handle, &code);
  if (code == Z_ERRNO)
    return WL_FAIL(WL_ERR_IO, "%s: byte %lld: reading failed: %s", file->path,
                   (long long)file->offset, strerror(errno));
  return WL_FAIL(WL_ERR_DATA,
                 "%s: byte %lld: the compressed data is damaged (%s); fetch the file again",
                 file->path, (long long)file->offset, text);
}

wl_status wl_byte_file_read(wl_byte_file *file, uint8_t *to, int64_t count, const char *what) {
  for (int64_t done = 0; done < count;) {
    const int64_t left = count - done;
    const int got =
        gzread(file->handle, to + done, (unsigned)(left < READ_CHUNK ? left : READ_CHUNK));
    if (got < 0) return read_failure(file);
    if (got == 0)
      return WL_FAIL(
          WL_ERR_DATA,
          "%s: truncated: ends at byte %lld, expected %lld more of %s; fetch the file again",
          file->path, (long long)file->offset, (long long)left, what);
    done += got;
    file->offset += got;
  }
  return WL_OK;
}

wl_status wl_byte_file_expect_end(wl_byte_file *file) {
  uint8_t extra;
  const int got = gzread(file->handle, &extra, 1);
  if (got < 0) return read_failure(file);
  if (got > 0)
    return WL_FAIL(WL_ERR_DATA, "%s: byte %lld: expected the end of the file, but there is more",
                   file->path, (long long)file->offset);
  return WL_OK;
}
