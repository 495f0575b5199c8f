/* byte_file.c - reads the bytes of a data file in order. The file may be compressed with gzip.
 *
 * The code calls zlib's function inflate directly. The function gzread is not used, because it
 * would accept a truncated file. For gzread, the end of the file is the end of the compressed data,
 * even if the checksum at the end is missing. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "task/dataset_impl.h"

/* DEFLATE_LIMIT is the largest compression factor of Deflate. The code rejects a header whose sizes
 * exceed DEFLATE_LIMIT times the size of the compressed file. */
enum { DEFLATE_LIMIT = 1032, BUFFER = 1 << 17, READ_MOST = 1 << 30, GZIP_WINDOW = 15 + 16 };

typedef struct byte_source {
  FILE *file;
  bool packed;   /* true: the file is compressed with gzip */
  bool complete; /* true: the last gzip member was read to its end, and its checksum is correct */
  z_stream stream;
  uint8_t buffer[BUFFER];
} byte_source;

static wl_status make_path(const char *directory, const char *name, const char *suffix,
                           char path[WL_DATA_PATH]) {
  const int length = snprintf(path, WL_DATA_PATH, "%s/%s%s", directory, name, suffix);
  if (length < 0 || length >= WL_DATA_PATH)
    return WL_FAIL(WL_ERR_NO_INPUT, "the path '%.200s...' is too long; use a shorter path", directory);
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

/* Returns true if the file starts with the header of a gzip member. */
static bool starts_packed(FILE *file) {
  uint8_t magic[2] = {0};
  const bool packed = fread(magic, 1, 2, file) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
  rewind(file);
  return packed;
}

static wl_status open_failure(const char *path, int error) {
  const wl_status code = error == EACCES   ? WL_ERR_PERMISSION
                         : error == ENOMEM ? WL_ERR_OS
                                           : WL_ERR_NO_INPUT;
  return WL_FAIL(code, "%s: the file cannot be opened: %s", path, strerror(error));
}

static wl_status open_source(wl_byte_file *out) {
  byte_source *source = NULL;
  WL_TRY(WL_NEW(source, 1));
  out->handle = source;
  source->file = fopen(out->path, "rb");
  if (!source->file) return open_failure(out->path, errno);
  source->packed = starts_packed(source->file);
  if (source->packed && inflateInit2(&source->stream, GZIP_WINDOW) != Z_OK)
    return WL_FAIL(WL_ERR_OS, "%s: out of memory: the file cannot be decompressed", out->path);
  return WL_OK;
}

wl_status wl_byte_file_open(const char *directory, const char *name, wl_byte_file *out) {
  memset(out, 0, sizeof *out);
  struct stat info;
  if (!readable_path(directory, name, out->path, &info))
    return WL_FAIL(WL_ERR_NO_INPUT, "%s: this directory has neither %s nor %s.gz", directory, name, name);
  if (!S_ISREG(info.st_mode)) /* reading a pipe would block until its writer sends data */
    return WL_FAIL(WL_ERR_NO_INPUT, "%s: this is not a regular file", out->path);
  const wl_status status = open_source(out);
  if (status != WL_OK) {
    wl_byte_file_close(out);
    return status;
  }
  const bool packed = ((byte_source *)out->handle)->packed;
  out->limit = (int64_t)info.st_size * (packed ? DEFLATE_LIMIT : 1);
  return WL_OK;
}

void wl_byte_file_close(wl_byte_file *file) {
  byte_source *const source = file->handle;
  if (!source) return;
  if (source->file) fclose(source->file);
  if (source->packed) inflateEnd(&source->stream);
  wl_free(source);
  file->handle = NULL;
}

static wl_status damaged(const wl_byte_file *file, const char *what) {
  return WL_FAIL(WL_ERR_DATA,
                 "%s: byte %lld: the compressed data is damaged (%s); fetch the file again",
                 file->path, (long long)file->offset, what ? what : "zlib has no description of "
                                                                    "the error");
}

/* Reads at most `count` bytes of the file. *got is the number of bytes that were read, and is 0 at
 * the end of the file. */
static wl_status read_plain(const wl_byte_file *file, uint8_t *to, size_t count, size_t *got) {
  byte_source *const source = file->handle;
  *got = fread(to, 1, count, source->file);
  if (*got == 0 && ferror(source->file))
    return WL_FAIL(WL_ERR_IO, "%s: the file cannot be read at byte %lld: %s", file->path,
                   (long long)file->offset, strerror(errno));
  return WL_OK;
}

/* Decompresses the next `count` bytes. The bytes may be in several gzip members. *got is less than
 * `count` only at the end of the file. */
static wl_status read_packed(const wl_byte_file *file, uint8_t *to, size_t count, size_t *got) {
  byte_source *const source = file->handle;
  z_stream *const stream = &source->stream;
  stream->next_out = to;
  stream->avail_out = (unsigned)count;
  while (stream->avail_out > 0) {
    if (stream->avail_in == 0) {
      size_t bytes = 0;
      WL_TRY(read_plain(file, source->buffer, BUFFER, &bytes));
      if (bytes == 0) break;
      stream->next_in = source->buffer;
      stream->avail_in = (unsigned)bytes;
    }
    if (source->complete && inflateReset(stream) != Z_OK) return damaged(file, stream->msg);
    const int code = inflate(stream, Z_NO_FLUSH);
    source->complete = code == Z_STREAM_END;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      return damaged(file, stream->msg);
  }
  *got = count - stream->avail_out;
  return WL_OK;
}

static wl_status read_some(const wl_byte_file *file, uint8_t *to, size_t count, size_t *got) {
  const byte_source *const source = file->handle;
  return (source->packed ? read_packed : read_plain)(file, to, count, got);
}

wl_status wl_byte_file_read(wl_byte_file *file, uint8_t *to, int64_t count, const char *what) {
  for (int64_t done = 0; done < count;) {
    const int64_t left = count - done;
    size_t got = 0;
    WL_TRY(read_some(file, to + done, (size_t)(left < READ_MOST ? left : READ_MOST), &got));
    if (got == 0)
      return WL_FAIL(
          WL_ERR_DATA,
          "%s: the file is truncated: it ends at byte %lld, but needs %lld more bytes of %s; fetch "
          "the file again",
          file->path, (long long)file->offset, (long long)left, what);
    done += (int64_t)got;
    file->offset += (int64_t)got;
  }
  return WL_OK;
}

wl_status wl_byte_file_expect_end(wl_byte_file *file) {
  const byte_source *const source = file->handle;
  uint8_t extra;
  size_t got = 0;
  WL_TRY(read_some(file, &extra, 1, &got));
  if (got > 0)
    return WL_FAIL(WL_ERR_DATA,
                   "%s: byte %lld: expected the end of the file, but the file has more bytes; "
                   "fetch the file again",
                   file->path, (long long)file->offset);
  if (source->packed && !source->complete)
    return damaged(file, "the file ends before its checksum");
  return WL_OK;
}
