/* replay_store.h - where the replay buffer keeps its points: in memory within a budget, the others in a
 * scratch file of the rank.
 *
 * A place holds the points of one episode, on the rank that ran it. Of each place the first `in_memory`
 * points are in memory, the same number on every rank, so that the budget holds for any distribution of
 * places; memory and file hold the same bits, so that it makes no difference to a result. */
#ifndef WL_TRAIN_REPLAY_STORE_H
#define WL_TRAIN_REPLAY_STORE_H

#include "base/options.h"
#include "base/real.h"
#include "train/schema.h"

typedef struct wl_replay_store wl_replay_store;

typedef struct wl_replay_shape {
  int64_t places, points; /* episodes, and the most points of one */
  int64_t horizon;        /* steps of the longest episode, for messages */
  int64_t width;          /* reals of a point: theta [n], rule state [width - n] */
  int64_t n;
  const wl_map *map; /* the section `replay`, borrowed: errors name its keys */
} wl_replay_shape;

/* From the section `replay`: capacity, precision, spill. WL_ERR_CONFIG when the points do not fit the
 * capacity and there is no folder to spill to. */
wl_status wl_replay_store_create(const wl_replay_keys *keys, const wl_replay_shape *shape,
                                 wl_replay_store **out);
void wl_replay_store_destroy(wl_replay_store **store);
/* Takes or gives back the room of a place on this rank. */
wl_status wl_replay_store_own(wl_replay_store *store, int64_t place, bool mine);
bool wl_replay_store_owns(const wl_replay_store *store, int64_t place);
/* Point number `point` of a place that is this rank's: theta [n], state [width - n]. */
wl_status wl_replay_store_put(wl_replay_store *store, int64_t place, int64_t point,
                              const wl_real *theta, const wl_real *state);
wl_status wl_replay_store_get(wl_replay_store *store, int64_t place, int64_t point, wl_real *theta,
                              wl_real *state);
/* Bytes that `places` places of a rank take in memory. */
double wl_replay_store_bytes(const wl_replay_store *store, int64_t places);

#endif
