/* dataset.c - finds and shares data sets of images.
 *
 * A data set with a known name is sought in $WARPLOOM_DATA/<name>, and then in
 * /usr/share/datasets/<name>. All tasks of the process share a data set, because no task changes
 * it. */
#include "task/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "task/dataset_impl.h"
#include "task/shared.h"

typedef struct named_data {
  const char *name;
  int64_t classes;
  const char *hint; /* instruction for the user: how to obtain the data */
} named_data;

static const named_data known[] = {
    {"fashion-mnist", 10,
     "`apt-get install dataset-fashion-mnist` installs the data under /usr/share/datasets"},
    {"mnist", 10,
     "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
     "t10k-labels-idx1-ubyte (or the same names with .gz) into a directory `mnist`, and set "
     "WARPLOOM_DATA to the directory that contains `mnist`"},
    {"cifar-10", 10,
     "put data_batch_1.bin to data_batch_5.bin and test_batch.bin (from cifar-10-binary.tar.gz) "
     "into a directory `cifar-10`, and set WARPLOOM_DATA to the directory that contains `cifar-10`"},
};

/* The place of the images of a data set, and the changes that are made to the images. Two tasks
 * share a data set if all members of this struct are equal for both tasks. */
typedef struct source {
  char directory[WL_DATA_PATH]; /* a directory, or the name of a built-in data set */
  int64_t classes;              /* number of classes, or 0 to count the classes in the data */
  int64_t side;                 /* side of the resized images in pixels, or 0 to keep the size */
  bool grey;
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
    wl_free(dataset->split[s].values);
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

/* Finds the directory of a data set. `data` is the name of the data set, or a path if `named` is
 * NULL. */
static wl_status locate(const char *data, const named_data *named, char directory[WL_DATA_PATH]) {
  if (!named) {
    snprintf(directory, WL_DATA_PATH, "%s", data);
    if (wl_is_directory(directory)) return WL_OK;
    return WL_FAIL(WL_ERR_NO_INPUT,
                   "task.data: '%s' is neither a directory nor the name of a data set (synthetic, "
                   "digits, fashion-mnist, mnist, cifar-10)",
                   data);
  }
  const char *base = getenv("WARPLOOM_DATA");
  const char *const bases[] = {base && *base ? base : "/usr/share/datasets", "/usr/share/datasets"};
  for (int i = 0; i < 2; i++) {
    snprintf(directory, WL_DATA_PATH, "%s/%s", bases[i], data);
    if (wl_is_directory(directory)) return WL_OK;
  }
  return WL_FAIL(WL_ERR_NO_INPUT, "the directory %s with the data set '%s' does not exist; %s",
                 directory, data, named->hint);
}

/* Draws a fixed random order of the images of each split, so that evaluations use the same images
 * in every run. */
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
  if (strcmp(from->directory, "synthetic") == 0) WL_TRY(wl_dataset_make_synthetic(dataset));
  else if (strcmp(from->directory, "digits") == 0) WL_TRY(wl_dataset_make_digits(dataset));
  else if (wl_dataset_is_cifar(from->directory))
    WL_TRY(wl_dataset_read_cifar(from->directory, dataset));
  else WL_TRY(wl_dataset_read_idx(from->directory, from->classes, dataset));
  WL_TRY(wl_dataset_resize(dataset, from->side, from->grey));
  return draw_samples(dataset);
}

static const wl_shared_kind datasets = {"dataset", make_dataset, free_dataset};

/* Returns an error if the configured number of classes differs from the number of classes in the
 * data. */
static wl_status check_classes(const char *data, int64_t asked, int64_t found) {
  if (asked == 0 || asked == found) return WL_OK;
  return WL_FAIL(
      WL_ERR_CONFIG,
      "task.classes is %lld, but the data set '%s' has %lld classes: remove the key `classes`, or "
      "name another data set",
      (long long)asked, data, (long long)found);
}

wl_status wl_dataset_open(const wl_dataset_keys *keys, const wl_dataset **out) {
  const char *data = keys->data;
  const int64_t asked = keys->classes;
  source from = {.classes = asked, .side = keys->side, .grey = keys->grey};
  if (strcmp(data, "synthetic") == 0 || strcmp(data, "digits") == 0) {
    snprintf(from.directory, sizeof from.directory, "%s", data);
  } else {
    const named_data *named = find_named(data);
    WL_TRY(locate(data, named, from.directory));
    if (named) WL_TRY(check_classes(data, asked, named->classes));
    if (named) from.classes = named->classes;
  }
  char key[WL_DATA_PATH + 56];
  snprintf(key, sizeof key, "%lld %lld %d %s", (long long)from.classes, (long long)from.side,
           from.grey, from.directory);
  const void *object;
  WL_TRY(wl_shared_open(&datasets, key, &from, &object));
  *out = object;
  const wl_status status = check_classes(data, asked, (*out)->classes);
  if (status != WL_OK) wl_dataset_close(out);
  return status;
}

void wl_dataset_close(const wl_dataset **dataset) {
  if (!dataset || !*dataset) return;
  wl_shared_close(*dataset);
  *dataset = NULL;
}
