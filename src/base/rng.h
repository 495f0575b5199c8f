/* rng.h - computes each random number as a pure function of its purpose and its indices.
 *
 * Philox4x64-10 (Salmon et al. 2011, Random123): key = (seed, purpose | space << 32), counter = (element block, step,
 * task, index). The generator has no state. The numbers of a stream are the same on every rank, in every thread and
 * after every restart. */
#ifndef WL_BASE_RNG_H
#define WL_BASE_RNG_H

#include "base/real.h"

/* The purpose of a random number. The values of this enumeration are consecutive. The meaning of a
 * value must never change, because the results that files store depend on the values. */
typedef enum wl_purpose {
  WL_FOR_META_INIT,      /* initial values of the meta-parameters */
  WL_FOR_FAMILY,         /* choice of a task if the configuration has several tasks */
  WL_FOR_HORIZON,        /* random number of steps of an episode */
  WL_FOR_TASK,           /* the drawn task, for example its matrices, targets or classes */
  WL_FOR_THETA0,         /* initial values of theta */
  WL_FOR_INNER_BATCH,    /* choice of the samples in a minibatch of the inner loss */
  WL_FOR_OUTER_BATCH,    /* choice of the samples in a minibatch of the outer loss */
  WL_FOR_EVAL_BATCH,     /* choice of the fixed samples of an evaluation */
  WL_FOR_DATASET,        /* images of a synthetic data set, or the random split of a data set */
  WL_FOR_AUGMENT,        /* random distortions of the images of a minibatch */
  WL_FOR_UNUSED, /* This value is unused, and is kept because the later values must not change. */
  WL_FOR_REPLAY,         /* random order of the replayed windows */
  WL_FOR_PROBE,          /* random directions in which a gradient is checked */
  WL_FOR_STAGGER,        /* inner step from which a staggered unit contributes meta-gradients */
  WL_FOR_PERTURB,        /* perturbations of evolution strategies */
  WL_FOR_DRAW,           /* values of configuration keys for which the user gave a distribution */
  WL_FOR_GRADIENT_NOISE, /* noise added to inner gradients */
  WL_FOR_IMITATION,      /* choice of the episodes in which the rule imitates a teacher */
  WL_FOR_RESTART,        /* choice of the episodes that start from a stored state */
  WL_FOR_COUNT
} wl_purpose;

/* Values of wl_stream.task for the purpose WL_FOR_META_INIT. Streams with these values are for the
 * initial meta-parameters that do not belong to the update rule. */
enum {
  WL_INIT_DIAGONAL = 0x70726563,
  WL_INIT_KRONECKER = 0x6b726f6e,
  WL_INIT_WARP = 0x77617270,
  WL_INIT_WARP_NOISE,
  WL_INIT_GAP = 0x67617030
};

/* Training, tuning and evaluation have separate sets of random streams, and therefore never use the
 * same drawn task. */
typedef enum wl_space { WL_SPACE_TRAIN, WL_SPACE_TUNE, WL_SPACE_EVAL, WL_SPACE_CHECK } wl_space;

typedef struct wl_stream {
  uint64_t seed;
  uint32_t purpose; /* wl_purpose */
  uint32_t space;   /* wl_space */
  uint64_t index;   /* index of the meta-step or of the episode */
  uint64_t task;    /* index of the unit in the meta-step or episode */
  uint64_t step;    /* index of the inner step, or another index that the purpose needs */
} wl_stream;

/* Each function writes n elements of the stream to `out`, starting with element `first`. The value
 * of an element depends only on its index and on the stream, and does not depend on `first` or
 * `n`. */
void wl_rng_bits(wl_stream s, uint64_t first, int64_t n, uint64_t *out);
void wl_rng_uniform(wl_stream s, uint64_t first, int64_t n, double lo, double hi,
                    wl_real *out); /* [lo, hi) */
void wl_rng_uniform_double(wl_stream s, uint64_t first, int64_t n, double lo, double hi,
                           double *out);
void wl_rng_normal(wl_stream s, uint64_t first, int64_t n, double sd, wl_real *out);
void wl_rng_truncated_normal(wl_stream s, uint64_t first, int64_t n, double sd,
                             wl_real *out); /* a number x with |x| > 2 sd is drawn again */
void wl_rng_index(wl_stream s, uint64_t first, int64_t n, uint64_t bound,
                  int64_t *out); /* [0, bound) */
/* Draws a random permutation of the numbers 0 to n-1, where all permutations are equally likely.
 * The Fisher-Yates shuffle uses the elements 0 to n-1 of the stream. */
void wl_rng_permutation(wl_stream s, int64_t n, int64_t *out);

#endif
