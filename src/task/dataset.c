/* dataset.c - finding, sharing and gathering images.
 *
 * Named data is looked for in $WARPLOOM_DATA/<name>, then in /usr/share/datasets/<name>. One list
 * of open data sets, counted by users, serves all tasks of the process: what it holds is read-only. */
#include "task/dataset.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <threads.h>

#include "task/dataset_impl.h"
#include "task/family.h"

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

typedef struct entry {
  char key[WL_DATA_PATH + 32]; /* directory and number of classes */
  int users;
  wl_dataset dataset;
  struct entry *next;
} entry;

static entry *opened; /* guarded by lock */
static mtx_t lock;
static once_flag lock_once = ONCE_FLAG_INIT;

static void make_lock(void) { mtx_init(&lock, mtx_plain); }

wl_status wl_images_alloc(wl_images *images, int64_t count, int64_t pixels) {
  images->count = count;
  WL_TRY(WL_NEW(images->pixels, count * pixels));
  return WL_NEW(images->labels, count);
}

static void free_entry(entry *e) {
  for (int s = 0; s < 2; s++) {
    wl_free(e->dataset.split[s].pixels);
    wl_free(e->dataset.split[s].labels);
    wl_free(e->dataset.split[s].sample);
  }
  wl_free(e);
}

static bool is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
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
    if (is_directory(directory)) return WL_OK;
    return WL_FAIL(WL_ERR_NO_INPUT,
                   "task.data: '%s' is neither a directory nor one of synthetic, fashion-mnist, "
                   "mnist, cifar-10",
                   data);
  }
  const char *base = getenv("WARPLOOM_DATA");
  const char *const bases[] = {base && *base ? base : "/usr/share/datasets", "/usr/share/datasets"};
  for (int i = 0; i < 2; i++) {
    snprintf(directory, WL_DATA_PATH, "%s/%s", bases[i], data);
    if (is_directory(directory)) return WL_OK;
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

static wl_status fill(const char *directory, int64_t classes, wl_dataset *dataset) {
  if (!*directory) WL_TRY(wl_dataset_make_synthetic(dataset));
  else if (wl_dataset_is_cifar(directory)) WL_TRY(wl_dataset_read_cifar(directory, dataset));
  else WL_TRY(wl_dataset_read_idx(directory, classes, dataset));
  return draw_samples(dataset);
}

/* Under the lock: the open entry of that key, or a new one. directory "": the synthetic set. */
static wl_status find_or_fill(const char *directory, int64_t classes, entry **out) {
  char key[sizeof opened->key];
  snprintf(key, sizeof key, "%lld %s", (long long)classes, directory);
  for (entry *e = opened; e; e = e->next)
    if (strcmp(e->key, key) == 0) {
      *out = e;
      return WL_OK;
    }
  entry *e = NULL;
  WL_TRY(WL_NEW(e, 1));
  memcpy(e->key, key, sizeof key);
  const wl_status status = fill(directory, classes, &e->dataset);
  if (status != WL_OK) {
    free_entry(e);
    return status;
  }
  e->next = opened;
  opened = *out = e;
  return WL_OK;
}

wl_status wl_dataset_open(const wl_map *map, const wl_dataset **out) {
  const char *data = wl_map_string(map, "data");
  int64_t classes = wl_map_int(map, "classes");
  char directory[WL_DATA_PATH] = "";
  if (strcmp(data, "synthetic") != 0) {
    const named_data *named = find_named(data);
    WL_TRY(locate(data, named, directory));
    if (named && !classes) classes = named->classes;
  }
  call_once(&lock_once, make_lock);
  mtx_lock(&lock);
  entry *e = NULL;
  const wl_status status = find_or_fill(directory, classes, &e);
  if (status == WL_OK) e->users++;
  mtx_unlock(&lock);
  if (status != WL_OK) return status;
  *out = &e->dataset;
  return WL_OK;
}

void wl_dataset_close(const wl_dataset **dataset) {
  if (!dataset || !*dataset) return;
  mtx_lock(&lock);
  for (entry **at = &opened; *at; at = &(*at)->next) {
    entry *e = *at;
    if (&e->dataset != *dataset) continue;
    if (--e->users == 0) {
      *at = e->next;
      free_entry(e);
    }
    break;
  }
  mtx_unlock(&lock);
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
