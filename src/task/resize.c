/* resize.c - resizes images and converts them to grey.
 *
 * Resizing is bilinear, with pixel centres at half-integers and without antialiasing, as in tf.image.resize. Along an
 * axis, N input pixels are resized to n output pixels. Output i interpolates the inputs at x = (i + 1/2) N / n - 1/2,
 * between the pixels floor x and floor x + 1. Indices outside of the image are replaced by the nearest index in the
 * image. Without antialiasing, most pixels of a large image are not used. If 28 x 28 pixels are resized to 8 x 8, an
 * output pixel covers 12.25 input pixels, but depends on only four of them. A grey pixel is the mean of the channels. */
#include <math.h>

#include "task/dataset_impl.h"

/* The two input pixels that an output pixel interpolates along one axis. */
typedef struct taps {
  int64_t low, high;
  double part; /* weight of the pixel `high`; the weight of the pixel `low` is 1 - part */
} taps;

static taps taps_of(int64_t i, int64_t in, int64_t out) {
  const double x = ((double)i + 0.5) * (double)in / (double)out - 0.5, low = floor(x);
  taps t = {(int64_t)low, (int64_t)low + 1, x - low};
  if (t.low < 0) t.low = 0;
  if (t.high > in - 1) t.high = in - 1;
  return t;
}

static double between(double a, double b, double part) { return a + (b - a) * part; }

/* Returns the mean of the values of one pixel over `channels` channels. `plane` is the number of
 * pixels in a channel. */
static double pixel_at(const uint8_t *image, int64_t channels, int64_t plane, int64_t at) {
  double sum = 0.0;
  for (int64_t c = 0; c < channels; c++) sum += image[c * plane + at];
  return sum / (double)channels;
}

static double sample(const uint8_t *image, const wl_dataset *d, int64_t channels, taps row,
                     taps column) {
  const int64_t plane = d->rows * d->columns, upper = row.low * d->columns,
                lower = row.high * d->columns;
  const double above = between(pixel_at(image, channels, plane, upper + column.low),
                               pixel_at(image, channels, plane, upper + column.high), column.part);
  const double below = between(pixel_at(image, channels, plane, lower + column.low),
                               pixel_at(image, channels, plane, lower + column.high), column.part);
  return between(above, below, row.part) / 255.0;
}

/* Resizes one channel of an image, or the mean of its channels, to rows x columns pixels. */
static void resize_plane(const uint8_t *image, const wl_dataset *d, int64_t channels, int64_t rows,
                         int64_t columns, wl_real *out) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++)
      out[r * columns + c] = (wl_real)sample(image, d, channels, taps_of(r, d->rows, rows),
                                             taps_of(c, d->columns, columns));
}

static wl_status resize_split(const wl_dataset *d, wl_images *images, const wl_dataset *to) {
  const int64_t plane = to->rows * to->columns;
  const int64_t averaged = to->channels < d->channels ? d->channels : 1;
  WL_TRY(WL_NEW(images->values, images->count * to->pixels));
  for (int64_t i = 0; i < images->count * to->channels; i++)
    resize_plane(images->pixels + i * averaged * d->rows * d->columns, d, averaged, to->rows,
                 to->columns, images->values + i * plane);
  wl_free(images->pixels);
  images->pixels = NULL;
  return WL_OK;
}

wl_status wl_dataset_resize(wl_dataset *dataset, int64_t side, bool grey) {
  wl_dataset to = *dataset;
  if (side > 0) to.rows = to.columns = side;
  if (grey) to.channels = 1;
  to.pixels = to.channels * to.rows * to.columns;
  if (to.pixels == dataset->pixels && to.rows == dataset->rows) return WL_OK;
  for (int s = 0; s < 2; s++) WL_TRY(resize_split(dataset, &dataset->split[s], &to));
  dataset->rows = to.rows;
  dataset->columns = to.columns;
  dataset->channels = to.channels;
  dataset->pixels = to.pixels;
  return WL_OK;
}
