/* dataset.c - finding, sharing and gathering images.
 *
 * Named data is looked for in $WARPLOOM_DATA/<name>, then in /usr/share/datasets/<name>. Data sets are
 * read-only and serve all tasks of the process. */
#include "task/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "task/dataset_impl.h"
#include "task/family.h"
#include "task/shared.h"

typedef struct named_data {
  const char *name;
  int64_t classes;
  const char *hint; /* how to get it */
} named_data;

static const named_data known[] = {
    {"fashion-mnist", 10,
     "`apt-get install dataset-fashion-mnist` puts it under /usr/share/datasets"},
    {"mnist", 10,
     "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
     "t10k-labels-idx1-ubyte (or "
     "these with .gz) into a directory mnist and name the directory above it in WARPLOOM_DATA"},
    {"cifar-10", 10,
     "put data_batch_1.bin .. data_batch_5.bin and test_batch.bin (of cifar-10-binary.tar.gz) into "
     "a directory "
     "cifar-10 and name the directory above it in WARPLOOM_DATA"},
};

/* What a data set is made from. */
typedef struct source {
  char directory[WL_DATA_PATH]; /* "": the synthetic set */
  int64_t classes;              /* 0: to be found from the data */
} source;

wl_status wl_images_alloc(wl_images *images, int64_t count, int64_t pixels) {
  images->count = count;
  WL_TRY(WL_NEW(images->pixels, count * pixels));
  return WL_NEW(images->labels, count);
}

static void free_dataset(void *object) {
  wl_dataset *dataset = object;
  for (int s = 0; s < 2; s++) {
    wl_free(dataset->split[s].pixels);
    wl_free(dataset->split[s].labels);
    wl_free(dataset->split[s].sample);
  }
  wl_free(dataset);
}

static const named_data *find_named(const char *name) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i].name, name) == 0) return &known[i];
  return NULL;
}

/* The directory of named data, or of a path. */
static wl_status locate(const char *data, const named_data *named, char directory[WL_DATA_PATH]) {
  if (!named) {
    snprintf(directory, WL_DATA_PATH, "%s", data);
    if (wl_is_directory(directory)) return WL_OK;
    return WL_FAIL(WL_ERR_NO_INPUT,
                   "task.data: '%s' is neither a directory nor one of synthetic, fashion-mnist, "
                   "mnist, cifar-10",
                   data);
  }
  const char *base = getenv("WARPLOOM_DATA");
  const char *const bases[] = {base && *base ? base : "/usr/share/datasets", "/usr/share/datasets"};
  for (int i = 0; i < 2; i++) {
    snprintf(directory, WL_DATA_PATH, "%s/%s", bases[i], data);
    if (wl_is_directory(directory)) return WL_OK;
  }
  return WL_FAIL(WL_ERR_NO_INPUT, "%s: data '%s' is not there; %s", directory, data, named->hint);
}

/* A fixed permutation of each split, so that an evaluation sees the same images in every run. */
static wl_status draw_samples(wl_dataset *dataset) {
  for (int s = 0; s < 2; s++) {
    wl_images *images = &dataset->split[s];
    WL_TRY(WL_NEW(images->sample, images->count));
    wl_rng_permutation((wl_stream){.seed = 1, .purpose = WL_FOR_EVAL_BATCH, .step = (uint64_t)s},
                       images->count, images->sample);
  }
  return WL_OK;
}

static wl_status make_dataset(const void *request, void **object) {
  const source *from = request;
  wl_dataset *dataset = NULL;
  WL_TRY(WL_NEW(dataset, 1));
  *object = dataset;
  if (!*from->directory) WL_TRY(wl_dataset_make_synthetic(dataset));
  else if (wl_dataset_is_cifar(from->directory))
    WL_TRY(wl_dataset_read_cifar(from->directory, dataset));
  else WL_TRY(wl_dataset_read_idx(from->directory, from->classes, dataset));
  return draw_samples(dataset);
}

static const wl_shared_kind datasets = {"dataset", make_dataset, free_dataset};

wl_status wl_dataset_open(const wl_map *map, const wl_dataset **out) {
  const char *data = wl_map_string(map, "data");
  source from = {.classes = wl_map_int(map, "classes")};
  if (strcmp(data, "synthetic") != 0) {
    const named_data *named = find_named(data);
    WL_TRY(locate(data, named, from.directory));
    if (named && !from.classes) from.classes = named->classes;
  }
  char key[WL_DATA_PATH + 32];
  snprintf(key, sizeof key, "%lld %s", (long long)from.classes, from.directory);
  const void *object;
  WL_TRY(wl_shared_open(&datasets, key, &from, &object));
  *out = object;
  return WL_OK;
}

void wl_dataset_close(const wl_dataset **dataset) {
  if (!dataset || !*dataset) return;
  wl_shared_close(*dataset);
  *dataset = NULL;
}

/* Pixels as reals in [0,1]; a true division, as every framework's loader does it. */
static void to_real(const uint8_t *restrict from, int64_t n, wl_real *restrict to) {
  for (int64_t i = 0; i < n; i++) to[i] = (wl_real)from[i] / (wl_real)255;
}

/* Asks for an image ahead of its use: rows of a random batch are far apart in memory, and
 * waiting for them would cost more than the conversion. */
static void prefetch(const uint8_t *from, int64_t n) {
  enum { CACHE_LINE = 64 };
  for (int64_t i = 0; i < n; i += CACHE_LINE) __builtin_prefetch(from + i);
}

static void copy_images(const wl_dataset *dataset, const wl_images *images, const int64_t *chosen,
                        int64_t count, wl_real *x, int32_t *labels) {
  const int64_t pixels = dataset->pixels;
  for (int64_t i = 0; i < count; i++) {
    if (i + 1 < count) prefetch(images->pixels + chosen[i + 1] * pixels, pixels);
    to_real(images->pixels + chosen[i] * pixels, pixels, x + i * pixels);
    labels[i] = images->labels[chosen[i]];
  }
}

/* Images first .. first + count - 1 of a batch of `size`. */
static void choose(const wl_images *images, const wl_episode *episode, const wl_batch *batch,
                   int64_t size, int64_t first, int64_t count, int64_t *chosen) {
  if (batch->purpose == WL_FOR_EVAL_BATCH) {
    for (int64_t i = 0; i < count; i++)
      chosen[i] = images->sample[(batch->step * size + first + i) % images->count];
    return;
  }
  const wl_stream stream = wl_episode_stream(episode, batch->purpose, (uint64_t)batch->step);
  wl_rng_index(stream, (uint64_t)first, count, (uint64_t)images->count, chosen);
}

void wl_dataset_gather(const wl_dataset *dataset, const wl_episode *episode, const wl_batch *batch,
                       int64_t count, wl_real *x, int32_t *labels) {
  enum { CHUNK = 128 };
  const wl_images *images = &dataset->split[batch->split];
  for (int64_t first = 0; first < count; first += CHUNK) {
    int64_t chosen[CHUNK];
    const int64_t n = count - first < CHUNK ? count - first : CHUNK;
    choose(images, episode, batch, count, first, n, chosen);
    copy_images(dataset, images, chosen, n, x + first * dataset->pixels, labels + first);
  }
}

int64_t wl_dataset_eval_batches(const wl_dataset *dataset, int64_t samples, int64_t count) {
  for (int s = 0; s < 2; s++)
    if (dataset->split[s].count < samples) samples = dataset->split[s].count;
  return samples >= count ? samples / count : 1;
}
