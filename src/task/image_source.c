/* image_source.c - chooses the images of a minibatch and copies them to the input of a network. */
#include "task/image_source.h"

#include <string.h>

#include "task/augment.h"
#include "task/family.h"

/* Returns how many images of a split are used. Episodes use the first `fraction` of the images of
 * the training split, and all images of the held-out split. */
static int64_t part_of(const wl_image_source *source, wl_split split, double fraction) {
  const int64_t count = source->data->split[split].count;
  if (split == WL_SPLIT_HELDOUT) return count;
  const int64_t used = (int64_t)((double)count * fraction + 1e-6);
  return used > 1 ? used : 1;
}

wl_status wl_image_source_open(wl_task *task, wl_image_source *source) {
  WL_TRY(wl_draw_copy(source->fraction, &source->fraction));
  WL_TRY(wl_dataset_open(&source->keys, &source->data));
  int64_t samples = source->eval_samples;
  for (wl_split s = WL_SPLIT_TRAIN; s <= WL_SPLIT_HELDOUT; s++) {
    const int64_t least = part_of(source, s, wl_draw_least(&source->fraction));
    if (least < samples) samples = least;
  }
  task->eval_batches = samples >= source->batch ? samples / source->batch : 1;
  return WL_OK;
}

void wl_image_source_close(wl_image_source *source) {
  wl_draw_clear(&source->fraction);
  wl_dataset_close(&source->data);
}

/* Converts bytes to reals in [0,1]. The bytes are divided by 255, as in the data loaders of other
 * frameworks. */
static void to_real(const uint8_t *restrict from, int64_t n, wl_real *restrict to) {
  for (int64_t i = 0; i < n; i++) to[i] = (wl_real)from[i] / (wl_real)255;
}

/* Requests an image from memory before it is needed. The images of a random batch are far apart in
 * memory. Without this prefetch, the wait for memory would take longer than the conversion. About
 * AHEAD bytes are requested in advance. */
enum { CACHE_LINE = 64, AHEAD = 2048 };
static void prefetch(const void *from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += CACHE_LINE) __builtin_prefetch((const char *)from + i);
}

static void copy_resized(const wl_images *images, int64_t pixels, const int64_t *chosen,
                         int64_t count, wl_real *x) {
  const int64_t bytes = pixels * (int64_t)sizeof *x, ahead = 1 + AHEAD / bytes;
  for (int64_t i = 0; i < count; i++) {
    if (i + ahead < count) prefetch(images->values + chosen[i + ahead] * pixels, bytes);
    memcpy(x + i * pixels, images->values + chosen[i] * pixels, (size_t)bytes);
  }
}

static void copy_pixels(const wl_images *images, int64_t pixels, const int64_t *chosen,
                        int64_t count, wl_real *x) {
  for (int64_t i = 0; i < count; i++) {
    if (i + 1 < count) prefetch(images->pixels + chosen[i + 1] * pixels, pixels);
    to_real(images->pixels + chosen[i] * pixels, pixels, x + i * pixels);
  }
}

/* Chooses `count` images of the fixed sample, starting with image `at` of the sample. The sample
 * consists of the first `bound` images of the split, in the fixed random order of the split. */
static void choose_fixed(const wl_images *images, int64_t bound, int64_t at, int64_t count,
                         int64_t *chosen) {
  at %= bound;
  int64_t found = 0;
  for (int64_t seen = 0, i = 0; found < count; i = i + 1 < images->count ? i + 1 : 0)
    if (images->sample[i] < bound && seen++ >= at) chosen[found++] = images->sample[i];
}

/* Chooses `count` images of a batch, starting with image `first` of the batch. `chosen` receives
 * the indices of these images in the split. */
static void choose(const wl_image_source *source, const wl_episode *episode, const wl_batch *batch,
                   int64_t first, int64_t count, int64_t *chosen) {
  const wl_stream part = wl_episode_stream(episode, WL_FOR_DRAW, WL_DRAW_OF_DATA_FRACTION);
  const int64_t bound = part_of(source, batch->split, wl_draw_value(&source->fraction, part, 0));
  if (batch->purpose == WL_FOR_EVAL_BATCH) {
    choose_fixed(&source->data->split[batch->split], bound, batch->step * source->batch + first,
                 count, chosen);
    return;
  }
  const wl_stream stream = wl_episode_stream(episode, batch->purpose, (uint64_t)batch->step);
  wl_rng_index(stream, (uint64_t)first, count, (uint64_t)bound, chosen);
}

void wl_image_source_load(const wl_image_source *source, const wl_episode *episode,
                          const wl_batch *batch, wl_real *x, int32_t *labels) {
  enum { CHUNK = 128 };
  const wl_images *images = &source->data->split[batch->split];
  const int64_t pixels = source->data->pixels;
  for (int64_t first = 0; first < source->batch; first += CHUNK) {
    int64_t chosen[CHUNK];
    const int64_t left = source->batch - first, n = left < CHUNK ? left : CHUNK;
    choose(source, episode, batch, first, n, chosen);
    (images->values ? copy_resized : copy_pixels)(images, pixels, chosen, n, x + first * pixels);
    for (int64_t i = 0; labels && i < n; i++) labels[first + i] = images->labels[chosen[i]];
  }
}
