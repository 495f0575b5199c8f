/* channels.h - defines functions that treat a tensor as an array [batch][channels][inner] and
 * compute a sum for each channel. Only files in src/tensor include this header. */
#ifndef WL_TENSOR_CHANNELS_H
#define WL_TENSOR_CHANNELS_H

#include "tensor/sums.h"
#include "tensor/tape_impl.h"

typedef struct wl_channels {
  /* shape (B,C,H,W): inner = H * W; shape (B,n): channels = n and inner = 1 */
  int64_t batch, channels, inner;
} wl_channels;

static inline wl_channels wl_channels_of(const wl_tape_node *node) {
  return (wl_channels){node->shape[0], node->shape[1],
                       node->size / (node->shape[0] * node->shape[1])};
}

static inline bool wl_has_channels(const wl_tape_node *node) {
  return node->ndim == 2 || node->ndim == 4;
}

/* Executes a statement for each element of a tensor. In the statement, `at` is the index of the
 * element, and `c` is the index of its channel. The case with `inner` equal to 1 has a separate
 * loop, because in this case the compiler can vectorise only the loop over channels. */
#define WL_FOR_EACH_OF_CHANNEL(s, at, c, ...)                                   \
  do {                                                                          \
    for (int64_t b_ = 0, at = 0; (s).inner == 1 && b_ < (s).batch; ++b_)        \
      for (int64_t c = 0; c < (s).channels; ++c, ++at) __VA_ARGS__;             \
    for (int64_t r_ = 0, at = 0; (s).inner != 1 && r_ < (s).batch; ++r_)        \
      for (int64_t c = 0; c < (s).channels; ++c)                                \
        for (const int64_t end_ = at + (s).inner; at < end_; ++at) __VA_ARGS__; \
  } while (0)

/* Computes out[at] = expr for each element of a tensor. If `keep` is true, expr is added to out[at]
 * instead. */
#define WL_PUT_BY_CHANNEL(s, at, c, out, keep, expr)                 \
  do {                                                               \
    if (keep) WL_FOR_EACH_OF_CHANNEL(s, at, c, (out)[at] += (expr)); \
    else WL_FOR_EACH_OF_CHANNEL(s, at, c, (out)[at] = (expr));       \
  } while (0)

/* Sets out[c] to `factor` times the sum of x over all elements of channel c. */
static inline void wl_channel_sums(wl_channels s, const wl_real *restrict x, double factor,
                                   double *restrict out) {
  for (int64_t c = 0; c < s.channels; ++c) out[c] = 0.0;
  if (s.inner == 1) WL_FOR_EACH_OF_CHANNEL(s, at, c, out[c] += (double)x[at]);
  else
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t c = 0; c < s.channels; ++c)
        out[c] += wl_sum(s.inner, x + (b * s.channels + c) * s.inner);
  for (int64_t c = 0; c < s.channels; ++c) out[c] *= factor;
}

/* Sets out[c] to `factor` times the sum of x y over all elements of channel c. */
static inline void wl_channel_products(wl_channels s, const wl_real *x, const wl_real *y,
                                       double factor, double *restrict out) {
  for (int64_t c = 0; c < s.channels; ++c) out[c] = 0.0;
  if (s.inner == 1) WL_FOR_EACH_OF_CHANNEL(s, at, c, out[c] += (double)x[at] * (double)y[at]);
  else
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t c = 0; c < s.channels; ++c) {
        const int64_t at = (b * s.channels + c) * s.inner;
        out[c] += wl_sum_product(s.inner, x + at, y + at);
      }
  for (int64_t c = 0; c < s.channels; ++c) out[c] *= factor;
}

#endif
