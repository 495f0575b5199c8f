/* lstm_fixture.h - an artificial chunk of an LSTM rule: weights, state, gradients and adjoints. */
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

/* All inputs of a chunk, and arrays for its results. n lanes are in use, and the padding is zero. */
typedef struct lstm_fixture {
  wl_lstm_net net;
  wl_rule rule; /* the rule of `net`, without options */
  int64_t n, blocks, lanes, steps;
  wl_real *phi;
  wl_real *g, *loss_grad, *gbar, *u; /* [steps][lanes] */
  wl_real *state, *after;            /* [blocks][width][16] state at the start, and after the steps */
  wl_real *lam0, *mu0, *lam, *mu;    /* initial adjoints, and the adjoints that the chunk changes */
  bool ends_here;                    /* the chunk has no mu */
  double weight[WL_CHUNK_STEPS];
  double *phi_grad;
} lstm_fixture;

/* Runs tests() with WARPLOOM_ISA set to each instruction set of this processor in turn. If WARPLOOM_ISA is already set,
 * uses only this instruction set. Returns the number of failed tests, or 1 if no instruction set could be used. */
int lstm_fixture_each_isa(int (*tests)(const char *isa));
/* Draws weights from U(-spread, spread), and gradients with magnitudes from 1e-6 to 1 and both signs. */
void lstm_fixture_create(lstm_fixture *f, const lstm_case *c, double spread);
void lstm_fixture_destroy(lstm_fixture *f);
/* Runs the steps with the rule's kernel on `threads` threads, or with the reference if `threads` is 0. Fills u and
 * after. With `in_place`, the state is updated in place. */
void lstm_fixture_forward(lstm_fixture *f, int threads, bool in_place);
/* Runs the adjoint of the chunk. Fills lam, mu, phi_grad, and gbar if `want_gbar`. */
void lstm_fixture_backward(lstm_fixture *f, int threads, bool want_gbar);
/* Does the same in two chunks that are separated at step `cut`. The state at this step is taken from the forward
 * run. */
void lstm_fixture_backward_cut(lstm_fixture *f, int threads, int64_t cut);
/* Does the same from the activations of a forward run, which also fills u and after. Uses one chunk if `cut` is the
 * number of steps. */
void lstm_fixture_backward_taped(lstm_fixture *f, int threads, int64_t cut);

#endif
