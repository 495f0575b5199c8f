/* episode.h - declares functions that read the configuration's section `episode`, which sets the
 * length of episodes and the bounds of inner gradients. */
#ifndef WL_PRECONDITION_EPISODE_H
#define WL_PRECONDITION_EPISODE_H

#include "base/options.h"

typedef struct wl_episode_keys {
  /* the number T of inner steps in an episode, or the range [low, high] of T; borrowed from the
   * configuration */
  wl_ints steps;
  double restart;
  bool stagger;
  double clip_value, clip_norm;
} wl_episode_keys;

extern const wl_option wl_episode_options[];
wl_episode_keys wl_episode_read(const wl_config *config);
/* Returns the largest number of inner steps that an episode can have. */
int64_t wl_episode_longest(const wl_config *config);

#endif
