/* storage_trial.c - tape or replay: which is faster here, tried in a run's first windows.
 *
 * A tape spares a forward pass and costs memory traffic, which all ranks of a node share: what is faster depends
 * on the processor and on how many ranks there are. Both give the same bits, so that the windows of the training
 * are the measurement: whole windows, TRIES of each, and the least time counts, since what other programs take
 * only ever adds to it. Each rank decides for itself; with equal work all try the same at about the same time.
 * The order is tape, replay, replay, tape, so that what is special about each second unit or meta-step (units
 * that are recorded, for one) meets both. */
#include <math.h>

#include "base/clock.h"
#include "unroll/window_impl.h"

enum { TRIES = 8 };

/* Replay, which takes less memory, has to be this much faster all the same: near a tie noise decides. */
static const double CLEARLY = 0.97;

bool wl_storage_on_trial(const wl_window_plan *p, const wl_window_spec *spec) {
  return spec->storage == WL_STORAGE_AUTO && p->record > 0 && p->segments == 1 &&
         !p->time_outermost && !spec->replayed;
}

void wl_storage_trial_set(wl_unroll_ws *ws) {
  const bool open = ws->with_gradient && wl_storage_on_trial(&ws->plan, &ws->spec);
  ws->trial = (wl_storage_trial){.left = open ? 2 * TRIES : 0, .least = {INFINITY, INFINITY}};
}

static bool replays_now(const wl_storage_trial *trial) {
  return trial->left % 4 == 2 || trial->left % 4 == 3;
}

void wl_storage_trial_begin(wl_unroll_ws *ws) {
  wl_storage_trial *trial = &ws->trial;
  if (replays_now(trial)) {
    trial->tape = ws->tape;
    ws->tape = NULL;
  }
  trial->start = wl_seconds();
}

void wl_storage_trial_end(wl_unroll_ws *ws, bool finite) {
  wl_storage_trial *trial = &ws->trial;
  const double seconds = wl_seconds() - trial->start;
  const bool replayed = replays_now(trial);
  if (replayed) ws->tape = trial->tape;
  if (!finite) return; /* it ended early, and is no try */
  trial->least[replayed] = fmin(trial->least[replayed], seconds);
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
