/* restart.c - computes the scores of particles, stores states, and starts episodes from a stored
 * state. The interface is in restart.h. */
#include "unroll/restart.h"

#include <math.h>
#include <string.h>

enum { SCORE, WORST, LAST_LOSS, NUMBERS = WL_UNIT_SCORES };

/* Distance between the draw numbers of two consecutive episodes with the same task, so that these
 * episodes draw different minibatches. */
static const int64_t APART = (int64_t)1 << 32;

static double *mean_of(wl_unit *unit) { return unit->score + NUMBERS * unit->shape.particles; }

void wl_restart_clear_scores(wl_unit *unit) {
  for (int p = 0; p < unit->shape.particles; p++) {
    double *const score = unit->score + NUMBERS * p;
    score[SCORE] = score[WORST] = 0.0;
    score[LAST_LOSS] = INFINITY;
  }
  *mean_of(unit) = 0.0;
}

void wl_restart_score(wl_unit *particle, const double *losses, int64_t count, bool finite) {
  double *const score = particle->score;
  for (int64_t k = 0; k < count; k++) {
    score[SCORE] = fmax(0.0, score[SCORE] + losses[k] - score[LAST_LOSS]);
    score[LAST_LOSS] = losses[k];
    if (score[SCORE] > score[WORST]) score[WORST] = score[SCORE];
  }
  if (!finite) score[WORST] = INFINITY;
}

bool wl_restart_has_grown(wl_unit *unit) {
  double sum = 0.0;
  for (int p = 0; p < unit->shape.particles; p++) sum += unit->score[NUMBERS * p + WORST];
  const double mean = sum / unit->shape.particles;
  const bool grown = mean > *mean_of(unit);
  *mean_of(unit) = mean;
  return grown;
}

static void copy(wl_real *to, const wl_real *from, int64_t count) {
  if (count > 0) memcpy(to, from, (size_t)count * sizeof *to);
}

/* theta_of, state_of and teacher_of return the number of elements of the stored theta, of the
 * stored state, and of the stored state of the teacher. */
static int64_t theta_of(const wl_unit *unit) { return wl_pad(unit->task->n); }
static int64_t state_of(const wl_model *model, const wl_unit *unit) {
  return wl_model_state(model, wl_task_theta(unit->task));
}
static int64_t teacher_of(const wl_unit *unit) {
  const wl_rule *teacher = unit->shape.teacher;
  return teacher ? wl_rule_state_reals(teacher, wl_task_theta(unit->task)) : 0;
}

void wl_restart_store(const wl_model *model, const wl_unit *before, wl_unit *unit) {
  copy(unit->stored_theta, before->theta, theta_of(unit));
  copy(unit->stored_state, before->state, state_of(model, unit));
  copy(unit->stored_teacher_state, before->teacher_state, teacher_of(unit));
}

int64_t wl_restart_draw(int64_t number, int64_t origin) { return (number - origin) * APART; }

void wl_restart_begin(const wl_model *model, wl_unit *unit, int64_t number, int64_t t) {
  copy(unit->theta, unit->stored_theta, theta_of(unit));
  copy(unit->state, unit->stored_state, state_of(model, unit));
  copy(unit->teacher_state, unit->stored_teacher_state, teacher_of(unit));
  unit->number = number;
  unit->t = unit->first = t;
  unit->draw = wl_restart_draw(number, unit->episode.index);
  unit->stopped = false;
  for (int p = 1; p < unit->shape.particles; p++) wl_unit_copy_particle(model, unit, 0, p);
  wl_restart_clear_scores(unit);
}
