/* lstm_fixture.h - declares an artificial chunk of inner steps of the LSTM rule, with weights, rule state, gradients
 * and adjoints. */
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

/* Contains all inputs of a chunk, and arrays for its results. The chunk uses n lanes, and the values of the other
 * lanes are zero. */
typedef struct lstm_fixture {
  wl_lstm_net net;
  wl_rule rule; /* a rule that consists of the network `net` and has no other options */
  int64_t n, blocks, lanes, steps;
  wl_real *phi;
  wl_real *g, *loss_grad, *gbar, *u; /* [steps][lanes] */
  wl_real *state, *after;            /* [blocks][width][16] rule states before the first and after the last step */
  wl_real *lam0, *mu0, *lam, *mu;    /* adjoints at the end of the chunk (lam0 of theta, mu0 of the state) and at its
                                      * start (lam, mu) */
  bool ends_here;                    /* if true, the chunk ends the window, so the adjoint of the state at the end of
                                      * the chunk is zero, and mu0 is not used */
  double weight[WL_CHUNK_STEPS];
  double *phi_grad;
} lstm_fixture;

/* For each instruction set of this processor, sets WARPLOOM_ISA to the name of the instruction set and calls tests().
 * If WARPLOOM_ISA is already set, the function tests only this instruction set. Returns the number of failed tests,
 * or 1 if no instruction set could be tested. */
int lstm_fixture_each_isa(int (*tests)(const char *isa));
/* Draws weights from the uniform distribution on (-spread, spread), and gradients of both signs with magnitudes from
 * 1e-6 to 1. */
void lstm_fixture_create(lstm_fixture *f, const lstm_case *c, double spread);
void lstm_fixture_destroy(lstm_fixture *f);
/* Runs the forward pass on `threads` threads with the kernel of the rule. If `threads` is 0, runs the reference
 * kernel instead. Writes the updates to u and the last state to `after`. If `in_place` is true, each step overwrites
 * the state. */
void lstm_fixture_forward(lstm_fixture *f, int threads, bool in_place);
/* Runs the backward pass of the chunk. The argument `threads` has the same meaning as in lstm_fixture_forward. Writes
 * the adjoints to lam and mu, and the gradient of the weights to phi_grad. If `want_gbar` is true, also writes the
 * adjoint of the gradients to gbar. */
void lstm_fixture_backward(lstm_fixture *f, int threads, bool want_gbar);
/* Runs the same backward pass in two chunks. The second chunk begins at step `cut`. A forward pass computes the state
 * at step `cut`. */
void lstm_fixture_backward_cut(lstm_fixture *f, int threads, int64_t cut);
/* Runs the same backward pass from the activations that a forward pass has stored. The forward pass also writes the
 * updates to u and the last state to `after`. The backward pass has two chunks, and the second chunk begins at step
 * `cut`. If `cut` is the number of steps, the backward pass has only one chunk. */
void lstm_fixture_backward_taped(lstm_fixture *f, int threads, int64_t cut);

#endif
