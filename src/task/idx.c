/* idx.c - reads images and labels in the IDX format of MNIST. The files may be compressed with
 * gzip.
 *
 * - Bytes 0 to 3 are 0, 0, the type of the data and the number of dimensions. The type is 8 for
 *   unsigned bytes. Files of images have three dimensions, and files of labels have one dimension.
 * - The sizes of the dimensions follow, each as a number of four bytes in big-endian order. The sizes are the numbers
 *   of images, rows and columns.
 * - The data follows. The index of the last dimension changes fastest.
 *
 * A data set consists of four files with the names that MNIST uses. The format is described at
 * http://yann.lecun.com/exdb/mnist */
#include <string.h>

#include "task/dataset_impl.h"

enum { MAX_SIDE = 4096 };

static const char *const image_names[2] = {"train-images-idx3-ubyte", "t10k-images-idx3-ubyte"};
static const char *const label_names[2] = {"train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"};

static int64_t big_endian(const uint8_t b[4]) {
  return (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | (int64_t)b[3];
}

/* Reads and checks the header of a file, and stores the size of each dimension in sizes [ndim]. */
static wl_status read_header(wl_byte_file *file, int ndim, int64_t *sizes) {
  uint8_t word[4];
  const int64_t expected = 0x0800 + ndim;
  WL_TRY(wl_byte_file_read(file, word, 4, "the IDX header"));
  if (big_endian(word) != expected)
    return WL_FAIL(WL_ERR_DATA,
                   "%s: byte 0: expected the IDX magic number 0x%08llx (unsigned bytes, %d "
                   "dimension%s), found 0x%08llx; fetch the file again",
                   file->path, (long long)expected, ndim, ndim == 1 ? "" : "s",
                   (long long)big_endian(word));
  for (int i = 0; i < ndim; i++) {
    WL_TRY(wl_byte_file_read(file, word, 4, "the IDX header"));
    sizes[i] = big_endian(word);
    const bool side = i > 0;
    if (sizes[i] < 1 || (side && sizes[i] > MAX_SIDE))
      return WL_FAIL(WL_ERR_DATA, "%s: byte %lld: the size of dimension %d is %lld, expected 1 to "
                                  "%lld; fetch the file again",
                     file->path, (long long)(file->offset - 4), i, (long long)sizes[i],
                     side ? (long long)MAX_SIDE : 0xffffffffLL);
  }
  return WL_OK;
}

/* Returns an error if the header states more bytes than the file can have, because a damaged header
 * could otherwise cause a large allocation. */
static wl_status check_promise(const wl_byte_file *file, int64_t bytes) {
  if (file->offset + bytes > file->limit)
    return WL_FAIL(WL_ERR_DATA,
                   "%s: the file is truncated: its header states %lld bytes of data, but the file "
                   "has fewer; fetch the file again",
                   file->path, (long long)bytes);
  return WL_OK;
}

static wl_status read_image_file(wl_byte_file *file, wl_split split, wl_dataset *dataset) {
  int64_t sizes[3];
  WL_TRY(read_header(file, 3, sizes));
  if (split == WL_SPLIT_TRAIN) {
    dataset->channels = 1;
    dataset->rows = sizes[1];
    dataset->columns = sizes[2];
    dataset->pixels = sizes[1] * sizes[2];
  } else if (sizes[1] != dataset->rows || sizes[2] != dataset->columns) {
    return WL_FAIL(
        WL_ERR_DATA,
        "%s: byte 8: images are %lld x %lld, expected %lld x %lld as in the training file; fetch "
        "both files again",
        file->path, (long long)sizes[1], (long long)sizes[2], (long long)dataset->rows,
        (long long)dataset->columns);
  }
  const int64_t bytes = sizes[0] * dataset->pixels;
  WL_TRY(check_promise(file, bytes));
  WL_TRY(wl_images_alloc(&dataset->split[split], sizes[0], dataset->pixels));
  WL_TRY(wl_byte_file_read(file, dataset->split[split].pixels, bytes, "the images"));
  return wl_byte_file_expect_end(file);
}

/* Returns the index of the first label that is at least `bound`. Returns -1 if all labels are below
 * `bound`. */
static int64_t find_label(const wl_images *images, int64_t bound) {
  for (int64_t i = 0; i < images->count; i++)
    if (images->labels[i] >= bound) return i;
  return -1;
}

/* Sets *classes to the largest training label plus one. Returns an error if a label between the
 * smallest and the largest one never occurs, because the file is then probably damaged. */
static wl_status count_classes(const wl_byte_file *file, const wl_images *images,
                               int64_t *classes) {
  int64_t seen[256] = {0};
  for (int64_t i = 0; i < images->count; i++) seen[images->labels[i]]++;
  int first = 0, last = 255;
  while (!seen[first]) first++;
  while (!seen[last]) last--;
  for (int c = first; c < last; c++) {
    if (seen[c]) continue;
    const int64_t at = find_label(images, c);
    return WL_FAIL(WL_ERR_DATA,
                   "%s: byte %lld: there is a label %d, but no image has label %d; if this is "
                   "intended, set the key 'classes'",
                   file->path, (long long)(at + 8), images->labels[at], c);
  }
  *classes = last + 1;
  return WL_OK;
}

static wl_status read_label_file(wl_byte_file *file, wl_split split, wl_dataset *dataset) {
  wl_images *images = &dataset->split[split];
  int64_t count;
  WL_TRY(read_header(file, 1, &count));
  if (count != images->count)
    return WL_FAIL(WL_ERR_DATA, "%s: byte 4: the file has %lld labels, expected %lld, one for each "
                                "image of %s; fetch both files again",
                   file->path, (long long)count, (long long)images->count, image_names[split]);
  WL_TRY(wl_byte_file_read(file, images->labels, count, "the labels"));
  WL_TRY(wl_byte_file_expect_end(file));
  if (split == WL_SPLIT_TRAIN && dataset->classes == 0)
    WL_TRY(count_classes(file, images, &dataset->classes));
  const int64_t bad = find_label(images, dataset->classes);
  if (bad >= 0)
    return WL_FAIL(WL_ERR_DATA, "%s: byte %lld: label %d is out of range, expected 0 to %lld; "
                                "fetch the file again",
                   file->path, (long long)(bad + 8), images->labels[bad],
                   (long long)dataset->classes - 1);
  return WL_OK;
}

wl_status wl_dataset_read_idx(const char *directory, int64_t classes, wl_dataset *dataset) {
  dataset->classes = classes;
  for (wl_split split = WL_SPLIT_TRAIN; split <= WL_SPLIT_HELDOUT; split++) {
    wl_byte_file file;
    WL_TRY(wl_byte_file_open(directory, image_names[split], &file));
    wl_status status = read_image_file(&file, split, dataset);
    wl_byte_file_close(&file);
    if (status != WL_OK) return status;
    WL_TRY(wl_byte_file_open(directory, label_names[split], &file));
    status = read_label_file(&file, split, dataset);
    wl_byte_file_close(&file);
    if (status != WL_OK) return status;
  }
  return WL_OK;
}
