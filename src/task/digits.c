/* digits.c - decompresses the handwritten digits that are built into the program (data/README.md).
 * A digit is an image of 8 x 8 pixels with values from 0 to 16.
 *
 * Every fifth image is in the held-out split. The pixels are scaled to bytes, so that the value 16
 * becomes 255. */
#include <string.h>
#include <zlib.h>

#include "task/dataset_impl.h"
#include "task/digits_data.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE, RECORD = PIXELS + 1, COUNT = 1797, FIFTH = 5, WHITE = 16 };

static void add_image(const unsigned char *record, int64_t at, wl_images *images) {
  for (int64_t p = 0; p < PIXELS; p++)
    images->pixels[at * PIXELS + p] = (uint8_t)((record[p] * 255 + WHITE / 2) / WHITE);
  images->labels[at] = record[PIXELS];
}

wl_status wl_dataset_make_digits(wl_dataset *dataset) {
  unsigned char records[COUNT * RECORD];
  uLongf size = sizeof records;
  const int code = uncompress(records, &size, wl_digits_data, (uLong)wl_digits_data_size);
  if (code != Z_OK || size != sizeof records)
    return WL_FAIL(WL_ERR_SOFTWARE, "the images of digits in the program are damaged (zlib code %d)", code);
  dataset->channels = 1;
  dataset->rows = dataset->columns = SIDE;
  dataset->pixels = PIXELS;
  dataset->classes = 10;
  WL_TRY(wl_images_alloc(&dataset->split[WL_SPLIT_TRAIN], COUNT - COUNT / FIFTH, PIXELS));
  WL_TRY(wl_images_alloc(&dataset->split[WL_SPLIT_HELDOUT], COUNT / FIFTH, PIXELS));
  int64_t filled[2] = {0, 0};
  for (int64_t i = 0; i < COUNT; i++) {
    const wl_split split = i % FIFTH == FIFTH - 1 ? WL_SPLIT_HELDOUT : WL_SPLIT_TRAIN;
    add_image(records + i * RECORD, filled[split]++, &dataset->split[split]);
  }
  return WL_OK;
}
