/* augment.c - draws the augmentations that augment.h describes, and applies them to losses,
 * gradients and initial values. */
#include "task/augment.h"

#include <string.h>

#include "task/family.h"

struct wl_augment {
  wl_draw loss_scale, gradient_noise;
  int reparametrise; /* value of wl_augment_keys.reparametrise */
  double jitter;     /* value of wl_augment_keys.scale_jitter, which is a probability */
  double reparametrise_range[2], jitter_range[2];
};

struct wl_augment_ws {
  const wl_augment *augment; /* borrowed */
  int64_t n;
  wl_episode episode;
  double loss_scale, noise_sd;
  /* the factors c and the products c o theta and c o v, of n elements each; NULL if `reparametrise`
   * is none */
  wl_real *factor, *theta, *v;
  wl_real *noise; /* the noise xi of the inner step `step`, of n elements, or NULL if there is no
                   * noise */
  int64_t step;                /* inner step for which xi was drawn, or -1 if xi was not drawn */
};

static bool always(const wl_draw *draw, double value) {
  return draw->kind == WL_DRAW_FIXED && !(draw->low < value) && !(draw->low > value);
}

/* Copies the value of a key that is a range [low, high], and checks that low is at most high. The
 * options table ensures that both bounds are above 0. */
static wl_status copy_range(const wl_map *options, const char *key, wl_reals values,
                            double range[2]) {
  if (values.count != 2 || !(values.at[0] <= values.at[1]))
    return wl_map_fail(options, key, "expected two numbers [low, high] with low at most high");
  range[0] = values.at[0];
  range[1] = values.at[1];
  return WL_OK;
}

static wl_status copy_keys(const wl_augment_keys *keys, const wl_map *options, wl_augment *a) {
  WL_TRY(wl_draw_copy(keys->loss_scale, &a->loss_scale));
  WL_TRY(wl_draw_copy(keys->gradient_noise, &a->gradient_noise));
  a->reparametrise = keys->reparametrise;
  a->jitter = keys->scale_jitter;
  WL_TRY(copy_range(options, "reparametrise_range", keys->reparametrise_range,
                    a->reparametrise_range));
  return copy_range(options, "scale_jitter_range", keys->scale_jitter_range, a->jitter_range);
}

wl_status wl_augment_create(const wl_augment_keys *keys, const wl_map *options, wl_augment **out) {
  wl_augment *a = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(a, 1));
  const wl_status status = copy_keys(keys, options, a);
  const bool nothing =
      always(&a->loss_scale, 1.0) && always(&a->gradient_noise, 0.0) && !wl_augment_moves_start(a);
  if (status != WL_OK || nothing) wl_augment_destroy(&a);
  *out = a;
  return status;
}

void wl_augment_destroy(wl_augment **augment) {
  if (!*augment) return;
  wl_draw_clear(&(*augment)->loss_scale);
  wl_draw_clear(&(*augment)->gradient_noise);
  wl_free(*augment);
  *augment = NULL;
}

bool wl_augment_moves_start(const wl_augment *a) {
  return a && (a->reparametrise != WL_REPARAMETRISE_NONE || a->jitter > 0.0);
}

double wl_augment_cost(const wl_augment *a, int64_t n) {
  if (!a) return 0.0;
  const double noise = always(&a->gradient_noise, 0.0) ? 0.0 : 150.0;
  return (noise + (a->reparametrise == WL_REPARAMETRISE_NONE ? 1.0 : 3.0)) * (double)n;
}

wl_status wl_augment_ws_create(const wl_augment *augment, int64_t n, wl_augment_ws **out) {
  wl_augment_ws *ws = NULL;
  *out = NULL;
  if (!augment) return WL_OK;
  WL_TRY(WL_NEW(ws, 1));
  *ws = (wl_augment_ws){.augment = augment, .n = n, .step = -1};
  wl_status status = WL_OK;
  if (augment->reparametrise != WL_REPARAMETRISE_NONE) {
    status = WL_NEW(ws->factor, n);
    if (status == WL_OK) status = WL_NEW(ws->theta, n);
    if (status == WL_OK) status = WL_NEW(ws->v, n);
  }
  if (status == WL_OK && !always(&augment->gradient_noise, 0.0)) status = WL_NEW(ws->noise, n);
  if (status != WL_OK) wl_augment_ws_destroy(&ws);
  *out = ws;
  return status;
}

void wl_augment_ws_destroy(wl_augment_ws **ws) {
  if (!*ws) return;
  wl_free((*ws)->factor);
  wl_free((*ws)->theta);
  wl_free((*ws)->v);
  wl_free((*ws)->noise);
  wl_free(*ws);
  *ws = NULL;
}

size_t wl_augment_ws_bytes(const wl_augment *a, int64_t n) {
  if (!a) return 0;
  const int64_t vectors = (a->reparametrise == WL_REPARAMETRISE_NONE ? 0 : 3) +
                          (always(&a->gradient_noise, 0.0) ? 0 : 1);
  return sizeof(wl_augment_ws) + (size_t)(vectors * n) * sizeof(wl_real);
}

static double log_uniform(const double range[2], wl_stream stream, int64_t element) {
  const wl_draw draw = {WL_DRAW_LOG_UNIFORM, range[0], range[1], {NULL, 0}};
  return wl_draw_value(&draw, stream, (uint64_t)element);
}

static wl_stream stream_of(const wl_augment_ws *ws, uint64_t what) {
  return wl_episode_stream(&ws->episode, WL_FOR_DRAW, what);
}

/* Draws the factors c of the parameters. The key `reparametrise` determines whether a factor
 * applies to all parameters, to the parameters of one tensor, or to one parameter. */
static void draw_factors(wl_augment_ws *ws, const wl_layout *layout) {
  const wl_augment *a = ws->augment;
  const wl_stream stream = stream_of(ws, WL_DRAW_OF_REPARAMETRISATION);
  for (int b = 0; b < layout->count; b++) {
    const wl_tensor_entry *block = &layout->tensors[b];
    const double one = log_uniform(a->reparametrise_range, stream,
                                   a->reparametrise == WL_REPARAMETRISE_TENSOR ? b : 0);
    for (int64_t i = block->offset; i < block->offset + block->size; i++)
      ws->factor[i] = (wl_real)(a->reparametrise == WL_REPARAMETRISE_PARAMETER
                                    ? log_uniform(a->reparametrise_range, stream, i)
                                    : one);
  }
}

void wl_augment_bind(wl_augment_ws *ws, const wl_layout *theta, const wl_episode *episode) {
  if (!ws) return;
  const wl_augment *a = ws->augment;
  ws->episode = *episode;
  ws->step = -1;
  ws->loss_scale = wl_draw_value(&a->loss_scale, stream_of(ws, WL_DRAW_OF_LOSS_SCALE), 0);
  ws->noise_sd = wl_draw_value(&a->gradient_noise, stream_of(ws, WL_DRAW_OF_GRADIENT_NOISE), 0);
  if (ws->factor) draw_factors(ws, theta);
}

double wl_augment_loss_scale(const wl_augment_ws *ws) { return ws ? ws->loss_scale : 1.0; }

static void jitter(const wl_augment_ws *ws, const wl_layout *layout, wl_real *theta) {
  const wl_stream stream = stream_of(ws, WL_DRAW_OF_SCALE_JITTER);
  double u;
  wl_rng_uniform_double(stream, 0, 1, 0.0, 1.0, &u);
  if (!(u < ws->augment->jitter)) return;
  for (int b = 0; b < layout->count; b++) {
    const wl_tensor_entry *block = &layout->tensors[b];
    const wl_real factor = (wl_real)log_uniform(ws->augment->jitter_range, stream, 1 + b);
    for (int64_t i = block->offset; i < block->offset + block->size; i++) theta[i] *= factor;
  }
}

void wl_augment_start(const wl_augment_ws *ws, const wl_layout *layout, wl_real *theta) {
  if (!ws) return;
  if (ws->augment->jitter > 0.0) jitter(ws, layout, theta);
  for (int64_t i = 0; ws->factor && i < ws->n; i++) theta[i] /= ws->factor[i];
}

static void scale_by(int64_t n, const wl_real *restrict factor, const wl_real *restrict x,
                     wl_real *restrict out) {
  for (int64_t i = 0; i < n; i++) out[i] = factor[i] * x[i];
}

const wl_real *wl_augment_theta(wl_augment_ws *ws, const wl_real *theta) {
  if (!ws || !ws->factor) return theta;
  scale_by(ws->n, ws->factor, theta, ws->theta);
  return ws->theta;
}

const wl_real *wl_augment_last(const wl_augment_ws *ws, const wl_real *theta) {
  return ws && ws->factor ? ws->theta : theta;
}

const wl_real *wl_augment_direction(wl_augment_ws *ws, const wl_real *v) {
  if (!ws || !ws->factor) return v;
  scale_by(ws->n, ws->factor, v, ws->v);
  return ws->v;
}

/* Returns the noise vector xi, of n elements, for the inner step of the batch. Returns NULL if the
 * batch has no noise. */
static const wl_real *noise_of(wl_augment_ws *ws, const wl_batch *batch) {
  if (batch->purpose != WL_FOR_INNER_BATCH || !(ws->noise_sd > 0.0)) return NULL;
  if (ws->step != batch->step)
    wl_rng_normal(wl_episode_stream(&ws->episode, WL_FOR_GRADIENT_NOISE, (uint64_t)batch->step), 0,
                  ws->n, ws->noise_sd, ws->noise);
  ws->step = batch->step;
  return ws->noise;
}

static double product(int64_t n, const wl_real *x, const wl_real *y) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
  return sum;
}

/* Computes x <- s c o x. */
static void multiply(const wl_augment_ws *ws, wl_real *x) {
  const wl_real s = (wl_real)ws->loss_scale;
  for (int64_t i = 0; i < ws->n; i++) x[i] *= ws->factor ? s * ws->factor[i] : s;
}

double wl_augment_loss(wl_augment_ws *ws, const wl_batch *batch, const wl_real *theta,
                       double loss) {
  if (!ws) return loss;
  const wl_real *noise = noise_of(ws, batch);
  return ws->loss_scale * (loss + (noise ? product(ws->n, noise, theta) : 0.0));
}

void wl_augment_product(const wl_augment_ws *ws, wl_real *hv_theta, wl_real *hv_phi,
                        int64_t n_phi) {
  if (!ws) return;
  if (hv_theta) multiply(ws, hv_theta);
  for (int64_t i = 0; hv_phi && i < n_phi; i++) hv_phi[i] *= (wl_real)ws->loss_scale;
}

void wl_augment_gradient(wl_augment_ws *ws, const wl_batch *batch, wl_real *grad_theta,
                         wl_real *grad_phi, int64_t n_phi) {
  if (!ws) return;
  wl_augment_product(ws, grad_theta, grad_phi, n_phi);
  const wl_real *noise = noise_of(ws, batch), s = (wl_real)ws->loss_scale;
  for (int64_t i = 0; grad_theta && noise && i < ws->n; i++) grad_theta[i] += s * noise[i];
}
