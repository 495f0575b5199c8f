/* run_files.c - manages the directory of a run, and the thread that writes its files. */
#include "run/run_files.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/background.h"
#include "run/run_directory.h"
#include "io/trajectory.h"
#include "run/metrics.h"
#include "run/state.h"

/* Largest size of the rows of a trajectory in memory, in bytes. If the rows in memory have more
 * bytes, the rows are written before the next checkpoint. */
enum { FLUSH_BYTES = 16 << 20 };

struct wl_run_files {
  wl_comm *comm;
  const char *path;
  wl_run_directory *directory; /* run directory on rank 0; NULL on other ranks */
  /* trajectory file on rank 0; NULL on other ranks and if the run records no trajectory */
  wl_trajectory *trajectory;
  wl_background writing;
  /* copy of the state that the thread writes as a checkpoint; NULL if the thread writes no
   * checkpoint */
  wl_snapshot *snapshot;
  int keep;
  double told; /* value of cost.waited at the last report of a meta-step */
  wl_run_files_cost cost;
};

/* ---- opening and closing the files of a run ---- */

wl_status wl_run_files_open(const char *path, bool resume, wl_comm *comm, wl_run_files **out) {
  wl_run_files *f = NULL;
  wl_status status = WL_NEW(f, 1);
  if (status == WL_OK) {
    f->comm = comm;
    f->path = path;
    if (wl_comm_rank(comm) == 0) status = wl_run_directory_open(path, resume, &f->directory);
  }
  status = wl_comm_agree(comm, status);
  if (status != WL_OK) wl_run_files_close(&f);
  *out = f;
  return status;
}

void wl_run_files_close(wl_run_files **files) {
  wl_run_files *const f = *files;
  if (!f) return;
  wl_background_drop(&f->writing);
  wl_trajectory_close(&f->trajectory);
  wl_snapshot_destroy(&f->snapshot);
  wl_run_directory_close(&f->directory);
  wl_free(f);
  *files = NULL;
}

/* ---- start ---- */

static wl_status open_trajectory(wl_run_files *f, const char *configuration, int64_t meta_step,
                                 wl_recorder *recorder) {
  wl_trajectory_setting setting = wl_recorder_setting(recorder);
  setting.metrics = wl_metrics;
  setting.n_metrics = WL_METRICS;
  WL_TRY(wl_trajectory_open(f->path, &setting, meta_step, configuration, &f->trajectory));
  wl_recorder_attach(recorder, f->trajectory);
  return WL_OK;
}

static wl_status start(wl_run_files *f, const wl_config *config, int64_t meta_step,
                       wl_recorder *recorder) {
  char *text = NULL;
  WL_TRY(wl_config_to_yaml(config, &text));
  wl_status status = wl_run_directory_write(f->directory, "config.yaml", text);
  if (status == WL_OK) status = wl_run_directory_trim_metrics(f->directory, meta_step);
  if (status == WL_OK && recorder) status = open_trajectory(f, text, meta_step, recorder);
  free(text);
  return status;
}

wl_status wl_run_files_start(wl_run_files *f, const wl_config *config, wl_trainer *tr,
                             wl_recorder *recorder) {
  const wl_status status =
      f->directory ? start(f, config, wl_state_of(tr)->meta_step, recorder) : WL_OK;
  return wl_comm_agree(f->comm, status);
}

/* Does the work of the background thread. Writes rows of the trajectory before the checkpoint, so that the
 * trajectory of every valid checkpoint is complete. If writing the rows fails, the checkpoint is still written. */
static wl_status write_staged(void *data) {
  wl_run_files *const f = data;
  const wl_status rows = f->trajectory ? wl_trajectory_write(f->trajectory) : WL_OK;
  const wl_status state = f->snapshot ? wl_snapshot_write(f->snapshot, f->path, f->keep) : WL_OK;
  return state != WL_OK ? state : rows;
}

/* Waits for the work of the background thread to end. */
static wl_status settle(wl_run_files *f) {
  const wl_status status = wl_background_wait(&f->writing);
  wl_snapshot_destroy(&f->snapshot);
  return status;
}

static wl_status hand_over(wl_run_files *f) {
  if (f->trajectory) WL_TRY(wl_trajectory_stage(f->trajectory));
  wl_background_start(&f->writing, write_staged, f);
  return WL_OK;
}

/* ---- meta-steps ---- */

static wl_status append_metrics(wl_run_files *f, int64_t meta_step, const wl_meta_report *report,
                                bool resumed) {
  char *line = wl_metrics_json(meta_step, report, resumed);
  double values[WL_METRICS];
  wl_metrics_values(report, values);
  wl_status status = line ? wl_run_directory_append_metrics(f->directory, line)
                          : WL_FAIL(WL_ERR_OS, "out of memory for the metrics of meta-step %lld",
                                    (long long)meta_step);
  free(line);
  if (status == WL_OK && f->trajectory)
    status = wl_trajectory_metrics(f->trajectory, meta_step, values);
  return status;
}

wl_status wl_run_files_log(wl_run_files *f, int64_t meta_step, wl_meta_report *report,
                           bool resumed) {
  const double began = wl_seconds();
  f->cost.waited += report->io_seconds;
  report->io_seconds = f->cost.waited - f->told;
  f->told = f->cost.waited;
  wl_status status = append_metrics(f, meta_step, report, resumed);
  if (status == WL_OK && !wl_background_is_busy(&f->writing)) {
    status = settle(f);
    if (status == WL_OK && f->trajectory && wl_trajectory_pending(f->trajectory) > FLUSH_BYTES)
      status = hand_over(f);
  }
  f->cost.waited += wl_seconds() - began;
  return status;
}

static wl_status save(wl_run_files *f, wl_trainer *tr, int keep) {
  WL_TRY(wl_comm_agree(f->comm, settle(f)));
  WL_TRY(wl_snapshot_take(tr, &f->snapshot));
  if (!f->directory) return WL_OK;
  f->keep = keep;
  f->cost.checkpoints++;
  f->cost.bytes += wl_snapshot_bytes(f->snapshot);
  return hand_over(f);
}

wl_status wl_run_files_save(wl_run_files *f, wl_trainer *tr, int keep) {
  const double began = wl_seconds();
  const wl_status status = wl_comm_agree(f->comm, save(f, tr, keep));
  f->cost.waited += wl_seconds() - began;
  return status;
}

wl_status wl_run_files_finish(wl_run_files *f) {
  const double began = wl_seconds();
  wl_status status = settle(f);
  if (status == WL_OK && f->trajectory) status = wl_trajectory_flush(f->trajectory);
  f->cost.waited += wl_seconds() - began;
  f->cost.written = f->writing.seconds;
  return wl_comm_agree(f->comm, status);
}

wl_run_files_cost wl_run_files_spent(const wl_run_files *f) { return f->cost; }
