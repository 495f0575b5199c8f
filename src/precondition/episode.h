/* episode.h - the section `episode` of the configuration: the settings of the inner loop. */
#ifndef WL_PRECONDITION_EPISODE_H
#define WL_PRECONDITION_EPISODE_H

#include "base/options.h"

typedef struct wl_episode_keys {
  wl_ints steps; /* T, or [low, high]; borrowed from the configuration */
  double restart;
  bool stagger;
  double clip_value, clip_norm;
} wl_episode_keys;

extern const wl_option wl_episode_options[];
wl_episode_keys wl_episode_read(const wl_config *config);
/* Returns the longest T. */
int64_t wl_episode_longest(const wl_config *config);

#endif
