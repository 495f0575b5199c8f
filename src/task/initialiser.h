/* initialiser.h - draws the initial values of a network's parameters. The kinds of initial values
 * are:
 *
 * - normal: weights and biases have the distribution N(0, initial_scale^2) (Andrychowicz et al. 2016).
 * - fan-in: weights are normal with the standard deviation 1 / sqrt(fan-in), and values beyond two
 *   standard deviations are drawn again (google/learned_optimization).
 * - he: weights have the distribution N(0, 2 / fan-in) (He et al. 2015).
 * - glorot: weights are uniform in [-a, a] with a = sqrt(6 / (fan-in + fan-out)) (Glorot and Bengio 2010).
 * - orthogonal: the rows or the columns of a weight, whichever are fewer, are orthonormal (Saxe et al. 2014).
 *
 * The kind `normal` also draws biases. All other kinds set biases to 0. The scales of normalisations are set to 1, and
 * the shifts to 0. A weight whose name contains "embedding" has fan-in 1, because the lookup of a row does not sum over
 * inputs. Only files of src/task include this header. */
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
  double scale; /* standard deviation of the initial values for the kind `normal` */
} wl_initialiser;

/* Expands to the rows that declare the keys of the initial values in a family's options table.
 * `fallback` is the default kind. `type` is the struct into which the family reads its keys.
 * `member` is the member of this struct that has the type wl_initialiser. */
/* clang-format off */
#define WL_INITIALISER_OPTIONS(fallback, type, member)                                            \
  {"initialisation", WL_OPT_CHOICE, fallback, "normal|fan-in|he|glorot|orthogonal", 0, 0, "1",    \
   "Distribution of the initial weights. normal: N(0, initial_scale^2), also for biases. "        \
   "fan-in: normal with variance 1 / fan-in, truncated at two standard deviations. he: N(0, 2 / fan-in). " \
   "glorot: uniform, with bounds that depend on fan-in and fan-out. orthogonal: orthonormal rows or columns.", \
   WL_SLOT(type, member.kind)},                                                                   \
  {"initial_scale", WL_OPT_REAL, "0.01", NULL, 0, 1e3, "1",                                       \
   "Standard deviation of the initial values for `initialisation: normal`.", WL_SLOT(type, member.scale)}
/* clang-format on */

/* Draws all n elements of the initial parameters theta_0 of the episode. */
wl_status wl_initialiser_theta0(const wl_initialiser *initialiser, const wl_task *task,
                                const wl_episode *episode, wl_real *theta);

#endif
