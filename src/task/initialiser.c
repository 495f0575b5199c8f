/* initialiser.c - draws the initial parameters theta_0, one tensor after the other. The header initialiser.h lists the
 * kinds of initial values.
 *
 * Element i of the flat vector is computed from random number i of the episode's stream. The values of a tensor
 * therefore do not depend on the other tensors. For the kind `orthogonal`, Gaussian vectors are orthogonalised twice by
 * the method of Gram and Schmidt, in double precision. */
#include "task/initialiser.h"

#include <math.h>
#include <string.h>

#include "task/family.h"

static bool ends_with(const char *name, const char *end) {
  const size_t n = strlen(name), m = strlen(end);
  return n >= m && strcmp(name + n - m, end) == 0;
}

/* fan_in returns the number of inputs of each output of a weight, and fan_out returns the number of
 * outputs of each input. The weight has the shape (in,out) or (out,in,k,k). */
static double fan_in(const wl_tensor_entry *w) {
  return strstr(w->name, "embedding") ? 1.0 : (double)wl_net_fan_in(w);
}

static double fan_out(const wl_tensor_entry *w) {
  const int64_t in = w->ndim == 2 ? w->shape[0] : w->shape[1];
  return (double)(w->size / in);
}

static double dot(int64_t n, const double *a, const double *b) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* Makes vector k of `vectors` [k+1][n] orthogonal to the vectors before it, and scales vector k to
 * unit length. */
static void orthogonalise(double *vectors, int64_t k, int64_t n) {
  double *const v = vectors + k * n;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t j = 0; j < k; j++) {
      const double along = dot(n, v, vectors + j * n);
      for (int64_t i = 0; i < n; i++) v[i] -= along * vectors[j * n + i];
    }
  const double length = sqrt(dot(n, v, v));
  for (int64_t i = 0; i < n; i++) v[i] /= length;
}

static wl_status draw_orthogonal(wl_stream stream, const wl_tensor_entry *w, wl_real *out) {
  const int64_t rows = w->shape[0], columns = w->size / rows;
  const int64_t count = rows < columns ? rows : columns, length = rows < columns ? columns : rows;
  double *vectors = NULL;
  WL_TRY(WL_NEW(vectors, w->size));
  wl_rng_normal(stream, (uint64_t)w->offset, w->size, 1.0, out);
  for (int64_t k = 0; k < count; k++) {
    for (int64_t i = 0; i < length; i++)
      vectors[k * length + i] = out[rows < columns ? k * columns + i : i * columns + k];
    orthogonalise(vectors, k, length);
  }
  for (int64_t k = 0; k < count; k++)
    for (int64_t i = 0; i < length; i++)
      out[rows < columns ? k * columns + i : i * columns + k] = (wl_real)vectors[k * length + i];
  wl_free(vectors);
  return WL_OK;
}

static wl_status draw_weight(const wl_initialiser *how, wl_stream stream, const wl_tensor_entry *w,
                             wl_real *out) {
  const uint64_t first = (uint64_t)w->offset;
  switch (how->kind) {
    case WL_INITIALISER_NORMAL: wl_rng_normal(stream, first, w->size, how->scale, out); break;
    case WL_INITIALISER_FAN_IN:
      wl_rng_truncated_normal(stream, first, w->size, 1.0 / sqrt(fan_in(w)), out);
      break;
    case WL_INITIALISER_HE:
      wl_rng_normal(stream, first, w->size, sqrt(2.0 / fan_in(w)), out);
      break;
    case WL_INITIALISER_GLOROT: {
      const double bound = sqrt(6.0 / (fan_in(w) + fan_out(w)));
      wl_rng_uniform(stream, first, w->size, -bound, bound, out);
      break;
    }
    case WL_INITIALISER_ORTHOGONAL: return draw_orthogonal(stream, w, out);
  }
  return WL_OK;
}

/* Draws the initial values of one tensor. The caller has set `out` to zero. */
static wl_status draw_block(const wl_initialiser *how, wl_stream stream, const wl_tensor_entry *block,
                            wl_real *out) {
  if (ends_with(block->name, ".shift")) return WL_OK;
  if (ends_with(block->name, ".scale")) {
    for (int64_t i = 0; i < block->size; i++) out[i] = 1;
    return WL_OK;
  }
  if (block->ndim > 1 || how->kind == WL_INITIALISER_NORMAL)
    return draw_weight(how, stream, block, out);
  return WL_OK;
}

wl_status wl_initialiser_theta0(const wl_initialiser *initialiser, const wl_task *task,
                                const wl_episode *episode, wl_real *theta) {
  const wl_layout *layout = wl_task_theta(task);
  const wl_stream stream = wl_episode_stream(episode, WL_FOR_THETA0, 0);
  memset(theta, 0, (size_t)task->n * sizeof *theta);
  for (int i = 0; i < layout->count; i++)
    WL_TRY(draw_block(initialiser, stream, &layout->tensors[i], theta + layout->tensors[i].offset));
  return WL_OK;
}
