/* synthetic.c - generates the built-in classification data set, which has the same bytes on every machine.
 *
 * The data set has 10 classes of images with 14 x 14 pixels. 4096 images are for training, and 1024
 * images are held out. Each class has two modes. A mode is a sum of bumps in the unit square:
 *
 *   f(p) = sum_j a_j / (1 + |p - c_j|^2 / r_j^2)^2          j = 1 .. 5
 *
 * An image is the function f of a mode after a random affine map, with random contrast and noise:
 *
 *   pixel(p) = clip(0.15 + contrast f(A p + b) + noise) in bytes
 *
 * The code uses only the four basic operations on doubles and calls no function of the mathematics
 * library, because such functions can differ between machines. */
#include "task/dataset_impl.h"

enum { SIDE = 14, CLASSES = 10, MODES = 2, BUMPS = 5, TRAIN = 4096, HELDOUT = 1024 };
/* Indices, in the stream of an image, of the random numbers that determine the image. Six numbers
 * determine the affine map, and two numbers determine the noise of each pixel. */
enum {
  AT_CLASS,
  AT_MODE,
  AT_CONTRAST,
  AT_MAP,
  AT_NOISE = AT_MAP + 6,
  PER_IMAGE = AT_NOISE + 2 * SIDE * SIDE
};
/* The values of wl_stream.step for the bumps of the classes and for the images of each split. */
enum { STEP_PROTOTYPES, STEP_TRAIN, STEP_HELDOUT };

typedef struct bump {
  double x, y, radius, height;
} bump;

static wl_stream stream_of(uint64_t step, uint64_t image) {
  return (wl_stream){.seed = 1, .purpose = WL_FOR_DATASET, .task = image, .step = step};
}

/* Draws the bumps [CLASSES][MODES][BUMPS] of all modes. The centres of the bumps are in [0.15,
 * 0.85]^2, and the heights are positive or negative. */
static void draw_prototypes(bump (*bumps)[MODES][BUMPS]) {
  double u[CLASSES][MODES][BUMPS][4];
  wl_rng_uniform_double(stream_of(STEP_PROTOTYPES, 0), 0, sizeof u / sizeof(double), 0.0, 1.0,
                        &u[0][0][0][0]);
  for (int c = 0; c < CLASSES; c++)
    for (int m = 0; m < MODES; m++)
      for (int j = 0; j < BUMPS; j++) {
        const double *v = u[c][m][j];
        bumps[c][m][j] = (bump){.x = 0.15 + 0.7 * v[0],
                                .y = 0.15 + 0.7 * v[1],
                                .radius = 0.12 + 0.14 * v[2],
                                .height = v[3] < 0.3 ? -0.7 : 0.9};
      }
}

static double shape_value(const bump *bumps, double x, double y) {
  double sum = 0.0;
  for (int j = 0; j < BUMPS; j++) {
    const double dx = x - bumps[j].x, dy = y - bumps[j].y;
    const double q = 1.0 + (dx * dx + dy * dy) / (bumps[j].radius * bumps[j].radius);
    sum += bumps[j].height / (q * q);
  }
  return sum;
}

static uint8_t to_byte(double value) {
  if (value <= 0.0) return 0;
  return value >= 1.0 ? 255 : (uint8_t)(255.0 * value + 0.5);
}

/* Computes one image from random numbers u [PER_IMAGE] that are uniformly distributed in [0,1). */
static void draw_image(const double *u, const bump *shape, uint8_t *pixels) {
  const double contrast = 0.5 + 0.5 * u[AT_CONTRAST];
  double map[6];
  for (int i = 0; i < 6; i++) map[i] = (u[AT_MAP + i] - 0.5) * (i < 4 ? 0.6 : 0.3);
  for (int row = 0; row < SIDE; row++)
    for (int column = 0; column < SIDE; column++) {
      const double x = (column + 0.5) / SIDE - 0.5, y = (row + 0.5) / SIDE - 0.5;
      const double px = 0.5 + (1.0 + map[0]) * x + map[1] * y + map[4];
      const double py = 0.5 + map[2] * x + (1.0 + map[3]) * y + map[5];
      const double *v = u + AT_NOISE + 2 * (row * SIDE + column);
      const double noise = 0.35 * (v[0] + v[1] - 1.0);
      pixels[row * SIDE + column] = to_byte(0.15 + contrast * shape_value(shape, px, py) + noise);
    }
}

static void draw_split(bump (*bumps)[MODES][BUMPS], uint64_t step, wl_images *images) {
  for (int64_t i = 0; i < images->count; i++) {
    double u[PER_IMAGE];
    wl_rng_uniform_double(stream_of(step, (uint64_t)i), 0, PER_IMAGE, 0.0, 1.0, u);
    const int class = (int)(u[AT_CLASS] * CLASSES), mode = (int)(u[AT_MODE] * MODES);
    images->labels[i] = (uint8_t) class;
    draw_image(u, bumps[class][mode], images->pixels + i * SIDE * SIDE);
  }
}

wl_status wl_dataset_make_synthetic(wl_dataset *dataset) {
  dataset->channels = 1;
  dataset->rows = dataset->columns = SIDE;
  dataset->pixels = SIDE * SIDE;
  dataset->classes = CLASSES;
  WL_TRY(wl_images_alloc(&dataset->split[WL_SPLIT_TRAIN], TRAIN, dataset->pixels));
  WL_TRY(wl_images_alloc(&dataset->split[WL_SPLIT_HELDOUT], HELDOUT, dataset->pixels));
  bump bumps[CLASSES][MODES][BUMPS];
  draw_prototypes(bumps);
  draw_split(bumps, STEP_TRAIN, &dataset->split[WL_SPLIT_TRAIN]);
  draw_split(bumps, STEP_HELDOUT, &dataset->split[WL_SPLIT_HELDOUT]);
  return WL_OK;
}
