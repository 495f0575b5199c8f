/* reduction.h - stores the units' contributions to the meta-gradient and their sum, which has the
 * same bits on every rank. */
#ifndef WL_TRAIN_REDUCTION_H
#define WL_TRAIN_REDUCTION_H

#include "comm/comm.h"
#include "unroll/model.h"

/* Indices of the numbers that follow each contribution in its vector: losses, and the squared norm
 * of the unit's meta-gradient. */
enum {
  WL_SUM_META_LOSS,
  WL_SUM_FIRST_LOSS,
  WL_SUM_LAST_LOSS,
  WL_SUM_MEAN_LOSS,
  WL_SUM_SQUARES,
  WL_SUM_COUNT
};

typedef struct wl_reduction {
  int64_t width;   /* number of doubles of a contribution, a multiple of phi.size */
  int64_t vector;  /* number of doubles of a vector: width + WL_SUM_COUNT */
  /* [n_quanta + 1] index of the first number of each block; the last element is the end of the last
   * block */
  int64_t *quanta;
  int64_t n_quanta;
  int64_t room;     /* number of contributions for which `vectors` and `counted` have space */
  double *vectors;  /* [room][vector] */
  bool *counted;    /* [room] */
  double *sum;      /* [vector] sum of the counted contributions of all ranks */
  double *gradient; /* [phi.size] meta-gradient, which is the mean over the counted units */
} wl_reduction;

/* Prepares a reduction for contributions of `width` numbers. The caller frees *out with
 * wl_reduction_clear. */
wl_status wl_reduction_create(const wl_layout *phi, int64_t width, wl_reduction *out);
void wl_reduction_clear(wl_reduction *reduction);
/* Allocates memory for `own` contributions of this rank. The contents of the memory are
 * undefined. */
wl_status wl_reduction_reserve(wl_reduction *reduction, int64_t own);
static inline double *wl_reduction_vector(const wl_reduction *r, int64_t i) {
  return r->vectors + i * r->vector;
}
/* Returns the description of an exact sum: this rank has `own` contributions, and all ranks
 * together have at most `total` contributions. The caller then sets the members flags, n_flags,
 * tallies and n_tallies of the description. */
wl_exact_sum wl_reduction_sum(const wl_reduction *reduction, int64_t own, int64_t total);

#endif
