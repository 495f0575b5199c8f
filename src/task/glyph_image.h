/* glyph_image.h - converts one packed image to a network's input. The image is turned, distorted and converted to
 * reals.
 *
 *   x(p) = ink(A^-1 (p - c - t) + c'),   A = (1 + s) R(angle) S
 *
 * c is the centre of the image. x(p) is the nearest pixel of the packed image, or paper outside of it. Without
 * `centre`, c' = c. With `centre`, c' is the ink's centre of mass, where the distance from c is rounded to whole
 * pixels. S stretches by k in [1, 1 + stretch] along a direction b in [0, pi], and by 1 / k across this direction.
 *
 * angle = 90 degrees * turn + a. All drawn numbers are uniform: a in [-rotate, rotate], t in [-shift, shift] of the
 * side in each direction, s in [-scale, scale]. Without a distortion, pixels are copied. Private to src/task. */
#ifndef WL_TASK_GLYPH_IMAGE_H
#define WL_TASK_GLYPH_IMAGE_H

#include "base/real.h"
#include "task/glyphs.h"

/* Bounds of the random distortion. */
typedef struct wl_distortion {
  double rotate;  /* largest angle, in degrees */
  double shift;   /* largest shift, as a fraction of the side */
  double scale;   /* largest change of the size, as a fraction less than 1 */
  double stretch; /* the largest k minus 1 */
  bool centre;    /* first, move the ink's centre of mass to the image's centre */
} wl_distortion;

/* Numbers of random draws for a distortion. The last WL_STRETCH_DRAWS draws are for the stretch: b / pi, then (k - 1) /
 * stretch. */
enum { WL_STRETCH_DRAWS = 2, WL_DISTORTION_DRAWS = 4 + WL_STRETCH_DRAWS };

/* Computes x [rows][columns] from `ink` [rows][columns] (1: ink, 0: paper). u [WL_DISTORTION_DRAWS] is uniform in
 * [0,1). */
void wl_glyph_image(const wl_glyphs *glyphs, const uint8_t *ink, int64_t turn,
                    const wl_distortion *distortion, const double u[WL_DISTORTION_DRAWS],
                    wl_real *x);

/* Smooths x `times` times by the binomial filter (1 2 1) / 4 along rows and columns. Pixels outside of the image are
 * paper. */
void wl_glyph_smooth(const wl_glyphs *glyphs, int64_t times, wl_real *x);

#endif
