/* storage_trial.c - tape or replay: which is faster here, tried in a run's first windows.
 *
 * A tape spares a forward pass and costs memory traffic, which all ranks of a node share: what is faster depends
 * on the processor and on how many ranks there are. Both give the same bits, so that the windows of the training
 * are the measurement: whole windows in turn, TRIES of each, and the least time counts, since what other
 * programs take only ever adds to it. Ranks try the same at about the same time, since all count their windows
 * alike, and decide each for itself. */
#include <math.h>

#include "base/clock.h"
#include "unroll/window_impl.h"

enum { TRIES = 8 };

/* Replay, which takes less memory, has to be this much faster all the same: near a tie noise decides. */
static const double CLEARLY = 0.97;

void wl_storage_trial_set(wl_unroll_ws *ws) {
  const wl_window_plan *p = &ws->plan;
  const bool open = ws->with_gradient && ws->spec.storage == WL_STORAGE_AUTO && p->record > 0 &&
                    p->segments == 1 && !p->time_outermost;
  ws->trial = (wl_storage_trial){.left = open ? 2 * TRIES : 0, .least = {INFINITY, INFINITY}};
}

void wl_storage_trial_begin(wl_unroll_ws *ws) {
  wl_storage_trial *trial = &ws->trial;
  if (trial->left % 2 == 1) {
    trial->tape = ws->tape;
    ws->tape = NULL;
  }
  trial->start = wl_seconds();
}

void wl_storage_trial_end(wl_unroll_ws *ws, bool finite) {
  wl_storage_trial *trial = &ws->trial;
  const double seconds = wl_seconds() - trial->start;
  const int replayed = trial->left % 2;
  if (replayed) ws->tape = trial->tape;
  if (finite)
    trial->least[replayed] = fmin(trial->least[replayed], seconds); /* else it ended early */
  if (--trial->left > 0) return;
  trial->decided = true;
  if (trial->least[1] >= CLEARLY * trial->least[0]) return;
  wl_free(ws->tape);
  ws->tape = NULL;
}

bool wl_unroll_storage_decided(wl_unroll_ws *ws, wl_storage_times *times) {
  if (!ws->trial.decided) return false;
  ws->trial.decided = false;
  *times = (wl_storage_times){ws->trial.least[0], ws->trial.least[1], ws->tape != NULL};
  return true;
}
