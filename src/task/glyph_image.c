/* glyph_image.c - turns and distorts an image by an affine map. The formula is in glyph_image.h. */
#include "task/glyph_image.h"

#include <math.h>

/* The inverse of the affine map, which maps the coordinates of an output pixel to coordinates in
 * the source image. Coordinates are relative to the centre of the image. */
typedef struct inverse {
  double a[2][2];       /* the matrix A^-1 */
  double rows, columns; /* the shift t, in pixels */
  double from_row, from_column; /* the point c' of the source image that moves to the centre */
} inverse;

static double between(double bound, double u) { return bound * (2.0 * u - 1.0); }

/* Adds `turn` rotations by 90 degrees to the map. These rotations are exact and lose no pixel. */
static void add_turns(inverse *map, int64_t turn) {
  for (int64_t i = 0; i < turn; i++)
    for (int k = 0; k < 2; k++) {
      const double row = map->a[k][0];
      map->a[k][0] = -map->a[k][1];
      map->a[k][1] = row;
    }
}

/* Computes A^-1 <- S^-1 A^-1, with S^-1 = D(b) diag(1 / k, k) D(-b). D is a rotation. */
static void add_stretch(inverse *map, double b, double k) {
  const double mean = 0.5 * (1.0 / k + k), half = 0.5 * (1.0 / k - k);
  const double s[2][2] = {{mean + half * cos(2.0 * b), half * sin(2.0 * b)},
                          {half * sin(2.0 * b), mean - half * cos(2.0 * b)}};
  for (int j = 0; j < 2; j++) {
    const double row = map->a[0][j], column = map->a[1][j];
    for (int i = 0; i < 2; i++) map->a[i][j] = s[i][0] * row + s[i][1] * column;
  }
}

static inverse draw_map(const wl_glyphs *g, int64_t turn, const wl_distortion *d, const double *u) {
  const double degree = M_PI / 180.0;
  const double angle = degree * between(d->rotate, u[0]), size = 1.0 + between(d->scale, u[3]);
  const double cosine = cos(angle) / size, sine = sin(angle) / size;
  inverse map = {.a = {{cosine, sine}, {-sine, cosine}},
                 .rows = between(d->shift, u[1]) * (double)g->rows,
                 .columns = between(d->shift, u[2]) * (double)g->columns,
                 .from_row = 0.5 * (double)(g->rows - 1),
                 .from_column = 0.5 * (double)(g->columns - 1)};
  add_turns(&map, turn);
  if (d->stretch > 0.0) add_stretch(&map, M_PI * u[4], 1.0 + d->stretch * u[5]);
  return map;
}

/* Sets c' to the ink's centre of mass, rounded so that c' - c is a whole number of pixels. */
static void add_centre(const wl_glyphs *g, const uint8_t *ink, inverse *map) {
  int64_t total = 0, row = 0, column = 0;
  for (int64_t i = 0; i < g->rows; i++, ink += g->columns) {
    int64_t of_row = 0;
    for (int64_t j = 0; j < g->columns; j++) {
      of_row += ink[j];
      column += ink[j] * j;
    }
    total += of_row;
    row += of_row * i;
  }
  if (total == 0) return;
  map->from_row += floor((double)row / (double)total - map->from_row + 0.5);
  map->from_column += floor((double)column / (double)total - map->from_column + 0.5);
}

static wl_real sample(const wl_glyphs *g, const uint8_t *ink, double row, double column) {
  const double r = row + 0.5,
               /* both numbers are positive, so the conversion to integers rounds them down */
               c = column + 0.5;
  if (!(r >= 0 && r < (double)g->rows && c >= 0 && c < (double)g->columns)) return 0;
  return ink[(int64_t)r * g->columns + (int64_t)c];
}

static void resample(const wl_glyphs *g, const uint8_t *ink, const inverse *map, wl_real *x) {
  const double middle_row = 0.5 * (double)(g->rows - 1),
               middle_column = 0.5 * (double)(g->columns - 1);
  for (int64_t i = 0; i < g->rows; i++)
    for (int64_t j = 0; j < g->columns; j++) {
      const double r = (double)i - middle_row - map->rows,
                   c = (double)j - middle_column - map->columns;
      x[i * g->columns + j] = sample(g, ink, map->from_row + map->a[0][0] * r + map->a[0][1] * c,
                                     map->from_column + map->a[1][0] * r + map->a[1][1] * c);
    }
}

void wl_glyph_image(const wl_glyphs *g, const uint8_t *ink, int64_t turn, const wl_distortion *d,
                    const double u[WL_DISTORTION_DRAWS], wl_real *x) {
  if (turn == 0 && !d->centre && d->rotate == 0.0 && d->shift == 0.0 && d->scale == 0.0 &&
      d->stretch == 0.0) {
    for (int64_t p = 0; p < g->pixels; p++) x[p] = ink[p];
    return;
  }
  inverse map = draw_map(g, turn, d, u);
  if (d->centre) add_centre(g, ink, &map);
  resample(g, ink, &map, x);
}

enum { BLOCK = 32 };

/* Computes x_i <- (x_{i-1} + 2 x_i + x_{i+1}) / 4 along n pixels of several adjacent lines. `lines`
 * is the number of lines and at most BLOCK. */
static void smooth_lines(wl_real *x, int64_t n, int64_t stride, int64_t lines) {
  wl_real before[BLOCK] = {0};
  for (int64_t i = 0; i < n; i++, x += stride)
    for (int64_t l = 0; l < lines; l++) {
      const wl_real now = x[l], after = i + 1 < n ? x[l + stride] : 0;
      x[l] = (before[l] + 2 * now + after) / 4;
      before[l] = now;
    }
}

void wl_glyph_smooth(const wl_glyphs *g, int64_t times, wl_real *x) {
  for (int64_t k = 0; k < times; k++) {
    for (int64_t i = 0; i < g->rows; i++) smooth_lines(x + i * g->columns, g->columns, 1, 1);
    for (int64_t j = 0; j < g->columns; j += BLOCK)
      smooth_lines(x + j, g->rows, g->columns, g->columns - j < BLOCK ? g->columns - j : BLOCK);
  }
}
