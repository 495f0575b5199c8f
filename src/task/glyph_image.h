/* glyph_image.h - converts one image of a character to the input of a network. The image is turned,
 * distorted and converted to reals.
 *
 *   x(p) = ink(A^-1 (p - c - t) + c'),   A = (1 + s) R(angle) S
 *
 * c is the centre of the image. The value ink(q) is the value of the source pixel that is nearest to q. Outside of the
 * source image, ink(q) is 0 (paper). If `centre` is false, c' = c. If `centre` is true, c' is the ink's centre of mass,
 * rounded so that c' - c is a whole number of pixels. S stretches the image by the factor k along the direction b, and
 * by 1 / k across this direction.
 *
 * R is a rotation by the angle 90 degrees * turn + a. The drawn numbers a, s, t, k and b are uniformly distributed. The
 * angle a is in [-rotate, rotate] and s is in [-scale, scale]. Both components of t are in [-shift, shift] times the
 * side. The factor k is in [1, 1 + stretch] and b is in [0, pi]. If there is no distortion, the pixels are copied. Only
 * files of src/task include this header. */
#ifndef WL_TASK_GLYPH_IMAGE_H
#define WL_TASK_GLYPH_IMAGE_H

#include "base/real.h"
#include "task/glyphs.h"

/* The bounds of a random distortion. */
typedef struct wl_distortion {
  double rotate;  /* largest angle of the rotation, in degrees */
  double shift;   /* largest shift, as a fraction of the side of the image */
  double scale;   /* largest relative change of the size; less than 1 */
  double stretch; /* largest factor k of the stretch, minus 1 */
  bool centre;    /* true: the ink's centre of mass is first moved to the centre of the image */
} wl_distortion;

/* A distortion needs WL_DISTORTION_DRAWS random numbers. The last WL_STRETCH_DRAWS random numbers
 * of a distortion are b / pi and (k - 1) / stretch. */
enum { WL_STRETCH_DRAWS = 2, WL_DISTORTION_DRAWS = 4 + WL_STRETCH_DRAWS };

/* Computes the input x [rows][columns] from the source image `ink` [rows][columns], in which 1 is
 * ink and 0 is paper. `u` contains random numbers that are uniformly distributed in [0,1). */
void wl_glyph_image(const wl_glyphs *glyphs, const uint8_t *ink, int64_t turn,
                    const wl_distortion *distortion, const double u[WL_DISTORTION_DRAWS],
                    wl_real *x);

/* Smooths x with the filter (1 2 1) / 4 along rows and along columns, and repeats this `times`
 * times. Pixels outside of the image are paper. */
void wl_glyph_smooth(const wl_glyphs *glyphs, int64_t times, wl_real *x);

#endif
