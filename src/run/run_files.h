/* run_files.h - writes the files of a run: configuration, metrics, trajectory and checkpoints.
 *
 * Rank 0 writes. During training, a background thread writes checkpoints and parts of the trajectory. Training waits
 * for this thread in two cases: at the end of the run, and if a write is due before the previous write is finished. The
 * waiting time is measured. */
#ifndef WL_RUN_RUN_FILES_H
#define WL_RUN_RUN_FILES_H

#include "run/recorder.h"
#include "train/trainer.h"

typedef struct wl_run_files wl_run_files;

/* Duration and number of the writes of a run so far. Only rank 0 has these values. */
typedef struct wl_run_files_cost {
  double waited;              /* seconds that training spent on files */
  double written;             /* seconds that the background thread has worked */
  int64_t checkpoints, bytes; /* number of checkpoints written, and their total bytes */
} wl_run_files_cost;

/* Creates and locks the run directory. Borrows `path`. Collective; all ranks return the same status. */
wl_status wl_run_files_open(const char *path, bool resume, wl_comm *comm, wl_run_files **out);
/* Prepares the files for meta-steps. Writes the configuration and opens the trajectory file.
 * `recorder` is NULL if the run records no trajectory. Removes metrics and trajectory rows of
 * meta-steps after the trainer's current meta-step, because these meta-steps will be computed
 * again. Collective; all ranks return the same status. */
wl_status wl_run_files_start(wl_run_files *files, const wl_config *config, wl_trainer *trainer,
                             wl_recorder *recorder);
/* Adds to `report` the seconds that were spent on files since the previous report, and then appends
 * the report to the metrics. Returns a failure of the background thread, if there is one. Not
 * collective; only rank 0 calls this function. */
wl_status wl_run_files_log(wl_run_files *files, int64_t meta_step, wl_meta_report *report,
                           bool resumed);
/* Starts to write a checkpoint of the current meta-step. Collective; all ranks return the same status. */
wl_status wl_run_files_save(wl_run_files *files, wl_trainer *trainer, int keep);
/* Waits until all files are on the disk. Collective; all ranks return the same status. */
wl_status wl_run_files_finish(wl_run_files *files);
/* Returns the duration and the number of the writes so far. Not collective. */
wl_run_files_cost wl_run_files_spent(const wl_run_files *files);
void wl_run_files_close(wl_run_files **files);

#endif
