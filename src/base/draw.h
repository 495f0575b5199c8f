/* draw.h - draws the values of configuration keys that may be distributions. */
#ifndef WL_BASE_DRAW_H
#define WL_BASE_DRAW_H

#include "base/options.h"
#include "base/rng.h"

/* Draws a value from the random number that has the index `element` in the stream. If the key is a
 * plain number, the function returns this number. For the distribution `one_of`, the function
 * returns one of the choices. For the distribution `uniform`, the value is uniformly distributed in
 * [low, high]. For the distribution `log_uniform`, the logarithm of the value is uniformly
 * distributed, and the value is in [low, high]. */
double wl_draw_value(const wl_draw *draw, wl_stream stream, uint64_t element);

/* Copies a distribution and its choices. The caller frees the copied choices with wl_draw_clear. */
wl_status wl_draw_copy(wl_draw draw, wl_draw *out);
void wl_draw_clear(wl_draw *draw);
/* Returns the smallest value that can be drawn. */
double wl_draw_least(const wl_draw *draw);

#endif
