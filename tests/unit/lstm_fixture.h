/* lstm_fixture.h - an artificial chunk of inner steps of the LSTM rule, with weights, state, gradients and adjoints. */
#ifndef WL_TEST_LSTM_FIXTURE_H
#define WL_TEST_LSTM_FIXTURE_H

#include "rule/lstm.h"
#include "rule/lstm_net.h"

extern const wl_lstm_kernel wl_lstm_kernel_reference;

typedef struct lstm_case {
  wl_lstm_input input;
  int layers;
  int64_t hidden[WL_LSTM_MAX_LAYERS];
  int64_t n, steps;
  double momentum;
} lstm_case;

/* All inputs of a chunk, and arrays for its results. The chunk uses n lanes, and the other lanes are zero. */
typedef struct lstm_fixture {
  wl_lstm_net net;
  wl_rule rule; /* a rule with the network `net` and no other options */
  int64_t n, blocks, lanes, steps;
  wl_real *phi;
  wl_real *g, *loss_grad, *gbar, *u; /* [steps][lanes] */
  wl_real *state, *after;            /* [blocks][width][16] states before and after the steps */
  wl_real *lam0, *mu0, *lam, *mu;    /* adjoints at the end (lam0, mu0) and at the start */
  bool ends_here;                    /* the chunk ends the window, so there is no mu */
  double weight[WL_CHUNK_STEPS];
  double *phi_grad;
} lstm_fixture;

/* Runs tests() once for each instruction set of this processor, with WARPLOOM_ISA set to it. If WARPLOOM_ISA is already
 * set, only this instruction set is tested. Returns the number of failed tests, or 1 if no instruction set could be
 * tested. */
int lstm_fixture_each_isa(int (*tests)(const char *isa));
/* Draws weights from the uniform distribution on (-spread, spread), and gradients of both signs with magnitudes from
 * 1e-6 to 1. */
void lstm_fixture_create(lstm_fixture *f, const lstm_case *c, double spread);
void lstm_fixture_destroy(lstm_fixture *f);
/* Runs the forward pass with the kernel of the rule on `threads` threads, or with the reference if `threads` is 0.
 * Writes the updates u and the last state `after`. If `in_place` is true, each step overwrites the state. */
void lstm_fixture_forward(lstm_fixture *f, int threads, bool in_place);
/* Runs the backward pass of the chunk. Writes lam, mu and phi_grad. If `want_gbar` is true, also writes gbar. */
void lstm_fixture_backward(lstm_fixture *f, int threads, bool want_gbar);
/* Runs the same backward pass in two chunks, which are separated at step `cut`. A forward pass computes the state at
 * this step. */
void lstm_fixture_backward_cut(lstm_fixture *f, int threads, int64_t cut);
/* Runs the same backward pass from the activations that a forward pass stores. The forward pass also writes u and
 * after. If `cut` is the number of steps, there is only one chunk. */
void lstm_fixture_backward_taped(lstm_fixture *f, int threads, int64_t cut);

#endif
