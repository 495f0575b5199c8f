/* curriculum.c - reads the stages of a curriculum and decides when the next stage begins. The
 * interface is in curriculum.h. */
#include "train/curriculum.h"

#include <math.h>
#include <string.h>

#include "train/schema.h"

/* Fills c->length with the episode lengths of the stages in the configuration, followed by
 * episode.steps. */
static wl_status list_stages(const wl_map *map, wl_ints given, const wl_problem *p,
                             wl_curriculum *c) {
  WL_TRY(WL_NEW(c->length, 2 * c->stages));
  for (int i = 0; i < given.count; i++) c->length[2 * i] = c->length[2 * i + 1] = given.at[i];
  int64_t *const last = c->length + 2 * given.count;
  last[0] = p->horizon[0];
  last[1] = p->horizon[p->n_horizon - 1];
  for (int i = 0; i < given.count; i++)
    if (c->length[2 * i + 1] >= c->length[2 * i + 3])
      return wl_map_fail(
          map, "steps",
          "each stage must be longer than the previous one, but a stage of %lld steps precedes a stage of %lld "
          "steps (the last stage has the length episode.steps)",
          (long long)c->length[2 * i + 1], (long long)c->length[2 * i + 3]);
  return WL_OK;
}

wl_status wl_curriculum_create(const wl_config *config, const wl_problem *p, wl_curriculum **out) {
  const wl_curriculum_keys keys = wl_schema_curriculum(config);
  *out = NULL;
  if (keys.steps.count == 0) return WL_OK;
  wl_curriculum *c = NULL;
  WL_TRY(WL_NEW(c, 1));
  c->stages = keys.steps.count + 1;
  c->every = keys.every;
  c->patience = keys.patience;
  c->tasks = keys.tasks;
  c->size = p->model->phi.size;
  c->best_loss = INFINITY;
  wl_status status = list_stages(wl_config_map(config, "curriculum", 0), keys.steps, p, c);
  if (status == WL_OK) status = WL_NEW(c->best, c->size);
  if (status != WL_OK) wl_curriculum_destroy(&c);
  *out = c;
  return status;
}

void wl_curriculum_destroy(wl_curriculum **curriculum) {
  if (!*curriculum) return;
  wl_free((*curriculum)->length);
  wl_free((*curriculum)->best);
  wl_free(*curriculum);
  *curriculum = NULL;
}

static bool is_last(const wl_curriculum *c) { return c->stage == c->stages - 1; }

int64_t wl_curriculum_horizon(const wl_curriculum *c) {
  const int64_t stage = is_last(c) ? c->stage : c->stage + 1;
  return c->length[2 * stage + 1];
}

bool wl_curriculum_judge(wl_curriculum *c, double loss, const double *judged) {
  if (loss < c->best_loss) { /* this comparison is false if the loss is NaN */
    c->best_loss = loss;
    c->failures = 0;
    c->exported = is_last(c);
    memcpy(c->best, judged, (size_t)c->size * sizeof *judged);
    return false;
  }
  c->failures++;
  if (is_last(c) || !isfinite(c->best_loss) || c->failures < c->patience) return false;
  c->stage++;
  c->failures = 0;
  c->best_loss = INFINITY;
  return true;
}

double *wl_curriculum_result(const wl_curriculum *c) {
  return c->exported ? c->best : NULL;
}
