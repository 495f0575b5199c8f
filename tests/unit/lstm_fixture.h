/* lstm_fixture.h - a made-up chunk of an LSTM rule: weights, state, gradients and adjoints. */
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

/* Everything a chunk reads, and room for what it writes. n lanes are in use, padding is zero. */
typedef struct lstm_fixture {
  wl_lstm_net net;
  wl_rule rule; /* of `net`, without options */
  int64_t n, blocks, lanes, steps;
  wl_real *phi;
  wl_real *g, *loss_grad, *gbar, *u; /* [steps][lanes] */
  wl_real *state, *after;            /* [blocks][width][16] at the start, after the steps */
  wl_real *lam0, *mu0, *lam, *mu;    /* given, and worked on */
  bool ends_here;                    /* the chunk gets no mu */
  double weight[WL_CHUNK_STEPS];
  double *phi_grad;
} lstm_fixture;

/* Runs tests() with WARPLOOM_ISA set to each instruction set of this processor in turn, or to that alone
 * which it asks for already. Returns the number of failed tests; 1 where no set could be had. */
int lstm_fixture_each_isa(int (*tests)(const char *isa));
/* Weights ~ U(-spread, spread); gradients of magnitudes 1e-6 to 1 around zero. */
void lstm_fixture_create(lstm_fixture *f, const lstm_case *c, double spread);
void lstm_fixture_destroy(lstm_fixture *f);
/* Runs the steps with the rule's kernel of `threads` threads, or with the reference for 0:
 * fills u and after. In place when `in_place`. */
void lstm_fixture_forward(lstm_fixture *f, int threads, bool in_place);
/* The adjoint of the chunk: fills lam, mu, gbar (when `want_gbar`), phi_grad. */
void lstm_fixture_backward(lstm_fixture *f, int threads, bool want_gbar);
/* The same in two chunks that meet at step `cut`, whose state is that of the live run. */
void lstm_fixture_backward_cut(lstm_fixture *f, int threads, int64_t cut);
/* The same from the tape of a live run, which also fills u and after; in one chunk where `cut` is all steps. */
void lstm_fixture_backward_taped(lstm_fixture *f, int threads, int64_t cut);

#endif
