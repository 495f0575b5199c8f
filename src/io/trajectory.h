/* trajectory.h - records the inner runs of a training in the files of a trajectory.
 *
 * The parts RUN/trajectory/part-NNNNNNNN.h5 are numbered in chronological order. Like a checkpoint, a part is written
 * under a temporary name and then renamed. The newest part is rewritten with all its rows until the part is full.
 * RUN/trajectory.h5 is an index with virtual datasets, which show all parts as one file. The index is replaced after
 * each write of a part. A resume removes the rows of all steps after its checkpoint. Only rank 0 calls these functions.
 * The page docs/hdf5-schema.md describes the files. */
#ifndef WL_IO_TRAJECTORY_H
#define WL_IO_TRAJECTORY_H

#include "base/field.h"
#include "base/real.h"
#include "io/checkpoint.h"

/* The record of one window of a unit. Most arrays have one row for each inner step of the window.
 * Row k describes the step from theta_k to theta_{k+1}, and contains the losses at theta_k. The
 * sampled coordinates are the same in all records of a task in a run. */
typedef struct wl_record {
  int64_t meta_step;                /* number of meta-steps done before the window */
  /* index of the unit, index of the episode, first inner step of the window, and number of its
   * inner steps */
  int64_t unit, episode, t0, steps;
  int64_t task;                     /* index of the task in the configuration */
  double *loss;                     /* inner losses [steps] */
  double *outer_loss;               /* outer losses [steps], or NaN if a loss was not evaluated */
  double *gradient_norm;            /* Euclidean norms of the gradients [steps] */
  double *update_norm;              /* Euclidean norms of the updates [steps] */
  wl_real *gradient;                /* gradients of the sampled coordinates [steps][coordinates] */
  wl_real *update;                  /* updates of the sampled coordinates [steps][coordinates] */
  wl_real *hidden; /* states of the rule at the sampled coordinates [steps][coordinates][hidden] */
  wl_real *theta;                   /* inner parameters at the snapshots [snapshots][n] */
  int64_t *snapshot_step;           /* inner steps of the snapshots [snapshots] */
  int64_t snapshots, n;
} wl_record;

/* A quantity with one value for each meta-step. */
typedef struct wl_metric {
  /* name and description of the quantity; the name contains "seconds" if the value is a time */
  const char *name, *meaning;
} wl_metric;

typedef struct wl_trajectory_setting {
  /* largest number of inner steps of a window; the arrays of shorter windows are padded with NaN */
  int64_t steps;
  int64_t coordinates; /* number of sampled coordinates, or 0 if no coordinates are sampled */
  /* indices in theta of the sampled coordinates [coordinates], which are copied and written to
   * the files */
  const int64_t *index;
  /* number of reals of the rule's state that are recorded for a sampled coordinate, or 0 if no
   * state is recorded */
  int64_t hidden;
  int64_t n; /* largest number of inner parameters in a snapshot, or 0 if no snapshots are recorded */
  int64_t snapshots;   /* largest number of snapshots in a window */
  /* compression level (0 to 9) of the HDF5 filter deflate; if the level is above 0, the filter
   * shuffle is also applied */
  int compression;
  bool half; /* true: sampled arrays and snapshots are stored with 16 bits (IEEE binary16) */
  int64_t part_bytes;  /* number of bytes of rows at which a part is full, where 0 means 8 MiB */
  /* the metrics [n_metrics], which must be valid until the trajectory is closed */
  const wl_metric *metrics;
  int n_metrics;
} wl_trajectory_setting;

typedef struct wl_trajectory wl_trajectory;

/* Opens the trajectory of a run, so that rows can be appended. Removes the temporary files of
 * killed processes. Removes the records with meta_step >= resume_step and the metrics with
 * meta_step > resume_step. If resume_step is 0, all rows are removed. */
wl_status wl_trajectory_open(const char *run, const wl_trajectory_setting *setting,
                             int64_t resume_step, const char *configuration, wl_trajectory **out);
/* Sets the pointers of a record to arrays in `memory`, one after the other. The arrays have room
 * for the largest window. Returns the number of bytes of all arrays. If `memory` is NULL, the
 * pointers are set to NULL and the bytes are only counted. */
size_t wl_record_arrange(const wl_trajectory_setting *setting, void *memory, wl_record *record);
/* Copies the record to a row in memory. The function wl_trajectory_flush writes the row to a file. */
wl_status wl_trajectory_append(wl_trajectory *t, const wl_record *record);
/* Adds the metrics of one meta-step. `values` has one value for each metric of the settings. The
 * metrics are stored in the same parts as the records. `meta_step` is the number of meta-steps that
 * are done, and includes this one. */
wl_status wl_trajectory_metrics(wl_trajectory *t, int64_t meta_step, const double *values);
/* Writes to the newest part the rows that were appended since the last flush, and then writes the
 * index again. After a failure, the rows stay in memory for the next flush. */
wl_status wl_trajectory_flush(wl_trajectory *t);
/* wl_trajectory_stage and wl_trajectory_write together do the same as wl_trajectory_flush. The
 * function wl_trajectory_stage moves the appended rows to a second buffer. The function
 * wl_trajectory_write writes that buffer. While one thread writes, another thread may append rows,
 * but must not stage them. */
wl_status wl_trajectory_stage(wl_trajectory *t);
wl_status wl_trajectory_write(wl_trajectory *t);
/* Returns the number of bytes that were appended since the last call of wl_trajectory_stage. */
int64_t wl_trajectory_pending(const wl_trajectory *t);
/* Writes the rows as wl_trajectory_flush does, and frees the trajectory. Does nothing if *t is
 * NULL. */
wl_status wl_trajectory_close(wl_trajectory **t);

#endif
