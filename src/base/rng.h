/* rng.h - computes random numbers as a pure function of their purpose and index.
 *
 * Philox4x64-10 (Salmon et al. 2011, Random123): key = (seed, purpose | space << 32), counter = (element block, step,
 * task, index). The generator has no state. The same stream gives the same numbers on any rank, in any thread and after
 * any restart. */
#ifndef WL_BASE_RNG_H
#define WL_BASE_RNG_H

#include "base/real.h"

/* Purpose of a random number. Values are consecutive. Values are never reused or reordered, because files depend on
 * them. */
typedef enum wl_purpose {
  WL_FOR_META_INIT,      /* initial meta-parameters */
  WL_FOR_FAMILY,         /* choice of a family in a mixture */
  WL_FOR_HORIZON,        /* random episode length */
  WL_FOR_TASK,           /* the drawn task, for example its matrices, targets or classes */
  WL_FOR_THETA0,         /* initial inner parameters */
  WL_FOR_INNER_BATCH,    /* minibatch of the inner loss */
  WL_FOR_OUTER_BATCH,    /* minibatch of the outer loss */
  WL_FOR_EVAL_BATCH,     /* fixed sample of an evaluation */
  WL_FOR_DATASET,        /* synthetic data sets */
  WL_FOR_AUGMENT,        /* augmentation of images */
  WL_FOR_UNUSED,         /* unused; it remains, because the other values must not change */
  WL_FOR_REPLAY,         /* draws from the trajectory buffer */
  WL_FOR_PROBE,          /* directions of gradient checks */
  WL_FOR_STAGGER,        /* step at which a unit begins its first episode */
  WL_FOR_PERTURB,        /* perturbations of evolution strategies */
  WL_FOR_DRAW,           /* values of keys that are distributions */
  WL_FOR_GRADIENT_NOISE, /* noise added to inner gradients */
  WL_FOR_IMITATION,      /* choice of the episodes that imitate a teacher */
  WL_FOR_RESTART,        /* choice of the episodes that restart from a stored state */
  WL_FOR_COUNT
} wl_purpose;

/* Values of a stream's member `task` for the purpose WL_FOR_META_INIT. These streams give the initial meta-parameters
 * outside the rule.
 * */
enum {
  WL_INIT_DIAGONAL = 0x70726563,
  WL_INIT_KRONECKER = 0x6b726f6e,
  WL_INIT_WARP = 0x77617270,
  WL_INIT_WARP_NOISE,
  WL_INIT_GAP = 0x67617030
};

/* Disjoint sets of tasks. Tuning, evaluation and training therefore never use the same task. */
typedef enum wl_space { WL_SPACE_TRAIN, WL_SPACE_TUNE, WL_SPACE_EVAL, WL_SPACE_CHECK } wl_space;

typedef struct wl_stream {
  uint64_t seed;
  uint32_t purpose; /* wl_purpose */
  uint32_t space;   /* wl_space */
  uint64_t index;   /* meta-step or episode */
  uint64_t task;    /* unit within the meta-step or episode */
  uint64_t step;    /* inner step, block number, ... */
} wl_stream;

/* Each function writes the elements first .. first+n-1 of the stream to out[0..n). Element e does not depend on `first`
 * or `n`. */
void wl_rng_bits(wl_stream s, uint64_t first, int64_t n, uint64_t *out);
void wl_rng_uniform(wl_stream s, uint64_t first, int64_t n, double lo, double hi,
                    wl_real *out); /* [lo, hi) */
void wl_rng_uniform_double(wl_stream s, uint64_t first, int64_t n, double lo, double hi,
                           double *out);
void wl_rng_normal(wl_stream s, uint64_t first, int64_t n, double sd, wl_real *out);
void wl_rng_truncated_normal(wl_stream s, uint64_t first, int64_t n, double sd,
                             wl_real *out); /* numbers with |x| > 2 sd are redrawn */
void wl_rng_index(wl_stream s, uint64_t first, int64_t n, uint64_t bound,
                  int64_t *out); /* [0, bound) */
/* Draws a uniformly random permutation of 0..n-1. Uses the Fisher-Yates shuffle and the elements 0..n-1 of the
 * stream. */
void wl_rng_permutation(wl_stream s, int64_t n, int64_t *out);

#endif
