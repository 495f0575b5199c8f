/* seal.c - makes and checks the last lines of a file (seal.h has their form). */
#include "io/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HEADING "\nwarploom seal 1\n"

/* "end " and three numbers, then the last number and a newline. */
enum {
  HEX = 16,
  END_COVERED = 4 + 3 * (HEX + 1),
  END_BYTES = END_COVERED + HEX + 1,
  BUFFER = 1 << 17, /* stays in the second-level cache */
  NAMES = 1024
};

/* The numbers of the end line. */
typedef struct seal_end {
  uint64_t body_bytes, body_hash, lines_bytes, lines_hash;
} seal_end;

static void print_end(char out[END_BYTES + 1], const seal_end *end) {
  snprintf(out, END_BYTES + 1, "end %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n",
           end->body_bytes, end->body_hash, end->lines_bytes, end->lines_hash);
}

/* ---- making ---- */

static void print_lines(FILE *out, const wl_stretch *stretches, int count) {
  fputs(HEADING, out);
  for (int i = 0; i < count; i++)
    fprintf(out, "%" PRIu64 " %" PRIu64 " %016" PRIx64 " %s\n", stretches[i].offset,
            stretches[i].bytes, stretches[i].hash, stretches[i].name);
}

wl_status wl_seal_make(uint64_t body_bytes, uint64_t body_hash, const wl_stretch *stretches,
                       int count, char **text, size_t *text_bytes) {
  FILE *const out = open_memstream(text, text_bytes);
  if (!out) return WL_FAIL(WL_ERR_OS, "out of memory for the seal of a file");
  print_lines(out, stretches, count);
  fflush(out);
  seal_end end = {body_bytes, body_hash, *text_bytes, 0};
  char line[END_BYTES + 1];
  print_end(line, &end);
  fwrite(line, 1, END_COVERED, out);
  fflush(out);
  end.lines_hash = XXH3_64bits(*text, *text_bytes);
  print_end(line, &end);
  fwrite(line + END_COVERED, 1, END_BYTES - END_COVERED, out);
  const bool failed = ferror(out) != 0;
  if (fclose(out) == 0 && !failed) return WL_OK;
  free(*text);
  *text = NULL;
  return WL_FAIL(WL_ERR_OS, "out of memory for the seal of a file");
}

/* ---- checking ---- */

static wl_status damaged(const char *path, const char *what) {
  return WL_FAIL(WL_ERR_DATA, "'%s' is damaged: %s; use an older file or write it again", path,
                 what);
}

static wl_status read_at(int fd, const char *path, uint64_t offset, void *data, size_t bytes) {
  char *at = data;
  while (bytes > 0) {
    const ssize_t got = pread(fd, at, bytes, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return WL_FAIL(WL_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (got == 0) return damaged(path, "it is shorter than it was written");
    at += got;
    offset += (uint64_t)got;
    bytes -= (size_t)got;
  }
  return WL_OK;
}

static wl_status hash_stretch(int fd, const char *path, uint64_t offset, uint64_t bytes,
                              uint64_t *hash) {
  XXH3_state_t *const state = XXH3_createState();
  unsigned char *const buffer = malloc(BUFFER);
  wl_status status =
      state && buffer ? WL_OK : WL_FAIL(WL_ERR_OS, "out of memory while checking '%s'", path);
  if (status == WL_OK) XXH3_64bits_reset(state);
  while (status == WL_OK && bytes > 0) {
    const size_t part = bytes < BUFFER ? (size_t)bytes : BUFFER;
    status = read_at(fd, path, offset, buffer, part);
    if (status == WL_OK) XXH3_64bits_update(state, buffer, part);
    offset += part;
    bytes -= part;
  }
  if (status == WL_OK) *hash = XXH3_64bits_digest(state);
  free(buffer);
  XXH3_freeState(state);
  return status;
}

static wl_status read_end(int fd, const char *path, uint64_t size, seal_end *end) {
  char line[END_BYTES + 1] = "", again[END_BYTES + 1];
  if (size < END_BYTES)
    return damaged(path,
                   "it is too short: its writing was not finished, or it is no Warploom file");
  WL_TRY(read_at(fd, path, size - END_BYTES, line, END_BYTES));
  const int numbers =
      sscanf(line, "end %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64, &end->body_bytes,
             &end->body_hash, &end->lines_bytes, &end->lines_hash);
  if (numbers == 4) print_end(again, end);
  if (numbers != 4 || memcmp(line, again, END_BYTES) != 0)
    return damaged(
        path,
        "the seal at its end is missing: it is truncated, was changed by another program, or is no Warploom file");
  if (end->body_bytes > size || end->lines_bytes > size ||
      end->body_bytes + end->lines_bytes + END_BYTES != size)
    return damaged(path, "its length is not that of its seal");
  return WL_OK;
}

/* Appends the name of the dataset of one line when its bytes have changed. */
static wl_status check_line(int fd, const char *path, const char *line, char names[NAMES]) {
  uint64_t offset = 0, bytes = 0, expected = 0, hash = 0;
  int at = 0;
  if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNx64 " %n", &offset, &bytes, &expected, &at) != 3)
    return WL_OK;
  WL_TRY(hash_stretch(fd, path, offset, bytes, &hash));
  char quoted[160];
  snprintf(quoted, sizeof quoted, "'%.150s'", line + at);
  const size_t length = strlen(names);
  if (hash == expected || strstr(names, quoted))
    return WL_OK; /* a compressed dataset has several lines */
  if (length + sizeof quoted + 2 < NAMES)
    sprintf(names + length, "%s%s", length > 0 ? ", " : "", quoted);
  return WL_OK;
}

/* The body has changed: say which datasets. `lines` is cut up. */
static wl_status name_damage(int fd, const char *path, char *lines) {
  char names[NAMES] = "", what[NAMES + 64], *rest = NULL;
  for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
    WL_TRY(check_line(fd, path, line, names));
  if (names[0] == '\0') return damaged(path, "the description of its datasets has changed");
  snprintf(what, sizeof what, "the content of %s has changed", names);
  return damaged(path, what);
}

static wl_status read_lines(int fd, const char *path, const seal_end *end, char *lines) {
  WL_TRY(read_at(fd, path, end->body_bytes, lines, end->lines_bytes + END_COVERED));
  if (XXH3_64bits(lines, end->lines_bytes + END_COVERED) != end->lines_hash)
    return damaged(path, "its seal has changed");
  lines[end->lines_bytes] = '\0';
  return WL_OK;
}

static wl_status check_body(int fd, const char *path, const seal_end *end, char *lines) {
  uint64_t hash = 0;
  WL_TRY(hash_stretch(fd, path, 0, end->body_bytes, &hash));
  return hash == end->body_hash ? WL_OK : name_damage(fd, path, lines);
}

/* `written`: the body as it is known to be, NULL when it is to be read. */
static wl_status check_open_file(int fd, const char *path, const seal_end *written) {
  const off_t size = lseek(fd, 0, SEEK_END);
  seal_end end;
  if (size < 0) return WL_FAIL(WL_ERR_NO_INPUT, "cannot read '%s': %s", path, strerror(errno));
  WL_TRY(read_end(fd, path, (uint64_t)size, &end));
  if (written && (end.body_bytes != written->body_bytes || end.body_hash != written->body_hash))
    return damaged(path, "its seal is not that of what was written");
  char *const lines = malloc(end.lines_bytes + END_COVERED + 1);
  if (!lines) return WL_FAIL(WL_ERR_OS, "out of memory while checking '%s'", path);
  wl_status status = read_lines(fd, path, &end, lines);
  if (status == WL_OK && !written) status = check_body(fd, path, &end, lines);
  free(lines);
  return status;
}

static wl_status check_file(const char *path, const seal_end *written) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return WL_FAIL(errno == EACCES ? WL_ERR_PERMISSION : WL_ERR_NO_INPUT, "cannot read '%s': %s",
                   path, strerror(errno));
  const wl_status status = check_open_file(fd, path, written);
  close(fd);
  return status;
}

wl_status wl_seal_check(const char *path) { return check_file(path, NULL); }

wl_status wl_seal_check_lines(const char *path, uint64_t body_bytes, uint64_t body_hash) {
  return check_file(path, &(seal_end){.body_bytes = body_bytes, .body_hash = body_hash});
}
