/* recorder.h - records chosen windows for the trajectory file.
 *
 * The rank that runs a unit observes the unit's steps. While the meta-gradients are reduced, the records are sent to
 * rank 0. Rank 0 writes the records in order of unit and window, so that the file does not depend on the number of
 * ranks. */
#ifndef WL_RUN_RECORDER_H
#define WL_RUN_RECORDER_H

#include "io/trajectory.h"
#include "train/trainer.h"

typedef struct wl_recorder wl_recorder;

/* Creates a recorder from the section `trajectory`. *out is NULL if the configuration records no windows. Not
 * collective. */
wl_status wl_recorder_create(const wl_trainer *trainer, wl_recorder **out);
void wl_recorder_destroy(wl_recorder **recorder);
/* Sets the file to which rank 0 writes the records. The recorder borrows `file`. */
void wl_recorder_attach(wl_recorder *recorder, wl_trajectory *file);
/* Returns the settings with which rank 0 opens the file. The member `index` of the settings is
 * borrowed from the recorder. */
wl_trajectory_setting wl_recorder_setting(const wl_recorder *recorder);
/* Returns true if this meta-step (counted from 0) is recorded. */
bool wl_recorder_wants(const wl_recorder *recorder, int64_t meta_step);

/* Returns the watcher, whose functions the trainer calls before and after each window, and before
 * the reduction of the meta-gradients. The watcher sends the records to rank 0, which appends the
 * records to its file. Every rank calls the watcher's function `ship` in the same meta-step, even
 * after a failure. Rank 0 waits for the ranks that ran recorded units; no other rank waits. */
wl_watcher wl_recorder_watcher(wl_recorder *recorder);

#endif
