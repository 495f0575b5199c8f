/* lstm_fixture.c - creates the chunks of inner steps that the tests of the LSTM compare, and runs the kernels on
 * them. */
#include "unit/lstm_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int lstm_fixture_each_isa(int (*tests)(const char *isa)) {
  static const char *const names[] = {"avx512", "avx2", "baseline"};
  char only[16] = ""; /* the value is copied, because setenv may overwrite the result of getenv */
  if (getenv("WARPLOOM_ISA")) snprintf(only, sizeof only, "%s", getenv("WARPLOOM_ISA"));
  int failed = 0, run = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (only[0] && strcmp(only, names[i]) != 0) continue;
    setenv("WARPLOOM_ISA", names[i], 1);
    const bool available = strcmp(wl_lstm_kernel_select()->name, names[i]) == 0;
    if (available) failed += tests(names[i]);
    else print_message("%s: not on this processor, left out\n", names[i]);
    run += available;
  }
  return run > 0 ? failed : 1;
}

static void fill(uint64_t step, int64_t n, double spread, wl_real *out) {
  const wl_stream s = {.seed = 7, .purpose = WL_FOR_PROBE, .space = WL_SPACE_CHECK, .step = step};
  wl_rng_uniform(s, 0, n, -spread, spread, out);
}

static wl_real *reals(int64_t n) {
  wl_real *p = NULL;
  assert_int_equal(wl_alloc((void **)&p, (size_t)n, sizeof *p), WL_OK);
  return p;
}

/* Sets the unused lanes of each block of p to zero. Each block has `rows` rows. */
static void clear_padding(const lstm_fixture *f, int64_t rows, wl_real *p) {
  for (int64_t at = f->n; at < f->lanes; at++)
    for (int64_t r = 0; r < rows; r++) p[(at / WL_LANES * rows + r) * WL_LANES + at % WL_LANES] = 0;
}

static void fill_gradients(lstm_fixture *f) {
  const int64_t all = f->steps * f->lanes;
  fill(1, all, 1, f->g);
  wl_real *exponent = f->u; /* this array is not used before the forward pass */
  fill(2, all, 1, exponent);
  for (int64_t i = 0; i < all; i++) f->g[i] *= (wl_real)pow(10, 3 * ((double)exponent[i] - 1));
  fill(3, all, 1, f->loss_grad);
  for (int64_t k = 0; k < f->steps; k++) {
    f->weight[k] = 0.5 + 0.05 * (double)k;
    clear_padding(f, 1, f->g + k * f->lanes);
    clear_padding(f, 1, f->loss_grad + k * f->lanes);
  }
}

void lstm_fixture_create(lstm_fixture *f, const lstm_case *c, double spread) {
  memset(f, 0, sizeof *f);
  wl_lstm_net_shape(&f->net, c->input, c->momentum, c->layers, c->hidden);
  f->net.rate = (wl_real)0.3;
  wl_lstm_net_scales(&f->net, 0, 1.5, 0.7, 1);
  f->rule = (wl_rule){.ops = &wl_rule_lstm,
                      .impl = &f->net,
                      .state_width = f->net.width,
                      .activations = wl_lstm_kernel_select()->activation_reals(&f->net)};
  f->rule.phi.size = f->net.parameters;
  f->n = c->n;
  f->blocks = wl_blocks(c->n);
  f->lanes = wl_pad(c->n);
  f->steps = c->steps;
  const int64_t all = f->steps * f->lanes, state = f->lanes * f->net.width;
  f->phi = reals(f->net.parameters);
  f->g = reals(all);
  f->loss_grad = reals(all);
  f->gbar = reals(all);
  f->u = reals(all);
  f->state = reals(state);
  f->after = reals(state);
  f->lam0 = reals(f->lanes);
  f->lam = reals(f->lanes);
  f->mu0 = reals(state);
  f->mu = reals(state);
  assert_int_equal(WL_NEW(f->phi_grad, f->net.parameters), WL_OK);
  fill(4, f->net.parameters, spread, f->phi);
  fill(5, state, 0.5, f->state);
  fill(6, f->lanes, 1, f->lam0);
  fill(7, state, 0.5, f->mu0);
  fill_gradients(f);
  clear_padding(f, 1, f->lam0);
  clear_padding(f, f->net.width, f->mu0);
}

void lstm_fixture_destroy(lstm_fixture *f) {
  wl_real *all[] = {f->phi,   f->g,    f->loss_grad, f->gbar, f->u, f->state,
                    f->after, f->lam0, f->lam,       f->mu0,  f->mu};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) wl_free(all[i]);
  wl_free(f->phi_grad);
}

/* Contains the packed weights and the scratch memory of the reference kernel, or a workspace of the rule. */
typedef struct runner {
  wl_rule_ws ws;
  void *packed, *scratch;
} runner;

static void runner_create(const lstm_fixture *f, int threads, runner *r) {
  memset(r, 0, sizeof *r);
  if (threads == 0) {
    assert_int_equal(wl_alloc(&r->packed, 1, wl_lstm_kernel_reference.packed_bytes(&f->net)),
                     WL_OK);
    assert_int_equal(wl_alloc(&r->scratch, 1, wl_lstm_kernel_reference.scratch_bytes(&f->net)),
                     WL_OK);
    wl_lstm_kernel_reference.pack(&f->net, f->phi, r->packed);
  } else {
    r->ws = (wl_rule_ws){.threads = threads};
    const wl_layout theta = {.size = f->blocks * WL_LANES};
    assert_int_equal(wl_rule_lstm.ws_create(&f->rule, &theta, true, threads, &r->ws.impl), WL_OK);
    wl_rule_lstm.pack(&f->rule, &r->ws, f->phi);
  }
}

static void runner_destroy(runner *r) {
  wl_rule_lstm.ws_destroy(r->ws.impl);
  wl_free(r->packed);
  wl_free(r->scratch);
}

void lstm_fixture_forward(lstm_fixture *f, int threads, bool in_place) {
  runner r;
  runner_create(f, threads, &r);
  const size_t bytes = (size_t)(f->lanes * f->net.width) * sizeof *f->after;
  wl_real *const before = in_place ? f->after : reals(f->lanes * f->net.width);
  memcpy(f->after, f->state, bytes);
  for (int64_t k = 0; k < f->steps; k++) {
    const wl_real *g = f->g + k * f->lanes;
    wl_real *u = f->u + k * f->lanes;
    if (!in_place) memcpy(before, f->after, bytes);
    if (threads == 0)
      wl_lstm_kernel_reference.step(
          &f->net, r.packed, r.scratch,
          &(wl_lstm_step){.blocks = f->blocks, .g = g, .s_in = before, .s_out = f->after, .u = u});
    else
      wl_rule_lstm.step(
          &f->rule, &r.ws,
          &(wl_inner_step){
              .t = k, .blocks = f->blocks, .g = g, .s_in = before, .s_out = f->after, .u = u});
  }
  if (!in_place) wl_free(before);
  runner_destroy(&r);
}

/* The reference kernel sums the gradient over all blocks in double precision, and rounds the sum only once to
 * wl_real. */
static void reference_backward(lstm_fixture *f, runner *r, const wl_rule_chunk *chunk) {
  wl_real *partial = reals(f->net.parameters);
  wl_lstm_kernel_reference.backward(&f->net, r->packed, r->scratch, chunk, 0, f->blocks, partial);
  for (int64_t p = 0; p < f->net.parameters; p++) f->phi_grad[p] += (double)partial[p];
  wl_free(partial);
}

static void reset_adjoints(lstm_fixture *f) {
  memcpy(f->lam, f->lam0, (size_t)f->lanes * sizeof *f->lam);
  memcpy(f->mu, f->mu0, (size_t)(f->lanes * f->net.width) * sizeof *f->mu);
  memset(f->phi_grad, 0, (size_t)f->net.parameters * sizeof *f->phi_grad);
}

/* Runs the backward pass of the steps first, ..., first + steps - 1. The backward pass starts from `state`, or from the
 * activations of all steps in `kept`. */
static void backward_part(lstm_fixture *f, int threads, bool want_gbar, int64_t first,
                          int64_t steps, const wl_real *state, const wl_real *kept) {
  const int64_t record = f->blocks * f->rule.activations;
  runner r;
  runner_create(f, threads, &r);
  const wl_rule_chunk chunk = {
      .t0 = first,
      .steps = steps,
      .blocks = f->blocks,
      .state = state,
      .g = f->g + first * f->lanes,
      .loss_grad = f->loss_grad + first * f->lanes,
      .loss_weight = f->weight + first,
      .lam = f->lam,
      .mu = f->ends_here ? NULL : f->mu,
      .gbar = want_gbar ? f->gbar + first * f->lanes : NULL,
      .activations = kept ? kept + first * record : NULL,
      .activations_before = kept && first > 0 ? kept + (first - 1) * record : NULL};
  if (threads == 0) reference_backward(f, &r, &chunk);
  else wl_rule_lstm.backward(&f->rule, &r.ws, &chunk, f->phi_grad);
  runner_destroy(&r);
}

void lstm_fixture_backward(lstm_fixture *f, int threads, bool want_gbar) {
  reset_adjoints(f);
  backward_part(f, threads, want_gbar, 0, f->steps, f->state, NULL);
}

void lstm_fixture_backward_cut(lstm_fixture *f, int threads, int64_t cut) {
  const int64_t steps = f->steps;
  f->steps = cut;
  lstm_fixture_forward(f, threads, true);
  f->steps = steps;
  reset_adjoints(f);
  backward_part(f, threads, true, cut, steps - cut, f->after, NULL);
  backward_part(f, threads, true, 0, cut, f->state, NULL);
}

void lstm_fixture_backward_taped(lstm_fixture *f, int threads, int64_t cut) {
  const int64_t record = f->blocks * f->rule.activations;
  wl_real *const kept = reals(f->steps * record);
  runner r;
  runner_create(f, threads, &r);
  memcpy(f->after, f->state, (size_t)(f->lanes * f->net.width) * sizeof *f->after);
  for (int64_t k = 0; k < f->steps; k++)
    wl_rule_lstm.step(&f->rule, &r.ws,
                      &(wl_inner_step){.t = k,
                                       .blocks = f->blocks,
                                       .g = f->g + k * f->lanes,
                                       .s_in = f->after,
                                       .s_out = f->after,
                                       .u = f->u + k * f->lanes,
                                       .activations = kept + k * record});
  runner_destroy(&r);
  reset_adjoints(f);
  if (cut < f->steps) backward_part(f, threads, true, cut, f->steps - cut, NULL, kept);
  backward_part(f, threads, true, 0, cut, f->state, kept);
  wl_free(kept);
}
