/* kernel_window.c - computes the forward and the backward pass of the LSTM over one window. */
#include "measure/kernel_window.h"

#include <string.h>

#include "base/clock.h"

/* Creates an LSTM with two layers of 20 units. Published learned optimizers use this size. */
static wl_status create_rule(const char *preprocessing, wl_rule **out) {
  static const int64_t hidden[] = {20, 20};
  const wl_override keys[] = {{WL_OVERRIDE_TEXT, "rule.name", .text = "lstm"},
                              {WL_OVERRIDE_INTS, "rule.hidden", .ints = {hidden, 2}},
                              {WL_OVERRIDE_TEXT, "rule.preprocessing", .text = preprocessing},
                              {WL_OVERRIDE_REAL, "rule.gradient_scale", .real = 1},
                              {WL_OVERRIDE_REAL, "rule.output_scale", .real = 1},
                              {WL_OVERRIDE_REAL, "rule.momentum", .real = 0}};
  const wl_rule_setting setting = {
      .theta = &(const wl_layout){0}, .episode_steps = WL_WINDOW_STEPS, .mixture = true};
  return wl_rule_create_by(keys, sizeof keys / sizeof *keys, &setting, out);
}

/* Returns how many numbers the activations of one step contain. */
static int64_t record(const wl_kernel_window *w) { return w->blocks * w->rule->activations; }

static wl_status allocate(wl_kernel_window *w, const wl_kernel_setting *setting) {
  const int64_t state = w->lanes * w->rule->state_width;
  const int64_t kept = WL_WINDOW_STEPS * record(w);
  WL_TRY(WL_NEW(w->phi, w->rule->phi.size));
  WL_TRY(WL_NEW(w->phi_grad, w->rule->phi.size));
  WL_TRY(WL_NEW(w->g, WL_WINDOW_STEPS * w->lanes));
  WL_TRY(WL_NEW(w->u, w->lanes));
  WL_TRY(WL_NEW(w->lam, w->lanes));
  WL_TRY(WL_NEW(w->start, state));
  WL_TRY(WL_NEW(w->state, state));
  WL_TRY(WL_NEW(w->mu, state));
  if (kept * (int64_t)sizeof(wl_real) <= setting->most_kept) WL_TRY(WL_NEW(w->activations, kept));
  return wl_rule_ws_create(w->rule, &w->layout, true, setting->threads, &w->ws);
}

void wl_kernel_window_destroy(wl_kernel_window *w) {
  void *const owned[] = {w->phi,   w->phi_grad, w->g,  w->u,          w->lam,
                         w->start, w->state,    w->mu, w->activations};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  wl_rule_ws_destroy(&w->ws);
  wl_rule_destroy(&w->rule);
}

wl_status wl_kernel_window_create(const wl_kernel_setting *setting, wl_kernel_window *w) {
  *w = (wl_kernel_window){.coordinates = setting->coordinates,
                          .blocks = wl_blocks(setting->coordinates),
                          .lanes = wl_pad(setting->coordinates)};
  w->layout.size = setting->coordinates;
  wl_status status = create_rule(setting->preprocessing, &w->rule);
  if (status == WL_OK) status = allocate(w, setting);
  if (status != WL_OK) {
    wl_kernel_window_destroy(w);
    return status;
  }
  const wl_stream stream = {.seed = 1, .purpose = WL_FOR_PROBE, .space = WL_SPACE_CHECK};
  wl_rng_normal(stream, 0, WL_WINDOW_STEPS * w->lanes, 1.0, w->g);
  w->rule->ops->init(w->rule, 1, w->phi);
  wl_rule_pack(w->rule, w->ws, w->phi);
  return WL_OK;
}

void wl_kernel_window_reset(wl_kernel_window *w) {
  const size_t state = (size_t)(w->lanes * w->rule->state_width) * sizeof *w->state;
  memset(w->state, 0, state);
  memset(w->mu, 0, state);
  memcpy(w->lam, w->g, (size_t)w->lanes * sizeof *w->lam);
}

void wl_kernel_window_forward(wl_kernel_window *w, int64_t blocks, bool keep) {
  for (int64_t t = 0; t < WL_WINDOW_STEPS; t++)
    wl_rule_step(w->rule, w->ws,
                 &(wl_inner_step){.t = t,
                                  .blocks = blocks,
                                  .g = w->g + t * w->lanes,
                                  .s_in = w->state,
                                  .s_out = w->state,
                                  .u = w->u,
                                  .activations = keep ? w->activations + t * record(w) : NULL});
}

void wl_kernel_window_backward(wl_kernel_window *w, int64_t steps, bool kept) {
  for (int64_t t = WL_WINDOW_STEPS - steps; t >= 0; t -= steps) {
    const wl_real *const at = kept ? w->activations + t * record(w) : NULL;
    const wl_rule_chunk chunk = {.t0 = t,
                                 .steps = steps,
                                 .blocks = w->blocks,
                                 .g = w->g + t * w->lanes,
                                 .state = w->start,
                                 .lam = w->lam,
                                 .mu = w->mu,
                                 .activations = at,
                                 .activations_before = at && t > 0 ? at - record(w) : NULL};
    wl_rule_backward(w->rule, w->ws, &chunk, w->phi_grad);
  }
}

double wl_kernel_window_seconds(wl_kernel_window *w, bool keep) {
  wl_kernel_window_reset(w);
  const double start = wl_seconds();
  wl_kernel_window_forward(w, w->blocks, keep);
  wl_kernel_window_backward(w, WL_WINDOW_STEPS, keep);
  return wl_seconds() - start;
}
