/* mlp.h - declares functions that the families `mlp` and `autoencoder` share, because both families
 * train perceptrons on images. */
#ifndef WL_TASK_MLP_H
#define WL_TASK_MLP_H

#include "task/family.h"
#include "task/image_source.h"
#include "task/initialiser.h"

typedef struct wl_mlp {
  wl_image_source images;
  wl_perceptron hidden;
  wl_initialiser initialiser;
  wl_node x, labels; /* inputs of the network; `labels` is -1 if the loss needs no labels */
} wl_mlp;

/* Reads the keys, opens the images and builds the task's tape. */
wl_status wl_mlp_create(const wl_map *map, const wl_option *options,
                        wl_status (*build)(wl_mlp *mlp, wl_task *task), wl_task *task);
void wl_mlp_destroy(wl_task *task);
wl_status wl_mlp_theta0(const wl_task *task, const wl_episode *episode, wl_real *theta);
void wl_mlp_load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws);

#endif
