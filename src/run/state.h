/* state.h - all state that later meta-steps depend on, registered once.
 *
 * Save, load and digest use one list of fields. Units in the middle of an episode are gathered on rank 0, numbered by
 * unit and not by rank, so that a checkpoint loads on any number of ranks. */
#ifndef WL_RUN_STATE_H
#define WL_RUN_STATE_H

#include "base/digest.h"
#include "io/checkpoint.h"
#include "train/trainer.h"

/* Computes the digest of the meta-state: phi, the outer optimizer, counters. The digest is the same on every rank. */
wl_status wl_state_digest(const wl_trainer *trainer, wl_digest *out);

/* A copy of the state at the current meta-step. Training may continue while the copy is written. */
typedef struct wl_snapshot wl_snapshot;
/* Makes the copy; *out is NULL except on rank 0. Collective; all ranks get the same status. */
wl_status wl_snapshot_take(wl_trainer *trainer, wl_snapshot **out);
/* Writes the copy as a checkpoint of RUN. Uses neither trainer nor MPI, so that any thread may call this function. */
wl_status wl_snapshot_write(const wl_snapshot *snapshot, const char *run, int keep);
int64_t wl_snapshot_bytes(const wl_snapshot *snapshot);
void wl_snapshot_destroy(wl_snapshot **snapshot); /* accepts NULL */
/* Loads the newest valid checkpoint of RUN; *resumed is false if there is no checkpoint. WL_ERR_CONFIG if the
 * checkpoint belongs to another configuration (keys that do not affect the result may differ). `schema` is used to
 * parse the configuration in the checkpoint. Collective. */
wl_status wl_state_load(wl_trainer *trainer, const char *run, const wl_section *schema,
                        bool *resumed);
/* Writes only the trained meta-parameters and the configuration. Rank 0 writes. Collective. */
wl_status wl_state_export(wl_trainer *trainer, const char *path);

#endif
