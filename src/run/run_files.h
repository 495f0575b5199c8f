/* run_files.h - writes the files of a run: configuration, metrics, trajectory, checkpoints.
 *
 * Rank 0 writes. Checkpoints and parts of the trajectory are written by a background thread during training.
 * Training waits only at the end, and if the next write is due before the last is finished. The waiting time is
 * measured. */
#ifndef WL_RUN_RUN_FILES_H
#define WL_RUN_RUN_FILES_H

#include "run/recorder.h"
#include "train/trainer.h"

typedef struct wl_run_files wl_run_files;

/* Cost of a run's files so far; on rank 0. */
typedef struct wl_run_files_cost {
  double waited;              /* seconds that training spent on files */
  double written;             /* seconds of the writing thread */
  int64_t checkpoints, bytes; /* number of checkpoints written, and their total bytes */
} wl_run_files_cost;

/* Makes and locks the directory. Collective; the outcome is agreed on. `path` is borrowed. */
wl_status wl_run_files_open(const char *path, bool resume, wl_comm *comm, wl_run_files **out);
/* Writes the configuration, drops metrics and trajectory rows after the trainer's meta-step, which will be computed
 * again, and opens the recorder's file (NULL: none). Collective; agreed on. */
wl_status wl_run_files_start(wl_run_files *files, const wl_config *config, wl_trainer *trainer,
                             wl_recorder *recorder);
/* Adds a meta-step's report to the metrics, and to it the seconds spent on files since the last one. Not
 * collective; rank 0 only. Also returns a failure of the background thread. */
wl_status wl_run_files_log(wl_run_files *files, int64_t meta_step, wl_meta_report *report,
                           bool resumed);
/* Starts to write a checkpoint of the current meta-step. Collective; agreed on. */
wl_status wl_run_files_save(wl_run_files *files, wl_trainer *trainer, int keep);
/* Waits until everything is on the disk. Collective; agreed on. */
wl_status wl_run_files_finish(wl_run_files *files);
wl_run_files_cost wl_run_files_spent(const wl_run_files *files);
void wl_run_files_close(wl_run_files **files);

#endif
