/* state.h - saves and loads all state that later meta-steps depend on, and computes the digest of
 * this state.
 *
 * The functions that save, load and digest the state use the same list of fields. The states of
 * units in the middle of an episode are gathered on rank 0. These states are stored in the order of
 * the unit numbers, so that a checkpoint can be loaded on any number of ranks. */
#ifndef WL_RUN_STATE_H
#define WL_RUN_STATE_H

#include "base/digest.h"
#include "io/checkpoint.h"
#include "train/trainer.h"

/* Computes the digest of the meta-state: phi, the outer optimizer and the counters. Every rank computes the same
 * digest. Not collective. */
wl_status wl_state_digest(const wl_trainer *trainer, wl_digest *out);

/* A copy of the state at the current meta-step. Training may continue while the copy is written. */
typedef struct wl_snapshot wl_snapshot;
/* Makes the copy on rank 0. *out is NULL on other ranks. The caller destroys *out. Collective; all ranks return the
 * same status. */
wl_status wl_snapshot_take(wl_trainer *trainer, wl_snapshot **out);
/* Writes the copy as a checkpoint of RUN. Any thread may call this function, because it uses neither the trainer nor
 * MPI. */
wl_status wl_snapshot_write(const wl_snapshot *snapshot, const char *run, int keep);
/* Returns the size of the copied fields in bytes. */
int64_t wl_snapshot_bytes(const wl_snapshot *snapshot);
void wl_snapshot_destroy(wl_snapshot **snapshot); /* accepts NULL */
/* Loads the newest valid checkpoint of RUN and sets *resumed to true, or to false if there is no
 * checkpoint. Returns WL_ERR_CONFIG if the checkpoint belongs to another configuration. Keys that
 * do not affect the result may differ. `schema` is used to parse the configuration in the
 * checkpoint. Collective. */
wl_status wl_state_load(wl_trainer *trainer, const char *run, const wl_section *schema,
                        bool *resumed);
/* Writes only the trained meta-parameters and the configuration, to an optimizer file. Rank 0
 * writes. Collective. */
wl_status wl_state_export(wl_trainer *trainer, const char *path);

#endif
