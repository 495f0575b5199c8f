/* progress.h - measures the progress of a training by averages over complete episodes.
 *
 * The losses of a window depend on the window's position in the episode, so the values of single
 * meta-steps vary. For this reason, means are computed over complete episodes. These means do not
 * affect the training. */
#ifndef WL_RUN_PROGRESS_H
#define WL_RUN_PROGRESS_H

#include "train/trainer.h"

typedef struct wl_progress wl_progress;

/* Creates an empty ring buffer for the reports of `trainer`. The caller frees *out with wl_progress_destroy. */
wl_status wl_progress_create(const wl_trainer *trainer, wl_progress **out);
void wl_progress_destroy(wl_progress **progress); /* accepts NULL */
void wl_progress_add(wl_progress *progress, const wl_meta_report *report);
/* These functions return means over the last complete episodes. Before the first episode is
 * complete, the functions return means over all reports. The mean is NaN if no meta-step had a
 * finite unit. */
double wl_progress_meta_loss(const wl_progress *progress);
double wl_progress_last_loss(const wl_progress *progress);
/* Returns the gain: the decrease of the loss over an episode, divided by the mean loss at the start
 * of the episode's windows. The gain is about 0 for a rule without effect. The gain is NaN until
 * enough meta-steps were added. For windows of one step, the gain is always NaN. */
double wl_progress_gain(const wl_progress *progress);

#endif
