/* replay_store.h - stores the points of the replay buffer: in memory up to a bound, and all other points in a scratch
 * file of each rank.
 *
 * A place holds the points of one episode, on the rank that ran the episode. The first `in_memory` points of each place
 * are in memory. This number is equal on every rank, so the bound holds for any assignment of places to ranks. Memory
 * and file hold the same bits, so the bound does not change results. */
#ifndef WL_TRAIN_REPLAY_STORE_H
#define WL_TRAIN_REPLAY_STORE_H

#include "base/options.h"
#include "base/real.h"
#include "train/schema.h"

typedef struct wl_replay_store wl_replay_store;

typedef struct wl_replay_shape {
  int64_t places, points; /* number of places; largest number of points of one place */
  int64_t horizon;        /* number of steps of the longest episode, for messages */
  int64_t width;          /* number of reals of a point: theta [n] and rule state [width - n] */
  int64_t n;
  const wl_map *map; /* the section `replay`, borrowed; error messages name its keys */
} wl_replay_shape;

/* Reads capacity, precision and spill from the section `replay`. Returns WL_ERR_CONFIG if the points exceed the
 * capacity and no spill folder is set. */
wl_status wl_replay_store_create(const wl_replay_keys *keys, const wl_replay_shape *shape,
                                 wl_replay_store **out);
void wl_replay_store_destroy(wl_replay_store **store);
/* Allocates the storage of a place on this rank if `mine` is true, and frees it otherwise. */
wl_status wl_replay_store_own(wl_replay_store *store, int64_t place, bool mine);
bool wl_replay_store_owns(const wl_replay_store *store, int64_t place);
/* These functions write or read point number `point` of a place that this rank owns: theta [n], state [width - n]. */
wl_status wl_replay_store_put(wl_replay_store *store, int64_t place, int64_t point,
                              const wl_real *theta, const wl_real *state);
wl_status wl_replay_store_get(wl_replay_store *store, int64_t place, int64_t point, wl_real *theta,
                              wl_real *state);
/* Returns the bytes of memory that `places` places take on a rank. */
double wl_replay_store_bytes(const wl_replay_store *store, int64_t places);

#endif
