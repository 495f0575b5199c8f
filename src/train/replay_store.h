/* replay_store.h - stores the points of the replay buffer in memory up to a bound. Each rank stores
 * all other points in a scratch file.
 *
 * A place has the points of one episode of one unit, and the rank that ran the episode owns the
 * place. The first `in_memory` points of each place are in memory. The number `in_memory` is equal
 * on every rank, so the bound holds for any assignment of places to ranks. A point has the same
 * bits in memory and in the file, so the bound does not change results. */
#ifndef WL_TRAIN_REPLAY_STORE_H
#define WL_TRAIN_REPLAY_STORE_H

#include "base/options.h"
#include "base/real.h"
#include "train/schema.h"

typedef struct wl_replay_store wl_replay_store;

typedef struct wl_replay_shape {
  int64_t places, points; /* number of places, and largest number of points of a place */
  /* number of inner steps of the longest episode; used in error messages */
  int64_t horizon;
  int64_t width;          /* number of elements of a point: theta [n] and rule state [width - n] */
  int64_t n;
  const wl_map *map; /* the section `replay`, whose keys error messages name; borrowed */
} wl_replay_shape;

/* Creates a store. `keys` contains the capacity of the store, the precision of the points and the
 * folder for the scratch file. Returns WL_ERR_CONFIG if the points exceed the capacity and no spill
 * folder is set. */
wl_status wl_replay_store_create(const wl_replay_keys *keys, const wl_replay_shape *shape,
                                 wl_replay_store **out);
void wl_replay_store_destroy(wl_replay_store **store);
/* If `mine` is true, allocates memory for the points of a place on this rank. If `mine` is false,
 * frees the memory of the place. */
wl_status wl_replay_store_own(wl_replay_store *store, int64_t place, bool mine);
bool wl_replay_store_owns(const wl_replay_store *store, int64_t place);
/* wl_replay_store_put writes point number `point` of a place that this rank owns, and
 * wl_replay_store_get reads this point. A point consists of theta [n] and the rule state [width -
 * n]. */
wl_status wl_replay_store_put(wl_replay_store *store, int64_t place, int64_t point,
                              const wl_real *theta, const wl_real *state);
wl_status wl_replay_store_get(wl_replay_store *store, int64_t place, int64_t point, wl_real *theta,
                              wl_real *state);
/* Returns the number of bytes of memory that a rank needs for `places` places. */
double wl_replay_store_bytes(const wl_replay_store *store, int64_t places);

#endif
