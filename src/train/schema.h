/* schema.h - declares the table of all sections of the configuration, and functions that read the
 * sections of src/train. */
#ifndef WL_TRAIN_SCHEMA_H
#define WL_TRAIN_SCHEMA_H

#include "base/options.h"
#include "unroll/window.h"

/* Returns the table of all sections. The last element has the name NULL. The table is valid until
 * the process ends. */
const wl_section *wl_schema(void);
/* Returns the section with this name, or NULL if there is none. */
const wl_section *wl_schema_section(const char *name);

/* Values of the keys in the sections that src/train declares. Strings and lists are borrowed from
 * the configuration. */
typedef struct wl_run_keys { /* keys at the top level of the configuration, outside all sections */
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

/* Each of these functions returns the values of one section. wl_schema_run returns the values at
 * the top level. */
wl_run_keys wl_schema_run(const wl_config *config);
wl_replay_keys wl_schema_replay(const wl_config *config);
wl_curriculum_keys wl_schema_curriculum(const wl_config *config);
wl_checkpoint_keys wl_schema_checkpoint(const wl_config *config);
wl_trajectory_keys wl_schema_trajectory(const wl_config *config);

/* Converts the section `window` to settings of a window. The list of weights is borrowed from the
 * configuration. Returns WL_ERR_CONFIG if the values of the keys in this section contradict each
 * other. */
wl_status wl_schema_window(const wl_config *config, wl_window_spec *spec);

#endif
