/* reduction.h - the sum of the units' contributions to the meta-gradient, with the same bits on every rank. */
#ifndef WL_TRAIN_REDUCTION_H
#define WL_TRAIN_REDUCTION_H

#include "comm/comm.h"
#include "unroll/model.h"

/* The numbers after each contribution: losses, and the squared norm of the unit's meta-gradient. */
enum {
  WL_SUM_META_LOSS,
  WL_SUM_FIRST_LOSS,
  WL_SUM_LAST_LOSS,
  WL_SUM_MEAN_LOSS,
  WL_SUM_SQUARES,
  WL_SUM_COUNT
};

typedef struct wl_reduction {
  int64_t width;   /* length of a contribution, a multiple of phi.size */
  int64_t vector;  /* width + WL_SUM_COUNT */
  int64_t *quanta; /* [n_quanta + 1] bounds of the blocks that share a quantum */
  int64_t n_quanta;
  int64_t room;     /* number of contributions for which the next two arrays have room */
  double *vectors;  /* [room][vector] */
  bool *counted;    /* [room] */
  double *sum;      /* [vector] sum of the contributions of all ranks */
  double *gradient; /* [phi.size] mean of the counted meta-gradients */
} wl_reduction;

/* Prepares sums of contributions of `width` numbers. The caller frees *out with wl_reduction_clear. */
wl_status wl_reduction_create(const wl_layout *phi, int64_t width, wl_reduction *out);
void wl_reduction_clear(wl_reduction *reduction);
/* Allocates memory for `own` contributions of this rank. Their contents are undefined. */
wl_status wl_reduction_reserve(wl_reduction *reduction, int64_t own);
static inline double *wl_reduction_vector(const wl_reduction *r, int64_t i) {
  return r->vectors + i * r->vector;
}
/* Describes the exact sum of `own` contributions of this rank and at most `total` contributions of all ranks. The
 * caller sets flags and tallies. */
wl_exact_sum wl_reduction_sum(const wl_reduction *reduction, int64_t own, int64_t total);

#endif
