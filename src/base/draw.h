/* draw.h - values of configuration keys that may be distributions. */
#ifndef WL_BASE_DRAW_H
#define WL_BASE_DRAW_H

#include "base/options.h"
#include "base/rng.h"

/* Returns the value for element `element` of the stream. A fixed draw returns its number, and one_of returns one of its
 * choices. uniform returns a uniformly distributed number from [low, high]. log_uniform returns a number from [low,
 * high] with a uniformly distributed logarithm. */
double wl_draw_value(const wl_draw *draw, wl_stream stream, uint64_t element);

/* Makes a copy that owns its choices. The caller clears the copy with wl_draw_clear. */
wl_status wl_draw_copy(wl_draw draw, wl_draw *out);
void wl_draw_clear(wl_draw *draw);
/* Returns the smallest value that can be drawn. */
double wl_draw_least(const wl_draw *draw);

#endif
