/* run_files.h - what a run leaves in its directory: configuration, metrics, trajectory, checkpoints.
 *
 * Rank 0 writes. Checkpoints and segments of the trajectory are written by a thread of their own while
 * training goes on; training waits only where one is due and the one before is not finished, and at the
 * end. What that costs is measured. */
#ifndef WL_RUN_RUN_FILES_H
#define WL_RUN_RUN_FILES_H

#include "run/recorder.h"
#include "train/trainer.h"

typedef struct wl_run_files wl_run_files;

/* What the files of a run took, so far; on rank 0. */
typedef struct wl_run_files_cost {
  double waited;              /* seconds that training spent on files */
  double written;             /* seconds of the writing thread */
  int64_t checkpoints, bytes; /* checkpoints written and their data in all */
} wl_run_files_cost;

/* Makes and locks the directory. Collective; the outcome is agreed on. `path` is borrowed. */
wl_status wl_run_files_open(const char *path, bool resume, wl_comm *comm, wl_run_files **out);
/* The configuration is written, metrics and trajectory beyond the trainer's meta-step are dropped, because
 * it is computed again, and the recorder (NULL: none) gets its file. Collective; agreed on. */
wl_status wl_run_files_start(wl_run_files *files, const wl_config *config, wl_trainer *trainer,
                             wl_recorder *recorder);
/* Adds a meta-step's report to the metrics, and to it the seconds spent on files since the last one. Not
 * collective; rank 0 only. Also returns the failure of what was written meanwhile. */
wl_status wl_run_files_log(wl_run_files *files, int64_t meta_step, wl_meta_report *report,
                           bool resumed);
/* Starts to write a checkpoint of the present meta-step. Collective; agreed on. */
wl_status wl_run_files_save(wl_run_files *files, wl_trainer *trainer, int keep);
/* Waits until everything is on the disk. Collective; agreed on. */
wl_status wl_run_files_finish(wl_run_files *files);
wl_run_files_cost wl_run_files_spent(const wl_run_files *files);
void wl_run_files_close(wl_run_files **files);

#endif
