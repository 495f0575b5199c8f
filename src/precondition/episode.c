/* episode.c - declares and reads the keys of the section `episode`. */
#include "precondition/episode.h"

#include <float.h>

const wl_option wl_episode_options[] = {
    {"steps", WL_OPT_INTS, "100", NULL, 1, 1e9, "steps",
     "Number T of inner steps in an episode. If the value is a range [low, high], T is drawn "
     "log-uniformly from this range for each episode.",
     WL_SLOT(wl_episode_keys, steps)},
    {"stagger", WL_OPT_BOOL, "false", NULL, 0, 0, "1",
     "Each unit starts at a random step of its first episode and has a separate sequence of "
     "episodes and horizons. The key `stagger` requires `outer.every: window`.",
     WL_SLOT(wl_episode_keys, stagger)},
    {"restart", WL_OPT_REAL, "0", NULL, 0, 1, "1",
     "Probability that a unit starts an episode from a state of its previous episode instead of "
     "drawing a new task. The episode starts from the state before the window in which the losses "
     "rose most. The key `restart` requires `stagger`.",
     WL_SLOT(wl_episode_keys, restart)},
    {"clip_value", WL_OPT_REAL, "0", NULL, 0, DBL_MAX, "1",
     "Largest magnitude of each element of an inner gradient. The gradient is clipped before the "
     "preconditioner and the rule use the gradient. 0: no bound.",
     WL_SLOT(wl_episode_keys, clip_value)},
    {"clip_norm", WL_OPT_REAL, "0", NULL, 0, DBL_MAX, "1",
     "Largest norm of an inner gradient. The gradient is scaled down before the preconditioner and "
     "the rule use the gradient. 0: no bound.",
     WL_SLOT(wl_episode_keys, clip_norm)},
    {NULL, 0, NULL, NULL, 0, 0, NULL, NULL}};

wl_episode_keys wl_episode_read(const wl_config *config) {
  wl_episode_keys keys = {0};
  wl_map_read(wl_config_map(config, "episode", 0), wl_episode_options, &keys);
  return keys;
}

int64_t wl_episode_longest(const wl_config *config) {
  const wl_ints steps = wl_episode_read(config).steps;
  WL_CHECK(steps.count > 0);
  return steps.at[steps.count - 1];
}
