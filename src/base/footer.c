/* footer.c - writes and checks the footer of a file. The header footer.h describes the format of
 * the footer. */
#include "base/footer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HEADING "\nwarploom footer\n"
#define HEX "%016" PRIx64

/* The last line of the footer consists of "end ", four numbers and a newline. END_COVERED is the
 * number of bytes of this line before its last number. The last number is the hash of the footer's
 * text before that number. A file is read in pieces of BUFFER bytes, which fit in the second-level
 * cache. */
enum { END_COVERED = 4 + 3 * 17, END_BYTES = END_COVERED + 17, BUFFER = 1 << 17 };
_Static_assert(sizeof HEADING - 1 + END_BYTES == WL_FOOTER_BYTES, "WL_FOOTER_BYTES must be the "
                                                                  "length of the heading and the "
                                                                  "last line");

/* The four numbers in the last line of the footer. */
typedef struct end_line {
  uint64_t image_bytes, image_hash, text_bytes, text_hash;
} end_line;

static void print_end(char out[END_BYTES + 1], const end_line *end) {
  snprintf(out, END_BYTES + 1, "end " HEX " " HEX " " HEX " " HEX "\n", end->image_bytes,
           end->image_hash, end->text_bytes, end->text_hash);
}

void wl_footer_make(const char *image, uint64_t bytes, char footer[WL_FOOTER_BYTES + 1]) {
  enum { TEXT = sizeof HEADING - 1 };
  end_line end = {bytes, XXH3_64bits(image, bytes), TEXT, 0};
  memcpy(footer, HEADING, TEXT);
  print_end(footer + TEXT, &end);
  end.text_hash = XXH3_64bits(footer, TEXT + END_COVERED);
  print_end(footer + TEXT, &end);
}

/* ---- checking ---- */

static wl_status damaged(const char *path, const char *what) {
  return WL_FAIL(WL_ERR_DATA, "'%s' is damaged: %s; use an older file or write this file again", path,
                 what);
}

/* Computes the XXH3 hash of the bytes of the file from `offset` to `offset + bytes - 1`. */
static wl_status hash_range(int fd, const char *path, uint64_t offset, uint64_t bytes,
                            uint64_t *hash) {
  XXH3_state_t *const state = XXH3_createState();
  char *const buffer = malloc(bytes < BUFFER ? (size_t)bytes + 1 : BUFFER);
  wl_status status =
      state && buffer ? WL_OK : WL_FAIL(WL_ERR_OS, "out of memory: cannot check '%s'", path);
  if (status == WL_OK) XXH3_64bits_reset(state);
  for (uint64_t at = 0; status == WL_OK && at < bytes; at += BUFFER) {
    const size_t part = bytes - at < BUFFER ? (size_t)(bytes - at) : BUFFER;
    status = wl_read_at(fd, path, offset + at, buffer, part);
    if (status == WL_OK) XXH3_64bits_update(state, buffer, part);
  }
  if (status == WL_OK) *hash = XXH3_64bits_digest(state);
  free(buffer);
  XXH3_freeState(state);
  return status;
}

static wl_status read_end(int fd, const char *path, uint64_t size, end_line *end) {
  char line[END_BYTES + 1] = "", again[END_BYTES + 1] = "";
  if (size < END_BYTES)
    return damaged(path,
                   "the file is too short: the file was not written completely, or is not a "
                   "Warploom file");
  WL_TRY(wl_read_at(fd, path, size - END_BYTES, line, END_BYTES));
  if (sscanf(line, "end %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64, &end->image_bytes,
             &end->image_hash, &end->text_bytes, &end->text_hash) == 4)
    print_end(again, end);
  if (memcmp(line, again, END_BYTES) != 0)
    return damaged(path,
                   "the file does not end with a footer: the file was truncated or changed by "
                   "another program, or is not a Warploom file");
  if (end->image_bytes > size || end->text_bytes > size ||
      end->image_bytes + end->text_bytes + END_BYTES != size)
    return damaged(path, "the length of the file differs from the length in the footer");
  return WL_OK;
}

static wl_status check_open_file(int fd, const char *path, uint64_t size) {
  end_line end;
  uint64_t text = 0, image = 0;
  WL_TRY(read_end(fd, path, size, &end));
  WL_TRY(hash_range(fd, path, end.image_bytes, end.text_bytes + END_COVERED, &text));
  if (text != end.text_hash) return damaged(path, "the footer does not match the hash in its last "
                                                  "line");
  WL_TRY(hash_range(fd, path, 0, end.image_bytes, &image));
  return image == end.image_hash ? WL_OK : damaged(path, "the content does not match the hash in "
                                                         "the footer");
}

wl_status wl_footer_check(const char *path) {
  int fd = -1;
  uint64_t bytes = 0;
  WL_TRY(wl_open_to_read(path, &fd, &bytes));
  const wl_status status = check_open_file(fd, path, bytes);
  close(fd);
  return status;
}
