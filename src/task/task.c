/* task.c - contains the table of task families and the functions that work for every family. These
 * functions draw the task of an episode, and compute losses, gradients, Hessian-vector products and
 * evaluations.
 *
 * - wl_task_loss computes L(theta, phi; batch) with a forward pass, and the gradients with a reverse pass.
 * - wl_task_hvp computes d/de grad L(theta + e v, phi; batch) with a forward pass, a reverse pass and a tangent pass.
 * - wl_task_evaluate computes the mean of L over the fixed sample with a forward pass for each batch.
 *
 * A workspace records which episode was drawn and which batch is in the tape's inputs. The
 * functions wl_task_loss, wl_task_hvp and wl_task_evaluate can be called in any order. These
 * functions draw a task only if the workspace contains another task, and load a batch only if the
 * tape's inputs contain another batch. */
#include "task/task.h"

#include <math.h>
#include <string.h>
#include <threads.h>

#include "base/plugin_open.h"
#include "task/augment.h"
#include "task/warp.h"

#define WL_TASK_FAMILY(name) extern const wl_task_family wl_task_##name;
#include "task/families.def"
#undef WL_TASK_FAMILY

const wl_task_family *const wl_task_families[] = {
#define WL_TASK_FAMILY(name) &wl_task_##name,
#include "task/families.def"
#undef WL_TASK_FAMILY
    NULL};

enum { FAMILY_COUNT = sizeof wl_task_families / sizeof *wl_task_families - 1 };

/* The keys that every family has. */
typedef struct task_keys {
  double proportion;
  enum { FROM_BATCH, FROM_TRAINING } norm_statistics;
  wl_augment_keys augment;
  wl_warp_keys warp;
} task_keys;

const wl_option wl_task_common_options[] = {
    {"proportion", WL_OPT_REAL, "1.0", NULL, 0.0, 1e9, "1",
     "Relative frequency with which this task is chosen, if the configuration has several tasks.",
     WL_SLOT(task_keys, proportion), .flags = WL_KEY_FIXED},
    {"norm_statistics", WL_OPT_CHOICE, "batch", "batch|training", 0, 0, "1",
     "Statistics that batch norm uses in evaluations. batch: the statistics of each batch. "
     "training: the statistics of the training split, or of the support set in few-shot tasks, at "
     "the adapted parameters.",
     WL_SLOT(task_keys, norm_statistics)},
    WL_AUGMENT_OPTIONS(task_keys, augment),
    WL_WARP_OPTIONS(task_keys, warp),
    {0}};

struct wl_task_ws {
  const wl_task *task; /* borrowed */
  wl_tape_ws *tape;
  void *draw;             /* data of the drawn task [task->draw_bytes bytes] */
  wl_augment_ws *augment; /* the augmentations of the episode, or NULL if there are none */
  wl_episode episode;
  bool bound; /* true: `draw` and the tape contain the task of `episode` */
  wl_batch batch;
  bool loaded; /* true: the tape's inputs contain the data of `batch` */
};

/* The task families, as variants of the section `task`. The table is filled when it is first used. */
static wl_variant variants[FAMILY_COUNT + 1];
static once_flag variants_once = ONCE_FLAG_INIT;

static void describe_family(const void *table, wl_variant *out) {
  const wl_task_family *family = table;
  *out = (wl_variant){family->name, family->summary, family->options, family};
}

static void fill_variants(void) {
  for (int i = 0; i < FAMILY_COUNT; i++) describe_family(wl_task_families[i], &variants[i]);
}

static const char *missing_function(const void *table) {
  const wl_task_family *family = table;
  return !family->create ? "create" : !family->destroy ? "destroy" : !family->theta0 ? "theta0" : NULL;
}

const wl_plugin_kind wl_task_plugins = {.name = "task",
                                        .summary = "a task family",
                                        .layout = WL_TASK_LAYOUT,
                                        .describe = describe_family,
                                        .missing = missing_function,
                                        .built_in = wl_task_variants,
                                        .selector = "family",
                                        .common = wl_task_common_options};

const wl_variant *wl_task_variants(void) {
  call_once(&variants_once, fill_variants);
  return variants;
}

static task_keys read_keys(const wl_map *options) {
  task_keys keys = {0};
  wl_map_read(options, wl_task_common_options, &keys);
  return keys;
}

bool wl_task_wants_warp(const wl_map *options) {
  const task_keys keys = read_keys(options);
  return wl_warp_wanted(&keys.warp);
}

/* Checks the members of a task that the family's function `create` must set. */
static wl_status check_created(const wl_task *task, const wl_map *options) {
  if (!task->tape) return wl_map_fail(options, "family", "the function create() built no tape: task->tape is "
                                                         "NULL; set it with wl_tape_create");
  const int64_t parameters = wl_task_theta(task)->size;
  if (task->n != parameters)
    return wl_map_fail(options, "family", "the function create() set n to %lld, but the tape has %lld inner "
                                          "parameters; both numbers must be equal",
                       (long long)task->n, (long long)parameters);
  if (task->eval_batches < 1)
    return wl_map_fail(options, "family", "the function create() set eval_batches to %lld; this number must be at "
                                          "least 1",
                       (long long)task->eval_batches);
  if (wl_tape_leaf_count(task->tape) > 0 && !task->family->bind && !task->family->load)
    return wl_map_fail(options, "family",
                       "the tape has the input '%s', but the family has no function that writes "
                       "its data; define `bind` or `load`",
                       wl_tape_leaf_at(task->tape, 0).name);
  return WL_OK;
}

/* Reads the options of the warp layers, builds the family's network with the warp layers, and
 * checks that the network used all of these options. */
static wl_status build_task(const wl_map *options, uint64_t seed, bool warped, wl_task *task) {
  const task_keys keys = read_keys(options);
  task->proportion = keys.proportion / wl_map_combinations(options);
  task->held_statistics = keys.norm_statistics == FROM_TRAINING;
  WL_TRY(wl_augment_create(&keys.augment, options, &task->augment));
  if (warped) WL_TRY(wl_warp_create(&keys.warp, options, &task->warp));
  wl_plugin_enter(task->family, "create");
  WL_TRY(task->family->create(options, seed, task));
  WL_TRY(check_created(task, options));
  return wl_warp_placed(task->warp, options);
}

static wl_status create_task(const wl_map *options, uint64_t seed, bool warped, wl_task **out) {
  const wl_task_family *family = wl_map_table(options);
  if (!family)
    return wl_map_fail(options, "family",
                       "the task family belongs to a plug-in, which this program does not load");
  wl_task *task = NULL;
  WL_TRY(WL_NEW(task, 1));
  task->family = family;
  task->eval_batches = 1;
  const wl_status status = build_task(options, seed, warped, task);
  if (status != WL_OK) {
    wl_task_destroy(&task);
    return status;
  }
  *out = task;
  return WL_OK;
}

wl_status wl_task_create(const wl_map *options, uint64_t seed, wl_task **out) {
  return create_task(options, seed, true, out);
}

wl_status wl_task_create_unwarped(const wl_map *options, uint64_t seed, wl_task **out) {
  return create_task(options, seed, false, out);
}

void wl_task_destroy(wl_task **task) {
  if (!task || !*task) return;
  wl_augment_destroy(&(*task)->augment);
  wl_warp_destroy(&(*task)->warp);
  wl_plugin_enter((*task)->family, "destroy");
  if ((*task)->impl) (*task)->family->destroy(*task);
  wl_tape_destroy(&(*task)->tape);
  wl_free(*task);
  *task = NULL;
}

void wl_task_phi0(const wl_task *task, uint64_t seed, wl_real *phi) {
  wl_warp_init(task->warp, wl_tape_phi_layout(task->tape), seed, phi);
}

double wl_task_cost(const wl_task *task) {
  const double cost = task->family->loss ? task->cost : wl_tape_cost(task->tape);
  return cost + wl_augment_cost(task->augment, task->n);
}

bool wl_task_moves_start(const wl_task *task) { return wl_augment_moves_start(task->augment); }

wl_status wl_task_ws_create(const wl_task *task, bool with_tangent, wl_task_ws **out) {
  wl_task_ws *ws = NULL;
  wl_status status = WL_NEW(ws, 1);
  if (status != WL_OK) return status;
  ws->task = task;
  WL_TRY_GOTO(status, wl_tape_ws_create(task->tape, with_tangent, &ws->tape), fail);
  if (task->draw_bytes) WL_TRY_GOTO(status, wl_alloc(&ws->draw, task->draw_bytes, 1), fail);
  WL_TRY_GOTO(status, wl_augment_ws_create(task->augment, task->n, &ws->augment), fail);
  *out = ws;
  return WL_OK;
fail:
  wl_task_ws_destroy(&ws);
  return status;
}

void wl_task_ws_destroy(wl_task_ws **ws) {
  if (!ws || !*ws) return;
  wl_tape_ws_destroy(&(*ws)->tape);
  wl_augment_ws_destroy(&(*ws)->augment);
  wl_free((*ws)->draw);
  wl_free(*ws);
  *ws = NULL;
}

size_t wl_task_ws_bytes(const wl_task *task, bool with_tangent) {
  return sizeof(wl_task_ws) + wl_tape_ws_bytes(task->tape, with_tangent) + task->draw_bytes +
         wl_augment_ws_bytes(task->augment, task->n);
}

double wl_task_loss_scale(const wl_task_ws *ws) { return wl_augment_loss_scale(ws->augment); }

wl_tape_ws *wl_task_ws_tape(wl_task_ws *ws) { return ws->tape; }

static bool same_batch(const wl_batch *a, const wl_batch *b) {
  return a->purpose == b->purpose && a->split == b->split && a->step == b->step;
}

wl_status wl_task_bind(const wl_task *task, wl_task_ws *ws, const wl_episode *episode) {
  WL_CHECK(ws->task == task);
  if (ws->bound && wl_same_episode(&ws->episode, episode)) return WL_OK;
  ws->bound = ws->loaded = false;
  if (task->family->sample) {
    memset(ws->draw, 0, task->draw_bytes);
    wl_plugin_enter(task->family, "sample");
    WL_TRY(task->family->sample(task, episode, ws->draw));
  }
  wl_plugin_enter(task->family, "bind");
  if (task->family->bind) task->family->bind(task, episode, ws->draw, ws->tape);
  wl_augment_bind(ws->augment, wl_task_theta(task), episode);
  ws->episode = *episode;
  ws->bound = true;
  return WL_OK;
}

wl_status wl_task_theta0(const wl_task *task, const wl_task_ws *ws, wl_real *theta) {
  WL_CHECK(ws->bound);
  wl_plugin_enter(task->family, "theta0");
  WL_TRY(task->family->theta0(task, &ws->episode, theta));
  wl_augment_start(ws->augment, wl_task_theta(task), theta);
  return WL_OK;
}

void wl_task_load(const wl_task *task, wl_task_ws *ws, const wl_batch *batch) {
  if (!task->family->load || (ws->loaded && same_batch(&ws->batch, batch))) return;
  wl_plugin_enter(task->family, "load");
  task->family->load(task, &ws->episode, ws->draw, batch, ws->tape);
  ws->batch = *batch;
  ws->loaded = true;
}

wl_status wl_task_status(const wl_task *task) {
  return task->family->status ? task->family->status(task) : WL_OK;
}

static int64_t n_phi(const wl_task *task) { return wl_tape_phi_layout(task->tape)->size; }

double wl_task_loss(const wl_task *task, wl_task_ws *ws, const wl_task_point *at,
                    wl_real *grad_theta, wl_real *grad_phi) {
  wl_task_load(task, ws, at->batch);
  const wl_real *const seen = wl_augment_theta(ws->augment, at->theta);
  double loss = NAN;
  if (task->family->loss) {
    wl_plugin_enter(task->family, "loss");
    loss = task->family->loss(task, &ws->episode, at->batch, seen, grad_theta);
  } else {
    wl_tape_forward(task->tape, ws->tape, seen, at->phi, &loss);
    if (grad_theta || grad_phi) wl_tape_reverse(task->tape, ws->tape, grad_theta, grad_phi);
  }
  wl_augment_gradient(ws->augment, at->batch, grad_theta, grad_phi, n_phi(task));
  return wl_augment_loss(ws->augment, at->batch, at->theta, loss);
}

void wl_task_hvp(const wl_task *task, wl_task_ws *ws, const wl_task_point *at, const wl_real *v,
                 wl_real *hv_theta, wl_real *hv_phi) {
  wl_task_load(task, ws, at->batch);
  wl_tape_forward(task->tape, ws->tape, wl_augment_theta(ws->augment, at->theta), at->phi, NULL);
  wl_tape_reverse(task->tape, ws->tape, NULL, NULL);
  wl_task_hvp_here(task, ws, at, v, hv_theta, hv_phi);
}

void wl_task_hvp_here(const wl_task *task, wl_task_ws *ws, const wl_task_point *at,
                      const wl_real *v, wl_real *hv_theta, wl_real *hv_phi) {
  wl_tape_move(task->tape, ws->tape, wl_augment_last(ws->augment, at->theta), at->phi);
  wl_tape_tangent(task->tape, ws->tape, wl_augment_direction(ws->augment, v), NULL, hv_theta,
                  hv_phi);
  wl_augment_product(ws->augment, hv_theta, hv_phi, n_phi(task));
}

void wl_task_image(const wl_task *task, wl_task_ws *ws, const wl_real *theta, const wl_real *phi,
                   wl_real *image) {
  wl_tape_forward(task->tape, ws->tape, wl_augment_theta(ws->augment, theta), phi, NULL);
  memcpy(image, wl_tape_value(ws->tape, task->plane.image), 2 * sizeof *image);
}

static double evaluate_sample(const wl_task *task, wl_task_ws *ws, wl_split split,
                              const wl_real *theta, const wl_real *phi, double *accuracy) {
  double loss = 0.0, hits = 0.0;
  for (int64_t b = 0; b < task->eval_batches; b++) {
    const wl_batch batch = {WL_FOR_EVAL_BATCH, split, b};
    loss += wl_task_loss(task, ws, &(wl_task_point){&batch, theta, phi}, NULL, NULL);
    if (accuracy) hits += wl_tape_accuracy(task->tape, ws->tape);
  }
  if (accuracy) *accuracy = hits / (double)task->eval_batches;
  return loss / (double)task->eval_batches;
}

double wl_task_evaluate(const wl_task *task, wl_task_ws *ws, wl_split split, const wl_real *theta,
                        const wl_real *phi, double *accuracy) {
  const bool held = task->held_statistics &&
                    wl_tape_set_statistics(task->tape, ws->tape, WL_STATISTICS_COLLECT) > 0;
  if (held) {
    evaluate_sample(task, ws, WL_SPLIT_TRAIN, theta, phi, NULL);
    wl_tape_set_statistics(task->tape, ws->tape, WL_STATISTICS_HELD);
  }
  const double loss = evaluate_sample(task, ws, split, theta, phi, accuracy);
  if (held) wl_tape_set_statistics(task->tape, ws->tape, WL_STATISTICS_BATCH);
  return loss;
}
