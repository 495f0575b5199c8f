/* text.c - reads a text file, and copies random sequences of characters from the text. */
#include "task/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "task/family.h"
#include "task/shared.h"

enum { MAX_TEXT = 1 << 30, BYTES = 256 };

static void free_text(void *object) {
  wl_text *text = object;
  wl_free(text->tokens);
  wl_free(text);
}

/* Replaces each byte by its index in the vocabulary. The vocabulary consists of the bytes that
 * occur in the text. */
static void number_bytes(wl_text *text) {
  uint8_t place[BYTES];
  bool seen[BYTES] = {false};
  for (int64_t i = 0; i < text->count; i++) seen[text->tokens[i]] = true;
  for (int b = 0; b < BYTES; b++) {
    place[b] = (uint8_t)text->vocabulary;
    text->vocabulary += seen[b];
  }
  for (int64_t i = 0; i < text->count; i++) text->tokens[i] = place[text->tokens[i]];
}

static wl_status read_file(const char *path, FILE *file, wl_text *text) {
  struct stat info = {0};
  if (fstat(fileno(file), &info) != 0)
    return WL_FAIL(WL_ERR_IO, "%s: the text cannot be read: %s", path, strerror(errno));
  if (info.st_size < 1 || info.st_size > MAX_TEXT)
    return WL_FAIL(WL_ERR_DATA, "%s: the file has %lld bytes, but a text must have 1 to %d bytes", path,
                   (long long)info.st_size, MAX_TEXT);
  WL_TRY(WL_NEW(text->tokens, info.st_size));
  text->count = (int64_t)fread(text->tokens, 1, (size_t)info.st_size, file);
  if (text->count != (int64_t)info.st_size)
    return WL_FAIL(WL_ERR_IO, "%s: the text cannot be read at byte %lld: %s", path, (long long)text->count,
                   ferror(file) ? strerror(errno) : "another program made the file shorter");
  text->training = text->count - text->count / 10;
  number_bytes(text);
  return WL_OK;
}

static wl_status make_text(const void *request, void **object) {
  const char *path = request;
  wl_text *text = NULL;
  WL_TRY(WL_NEW(text, 1));
  *object = text;
  struct stat info;
  if (stat(path, &info) == 0 &&
      /* this test precedes fopen, because fopen would wait for the writer of a pipe */
      !S_ISREG(info.st_mode))
    return WL_FAIL(WL_ERR_NO_INPUT, "%s: this is not a regular file; name a text file", path);
  FILE *file = fopen(path, "rb");
  if (!file)
    return WL_FAIL(errno == EACCES ? WL_ERR_PERMISSION : WL_ERR_NO_INPUT,
                   "%s: the text cannot be opened: %s; name a text file in the key `text`", path,
                   strerror(errno));
  const wl_status status = read_file(path, file, text);
  fclose(file);
  return status;
}

static const wl_shared_kind texts = {"text", make_text, free_text};

wl_status wl_text_source_open(const wl_map *map, wl_task *task, wl_text_source *source) {
  const char *path = source->path;
  const void *object;
  if (strlen(path) >= 4096) return wl_map_fail(map, "text", "the path is too long; use a shorter "
                                                            "path");
  WL_TRY(wl_shared_open(&texts, path, path, &object));
  source->text = object;
  if (source->text->count - source->text->training <= source->length)
    return WL_FAIL(WL_ERR_DATA,
                   "%s: %lld characters are too few for sequences of %lld characters, because the "
                   "last tenth of the text is held out; name a longer text or set a shorter "
                   "`length`",
                   path, (long long)source->text->count, (long long)source->length);
  const int64_t samples = source->eval_samples;
  task->eval_batches = samples > source->batch ? samples / source->batch : 1;
  return WL_OK;
}

void wl_text_source_close(wl_text_source *source) {
  if (source->text) wl_shared_close(source->text);
  source->text = NULL;
}

/* Returns the index in the text at which sequence b of a batch starts. */
static int64_t start_of(const wl_text_source *s, const wl_episode *episode, const wl_batch *batch,
                        int64_t b) {
  const bool heldout = batch->split == WL_SPLIT_HELDOUT;
  const int64_t first = heldout ? s->text->training : 0,
                end = heldout ? s->text->count : s->text->training;
  const bool fixed = batch->purpose == WL_FOR_EVAL_BATCH;
  const wl_stream sample = {.seed = 1,
                            .purpose = WL_FOR_EVAL_BATCH,
                            .index = batch->split,
                            .step = (uint64_t)batch->step};
  int64_t start;
  wl_rng_index(fixed ? sample : wl_episode_stream(episode, batch->purpose, (uint64_t)batch->step),
               (uint64_t)b, 1, (uint64_t)(end - first - s->length), &start);
  return first + start;
}

void wl_text_source_load(const wl_text_source *s, const wl_episode *episode, const wl_batch *batch,
                         bool sequence_major, int32_t *tokens, int32_t *next) {
  for (int64_t b = 0; b < s->batch; b++) {
    const uint8_t *from = s->text->tokens + start_of(s, episode, batch, b);
    for (int64_t t = 0; t < s->length; t++) {
      const int64_t at = sequence_major ? b * s->length + t : t * s->batch + b;
      tokens[at] = from[t];
      next[at] = from[t + 1];
    }
  }
}
