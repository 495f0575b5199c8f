/* initialiser.h - draws the initial values of a network's weights. The kinds are:
 *
 *   normal      weights and biases N(0, initial_scale^2)                       (Andrychowicz et al. 2016)
 *   fan-in      truncated normal, sd 1 / sqrt(fan-in), cut at two sd           (google/learned_optimization)
 *   he          N(0, 2 / fan-in)                                               (He et al. 2015)
 *   glorot      uniform within sqrt(6 / (fan-in + fan-out))                    (Glorot and Bengio 2010)
 *   orthogonal  orthonormal rows or columns, whichever are fewer               (Saxe et al. 2014)
 *
 * All kinds except normal set biases to 0. Scales of normalisations start at 1, and their shifts at 0. Embedding tables
 * ("embedding") have fan-in 1, because a lookup does not sum over inputs. Private to src/task. */
#ifndef WL_TASK_INITIALISER_H
#define WL_TASK_INITIALISER_H

#include "task/task.h"

typedef enum wl_initialiser_kind {
  WL_INITIALISER_NORMAL,
  WL_INITIALISER_FAN_IN,
  WL_INITIALISER_HE,
  WL_INITIALISER_GLOROT,
  WL_INITIALISER_ORTHOGONAL
} wl_initialiser_kind;

typedef struct wl_initialiser {
  wl_initialiser_kind kind;
  double scale; /* scale of the kind normal */
} wl_initialiser;

/* The rows of the initial values for the options table of a family. `fallback` is the default kind. The family reads
 * its keys into the struct `type`. This struct has a member `member` of type wl_initialiser. */
/* clang-format off */
#define WL_INITIALISER_OPTIONS(fallback, type, member)                                            \
  {"initialisation", WL_OPT_CHOICE, fallback, "normal|fan-in|he|glorot|orthogonal", 0, 0, "1",    \
   "Distribution of the initial weights. normal: N(0, initial_scale^2), also for biases. fan-in: " \
   "truncated normal of variance 1 / fan-in, cut at two standard deviations. he: N(0, 2 / fan-in). " \
   "glorot: uniform, with bounds from fan-in and fan-out. orthogonal: orthonormal rows or columns.", \
   WL_SLOT(type, member.kind)},                                                                   \
  {"initial_scale", WL_OPT_REAL, "0.01", NULL, 0, 1e3, "1",                                       \
   "Standard deviation for `initialisation: normal`.", WL_SLOT(type, member.scale)}
/* clang-format on */

/* Draws theta_0 of the episode, all n elements. */
wl_status wl_initialiser_theta0(const wl_initialiser *initialiser, const wl_task *task,
                                const wl_episode *episode, wl_real *theta);

#endif
