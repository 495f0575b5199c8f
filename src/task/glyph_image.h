/* glyph_image.h - converts one packed image to a network's input: turned, distorted, in reals.
 *
 *   x(p) = ink(A^-1 (p - c - t) + c'),   A = (1 + s) R(angle) S,   c the centre, nearest pixel, paper outside
 *
 * c' = c, or with `centre` c plus the vector from c to the ink's centre of mass, rounded to whole pixels. S stretches by
 * k in [1, 1 + stretch] along a direction b in [0, pi] and by 1 / k across it.
 *
 * angle = 90 degrees * turn + a with a in [-rotate, rotate], t in [-shift, shift] of the side in each
 * direction, s in [-scale, scale], all uniform. Without a distortion pixels are copied.
 * Private to src/task. */
#ifndef WL_TASK_GLYPH_IMAGE_H
#define WL_TASK_GLYPH_IMAGE_H

#include "base/real.h"
#include "task/glyphs.h"

/* Bounds of the random distortion. */
typedef struct wl_distortion {
  double rotate;  /* degrees */
  double shift;   /* share of the side */
  double scale;   /* share of the size, less than 1 */
  double stretch; /* the largest k, less 1 */
  bool centre;    /* the ink's centre of mass moves to the image's centre first */
} wl_distortion;

/* Numbers for a distortion. The last WL_STRETCH_DRAWS are for the stretch: b / pi, then (k - 1) / stretch. */
enum { WL_STRETCH_DRAWS = 2, WL_DISTORTION_DRAWS = 4 + WL_STRETCH_DRAWS };

/* Computes x [rows][columns] from `ink` [rows][columns] (1: ink, 0: paper); u [WL_DISTORTION_DRAWS] is uniform in
 * [0,1). */
void wl_glyph_image(const wl_glyphs *glyphs, const uint8_t *ink, int64_t turn,
                    const wl_distortion *distortion, const double u[WL_DISTORTION_DRAWS],
                    wl_real *x);

/* x <- w * x, `times` times: w is the binomial filter (1 2 1) / 4 along rows and columns, with paper outside. */
void wl_glyph_smooth(const wl_glyphs *glyphs, int64_t times, wl_real *x);

#endif
