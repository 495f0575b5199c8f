/* trained.h - reads and writes a trained optimizer in a run directory, a checkpoint or an exported
 * file. */
#ifndef WL_RUN_TRAINED_H
#define WL_RUN_TRAINED_H

#include "base/layout.h"
#include "base/options.h"
#include "io/checkpoint.h"
#include "unroll/model.h"

/* A trained optimizer with its configuration. */
typedef struct wl_trained {
  wl_config *config;
  wl_layout layout; /* layout of phi for the model in the configuration */
  double *phi;      /* [layout.size] */
  int64_t meta_steps;
  char digest[17];
  char source[4096]; /* file from which the optimizer was read */
} wl_trained;

/* Reads the newest valid checkpoint of a run directory, an optimizer file, or a checkpoint file.
 * `overrides` replace values of the stored configuration. The tensors of `phi` are found by name.
 * Each tensor must have the shape that the configuration determines. Not collective. */
wl_status wl_trained_read(const char *path, const wl_override *overrides, int n_overrides,
                          wl_trained **out);
void wl_trained_destroy(wl_trained **trained);
/* Returns the number of inner steps of the longest episode of the training. */
int64_t wl_trained_horizon(const wl_trained *trained);
/* Computes the meta-parameters [model->phi.size] with which a training starts. The values are drawn
 * with the seed, or copied from the trained optimizer that the configuration names as `start`. Not
 * collective. */
wl_status wl_trained_start(const wl_config *config, const wl_model *model, const wl_task *task,
                           uint64_t seed, double *phi);
/* Writes the tensors of phi and the configuration to a file of kind "optimizer". Not collective. */
wl_status wl_trained_write(const char *path, const wl_config *config, const wl_layout *layout,
                           double *phi, const char *digest, int64_t meta_steps);

/* Opens a file that wl_trained_read can read, for callers that build the model themselves. The
 * caller sets *out to zero before the call. The function fills in the members config, meta_steps,
 * digest and source of *out. The caller destroys out->config and closes *file, even after a
 * failure. */
wl_status wl_trained_open(const char *path, const wl_override *overrides, int n_overrides,
                          wl_trained *out, wl_file **file);
/* Reads the datasets phi/<block> of the file into phi [layout->size]. Returns WL_ERR_DATA if a tensor is missing or has
 * another shape, or if a number is not finite. */
wl_status wl_trained_read_blocks(const wl_file *file, const wl_layout *layout, double *phi);

#endif
