/* progress.c - keeps the last reports in a ring buffer and computes their means. */
#include "run/progress.h"

#include <math.h>

enum { LEAST = 20, MOST = 4096, TELLING = 100 };

typedef struct figures {
  double meta_loss, first_loss, last_loss;
} figures;

struct wl_progress {
  figures *ring; /* the last reports [room] */
  int64_t room, added;
  /* number of windows of an episode; NaN if a window has one step, because such a window has only
   * one loss */
  double windows;
};

wl_status wl_progress_create(const wl_trainer *trainer, wl_progress **out) {
  const wl_problem *problem = &wl_setup_of(trainer)->problem;
  const int64_t longest = problem->horizon[problem->n_horizon - 1], K = problem->spec.steps;
  const int64_t windows = K < longest ? (longest + K - 1) / K : 1;
  const int64_t period = wl_setup_of(trainer)->per_episode ? 1 : windows;
  wl_progress *p = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(p, 1));
  p->room = period * ((LEAST + period - 1) / period);
  if (p->room > MOST) p->room = MOST;
  p->windows = K > 1 ? (double)windows : NAN;
  const wl_status status = WL_NEW(p->ring, p->room);
  if (status != WL_OK) wl_progress_destroy(&p);
  *out = p;
  return status;
}

void wl_progress_destroy(wl_progress **progress) {
  if (!*progress) return;
  wl_free((*progress)->ring);
  wl_free(*progress);
  *progress = NULL;
}

void wl_progress_add(wl_progress *p, const wl_meta_report *r) {
  p->ring[p->added++ % p->room] = (figures){r->meta_loss, r->first_loss, r->last_loss};
}

/* Returns the means over the reports in the ring buffer. A report whose losses are not finite is
 * not included in the means. */
static figures means(const wl_progress *p) {
  const int64_t held = p->added < p->room ? p->added : p->room;
  figures sum = {0};
  int64_t count = 0;
  for (int64_t i = 0; i < held; i++) {
    const figures *f = &p->ring[i];
    if (!isfinite(f->meta_loss) || !isfinite(f->first_loss) || !isfinite(f->last_loss)) continue;
    sum.meta_loss += f->meta_loss;
    sum.first_loss += f->first_loss;
    sum.last_loss += f->last_loss;
    count++;
  }
  return (figures){sum.meta_loss / (double)count, sum.first_loss / (double)count,
                   sum.last_loss / (double)count};
}

double wl_progress_meta_loss(const wl_progress *p) { return means(p).meta_loss; }

double wl_progress_last_loss(const wl_progress *p) { return means(p).last_loss; }

double wl_progress_gain(const wl_progress *p) {
  const figures m = means(p);
  if (p->added < TELLING || p->added < p->room) return NAN;
  return p->windows * (m.first_loss - m.last_loss) / fabs(m.first_loss);
}
