/* draw.c - draws values from the distribution of a configuration key. */
#include "base/draw.h"

#include <math.h>
#include <string.h>

double wl_draw_value(const wl_draw *draw, wl_stream stream, uint64_t element) {
  double u;
  int64_t at;
  switch (draw->kind) {
    case WL_DRAW_FIXED: break;
    case WL_DRAW_ONE_OF:
      wl_rng_index(stream, element, 1, (uint64_t)draw->choices.count, &at);
      return draw->choices.at[at];
    case WL_DRAW_UNIFORM:
      wl_rng_uniform_double(stream, element, 1, draw->low, draw->high, &u);
      return u;
    case WL_DRAW_LOG_UNIFORM:
      wl_rng_uniform_double(stream, element, 1, log(draw->low), log(draw->high), &u);
      u = exp(u);
      return u < draw->low ? draw->low : u > draw->high ? draw->high : u;
  }
  return draw->low;
}

wl_status wl_draw_copy(wl_draw draw, wl_draw *out) {
  *out = draw;
  out->choices = (wl_reals){NULL, 0};
  if (draw.choices.count == 0) return WL_OK;
  double *at = NULL;
  WL_TRY(WL_NEW(at, draw.choices.count));
  memcpy(at, draw.choices.at, (size_t)draw.choices.count * sizeof *at);
  out->choices = (wl_reals){at, draw.choices.count};
  return WL_OK;
}

void wl_draw_clear(wl_draw *draw) {
  wl_free((void *)draw->choices.at);
  *draw = (wl_draw){0};
}

double wl_draw_least(const wl_draw *draw) {
  double least = draw->low < draw->high ? draw->low : draw->high;
  for (int i = 0; i < draw->choices.count; i++)
    if (draw->choices.at[i] < least) least = draw->choices.at[i];
  return least;
}
