/* progress.h - figures that tell how a training gets on: means over whole episodes.
 *
 * A window's losses depend on its place in the episode, so that figures of single meta-steps swing with it. Means are
 * over a number of meta-steps that makes whole episodes. Nothing of this touches what is computed. */
#ifndef WL_RUN_PROGRESS_H
#define WL_RUN_PROGRESS_H

#include "train/trainer.h"

typedef struct wl_progress wl_progress;

wl_status wl_progress_create(const wl_trainer *trainer, wl_progress **out);
void wl_progress_destroy(wl_progress **progress); /* accepts NULL */
void wl_progress_add(wl_progress *progress, const wl_meta_report *report);
/* Means over the last whole episodes, over those that were added before the first is whole; NaN: none was finite. */
double wl_progress_meta_loss(const wl_progress *progress);
double wl_progress_last_loss(const wl_progress *progress);
/* What an episode lowers the loss by, as a share of the mean loss at the start of its windows: about 0 for a rule that does
 * nothing. NaN until enough meta-steps were added to tell. */
double wl_progress_gain(const wl_progress *progress);

#endif
