/* start_copy.c - copies the state at the start of a meta-step. If the training ends the meta-step
 * early, the state is restored from the copy.
 *
 * Units that begin an episode are not copied, because such units can begin the episode again. */
#include <string.h>

#include "train/replay.h"
#include "train/trainer_impl.h"

wl_status wl_start_copy_create(const wl_trainer *tr, wl_start_copy *c) {
  const int64_t n = tr->setup.problem.model->phi.size;
  WL_TRY(WL_NEW(c->clock, tr->state->plan->units));
  WL_TRY(WL_NEW(c->origin, tr->state->plan->units));
  WL_TRY(WL_NEW(c->stored, tr->state->plan->units));
  WL_TRY(WL_NEW(c->unit, tr->state->plan->units));
  return WL_NEW(c->vectors, 4 * n);
}

void wl_start_copy_clear(const wl_trainer *tr, wl_start_copy *c) {
  for (int64_t u = 0; c->unit && u < tr->state->plan->units; u++) wl_unit_destroy(&c->unit[u]);
  wl_free(c->clock);
  wl_free(c->origin);
  wl_free(c->stored);
  wl_free(c->unit);
  wl_free(c->vectors);
}

/* If `back` is false, copies phi, the two moments of the meta-gradient and the average of phi to
 * tr->start.vectors. If `back` is true, copies the four vectors from tr->start.vectors back. */
static void move_vectors(wl_trainer *tr, bool back) {
  const int64_t n = tr->setup.problem.model->phi.size;
  double *const live[] = {tr->state->phi, tr->state->outer->first, tr->state->outer->second,
                          tr->state->average};
  for (int i = 0; i < 4; i++) {
    double *const copy = tr->start.vectors + i * n;
    if (!live[i] || n == 0) continue;
    if (back) memcpy(live[i], copy, (size_t)n * sizeof *copy);
    else memcpy(copy, live[i], (size_t)n * sizeof *copy);
  }
}

static void move_clocks(wl_trainer *tr, bool back) {
  wl_start_copy *c = &tr->start;
  wl_plan *p = tr->state->plan;
  const size_t units = (size_t)p->units;
  memcpy(back ? p->clock : c->clock, back ? c->clock : p->clock, units * sizeof *p->clock);
  memcpy(back ? p->origin : c->origin, back ? c->origin : p->origin, units * sizeof *p->origin);
  memcpy(back ? p->stored : c->stored, back ? c->stored : p->stored, units * sizeof *p->stored);
}

void wl_trainer_keep_clocks(wl_trainer *tr) {
  wl_start_copy *c = &tr->start;
  move_clocks(tr, false);
  memcpy(c->updates, tr->state->outer->updates, sizeof c->updates);
  c->skipped = tr->state->skipped;
  c->last_counted = tr->state->last_counted;
  c->episodes_without_finite_unit = tr->state->episodes_without_finite_unit;
  move_vectors(tr, false);
}

wl_status wl_trainer_keep_start(wl_trainer *tr) {
  for (int64_t u = 0; u < tr->state->plan->units; u++) {
    wl_unit *unit = tr->state->unit[u], **copy = &tr->start.unit[u];
    const bool kept = unit && !tr->state->plan->starts[u];
    if (*copy && (!kept || (*copy)->task != unit->task)) wl_unit_destroy(copy);
    if (!kept) continue;
    if (!*copy)
      WL_TRY(wl_unit_create_with(tr->setup.problem.model, unit->task, &unit->shape, copy));
    wl_unit_copy(tr->setup.problem.model, unit, *copy);
  }
  return WL_OK;
}

void wl_trainer_return_to_start(wl_trainer *tr) {
  wl_start_copy *c = &tr->start;
  move_clocks(tr, true);
  memcpy(tr->state->outer->updates, c->updates, sizeof c->updates);
  tr->state->skipped = c->skipped;
  tr->state->last_counted = c->last_counted;
  tr->state->episodes_without_finite_unit = c->episodes_without_finite_unit;
  move_vectors(tr, true);
  for (int64_t u = 0; u < tr->state->plan->units; u++)
    if (tr->state->unit[u] && c->unit[u])
      wl_unit_copy(tr->setup.problem.model, c->unit[u], tr->state->unit[u]);
}
