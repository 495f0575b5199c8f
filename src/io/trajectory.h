/* trajectory.h - records of inner runs, appended during training.
 *
 * The parts RUN/trajectory/part-NNNNNNNN.h5 are numbered in chronological order. A part is written like a checkpoint:
 * under a temporary name, which is then changed. The newest part is rewritten with all its rows until the part is full.
 * RUN/trajectory.h5 is a virtual file that shows all parts as one file. The virtual file is replaced after each write
 * of a part. A resume drops the rows after its checkpoint. Only rank 0 calls these functions. Schema:
 * docs/hdf5-schema.md. */
#ifndef WL_IO_TRAJECTORY_H
#define WL_IO_TRAJECTORY_H

#include "base/field.h"
#include "base/real.h"
#include "io/checkpoint.h"

/* The record of one window of one unit. Arrays have one row for each of the K steps. Row k describes the step from
 * theta_k to theta_{k+1}. The losses of row k are those at theta_k. The sampled coordinates are the same for every
 * record of a run and task family. */
typedef struct wl_record {
  int64_t meta_step;                /* number of meta-steps done before the window */
  int64_t unit, episode, t0, steps; /* t0: first inner step of the window */
  int64_t task;                     /* index of the task in the configuration */
  double *loss;                     /* [steps] inner loss */
  double *outer_loss;               /* [steps] NaN: not evaluated */
  double *gradient_norm;            /* [steps] */
  double *update_norm;              /* [steps] */
  wl_real *gradient;                /* [steps][coordinates] sampled */
  wl_real *update;                  /* [steps][coordinates] */
  wl_real *hidden;                  /* [steps][coordinates][hidden] */
  wl_real *theta;                   /* [snapshots][n] */
  int64_t *snapshot_step;           /* [snapshots] inner step of each snapshot */
  int64_t snapshots, n;
} wl_record;

/* A quantity with one value for each meta-step. */
typedef struct wl_metric {
  const char *name, *meaning; /* a name contains "seconds" if the value is a time */
} wl_metric;

typedef struct wl_trajectory_setting {
  int64_t steps;       /* largest window K: rows are padded with NaN */
  int64_t coordinates; /* number of sampled coordinates; 0: no coordinates are sampled */
  const int64_t *index; /* [coordinates] indices of the sampled coordinates in theta, copied and stored */
  int64_t hidden;      /* number of recorded reals of each sampled coordinate's state; 0: no state is recorded */
  int64_t n;           /* largest number of inner parameters of a snapshot; 0: no snapshots */
  int64_t snapshots;   /* largest number of snapshots of a window */
  int compression;     /* deflate level, 0..9; shuffle is added when > 0 */
  bool half;           /* store sampled arrays and snapshots as IEEE half precision */
  int64_t part_bytes;  /* a part is full when its rows have this many bytes; 0: 8 MiB */
  const wl_metric *metrics; /* [n_metrics] borrowed until the trajectory is closed */
  int n_metrics;
} wl_trajectory_setting;

typedef struct wl_trajectory wl_trajectory;

/* Opens RUN's trajectory for appending. Removes temporary files and all rows after `resume_step` meta-steps (0: all
 * rows). These rows are the records with meta_step >= resume_step and the metrics with meta_step > resume_step. */
wl_status wl_trajectory_open(const char *run, const wl_trajectory_setting *setting,
                             int64_t resume_step, const char *configuration, wl_trajectory **out);
/* Points the arrays of a record into `memory`, one after the other, with room for the largest window. Returns the bytes
 * of the arrays; with `memory` NULL only counts these bytes. */
size_t wl_record_arrange(const wl_trajectory_setting *setting, void *memory, wl_record *record);
/* Copies the record into memory. */
wl_status wl_trajectory_append(wl_trajectory *t, const wl_record *record);
/* Adds the metrics of one meta-step, one value for each metric of the settings. The metrics are stored in the same
 * parts as the records. `meta_step` counts the meta-steps done, including this one. */
wl_status wl_trajectory_metrics(wl_trajectory *t, int64_t meta_step, const double *values);
/* Writes the rows appended since the last flush to the newest part and rewrites the index. After a failure the rows
 * stay in memory for the next flush. */
wl_status wl_trajectory_flush(wl_trajectory *t);
/* These two functions together do the same as wl_trajectory_flush. wl_trajectory_stage moves the appended rows to a
 * second buffer, and wl_trajectory_write writes that buffer. While one thread writes, another thread may append rows,
 * but must not stage them. */
wl_status wl_trajectory_stage(wl_trajectory *t);
wl_status wl_trajectory_write(wl_trajectory *t);
/* Returns the bytes appended since the last stage. */
int64_t wl_trajectory_pending(const wl_trajectory *t);
wl_status wl_trajectory_close(wl_trajectory **t); /* flushes the rows; accepts NULL */

#endif
