/* schema.h - all sections of the configuration, in one table. */
#ifndef WL_TRAIN_SCHEMA_H
#define WL_TRAIN_SCHEMA_H

#include "base/options.h"
#include "unroll/window.h"

/* Returns all sections. The last element has the name NULL. The sections are valid until the process ends. */
const wl_section *wl_schema(void);
/* Returns the section with this name, or NULL if there is none. */
const wl_section *wl_schema_section(const char *name);

/* The values of the sections that src/train declares. Texts and lists are borrowed from the configuration. */
typedef struct wl_run_keys { /* the top level */
  int64_t seed, threads;
  const char *output, *start;
} wl_run_keys;
typedef struct wl_replay_keys {
  double capacity; /* MiB */
  const char *spill;
  int64_t stride, keep, epochs, batch, steps;
  enum { WL_REPLAY_WORKING, WL_REPLAY_SINGLE, WL_REPLAY_HALF } precision;
} wl_replay_keys;
typedef struct wl_curriculum_keys {
  wl_ints steps;
  int64_t every, patience, tasks;
} wl_curriculum_keys;
typedef struct wl_checkpoint_keys {
  int64_t every, keep;
} wl_checkpoint_keys;
typedef struct wl_trajectory_keys {
  int64_t every, units, coordinates, snapshot_stride, compression;
  bool hidden;
  enum { WL_RECORDED_SINGLE, WL_RECORDED_HALF } precision;
} wl_trajectory_keys;

/* Each of these functions reads one section of the configuration. wl_schema_run reads the top level. */
wl_run_keys wl_schema_run(const wl_config *config);
wl_replay_keys wl_schema_replay(const wl_config *config);
wl_curriculum_keys wl_schema_curriculum(const wl_config *config);
wl_checkpoint_keys wl_schema_checkpoint(const wl_config *config);
wl_trajectory_keys wl_schema_trajectory(const wl_config *config);

/* Reads the settings of the section `window`. The list of weights is borrowed from the configuration. */
wl_status wl_schema_window(const wl_config *config, wl_window_spec *spec);

#endif
