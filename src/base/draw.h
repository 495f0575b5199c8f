/* draw.h - values of configuration keys that may be distributions. */
#ifndef WL_BASE_DRAW_H
#define WL_BASE_DRAW_H

#include "base/options.h"
#include "base/rng.h"

/* Returns the value of element `element` of the stream: the number itself, one of the choices, or a number drawn
 * uniformly from [low, high]; for log_uniform, a number whose logarithm is uniform. */
double wl_draw_value(const wl_draw *draw, wl_stream stream, uint64_t element);

/* Makes a copy that owns its choices; the caller clears it with wl_draw_clear. */
wl_status wl_draw_copy(wl_draw draw, wl_draw *out);
void wl_draw_clear(wl_draw *draw);
/* Returns the smallest value that can be drawn. */
double wl_draw_least(const wl_draw *draw);

#endif
