/* schema.c - the table of configuration keys that src/train reads. Tasks, rules and preconditioners declare their own
 * keys. */
#include "train/schema.h"

#include <float.h>
#include <string.h>

#include "estimator/estimator.h"
#include "io/arrays.h"
#include "precondition/episode.h"
#include "task/glyphs.h"
#include "train/outer.h"

#define ANY 0, 0
#define POSITIVE DBL_MIN, DBL_MAX
#define AT_LEAST(n) (n), DBL_MAX

static const wl_option top_options[] = {
    {"seed", WL_OPT_INT, "1", NULL, 0, 9e18, "1",
     "Seed of every random number: tasks, batches, initial values.", WL_SLOT(wl_run_keys, seed)},
    {"output", WL_OPT_STRING, "", NULL, ANY, "1",
     "Run directory. The default is runs/ followed by the configuration's name.", WL_SLOT(wl_run_keys, output),
     .flags = WL_KEY_FREE | WL_KEY_PATH},
    {"start", WL_OPT_STRING, "", NULL, ANY, "1",
     "Trained optimizer (a file or a run directory) whose meta-parameters are the initial ones of this run "
     "(fine-tuning).",
     WL_SLOT(wl_run_keys, start), .flags = WL_KEY_PATH},
    {"threads", WL_OPT_INT, "0", NULL, 0, 1024, "1",
     "Number of threads of each rank. 0: the number of cores of a node divided by its ranks. This number is at "
     "most OMP_NUM_THREADS and the number of cores to which the rank is bound. A single rank on a shared machine "
     "uses the idle cores. If a job owns its cores and uses all of them, each thread is bound to one core. The "
     "variables OMP_PROC_BIND, OMP_PLACES and GOMP_CPU_AFFINITY prevent this binding.",
     WL_SLOT(wl_run_keys, threads), .flags = WL_KEY_FREE},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

/* The section `window`. The enumerators of a choice have the same order as in its row of the table. */
typedef struct window_keys {
  int64_t steps;
  wl_choice_or_reals weights;
  wl_transform loss;
  double clip;
  enum { SAME, FRESH } batch;
  enum { TRAIN, HELDOUT } split;
  enum { FIRST, SECOND } order;
  wl_storage storage;
  double memory; /* MiB */
} window_keys;

static const wl_option window_options[] = {
    {"steps", WL_OPT_INT, "20", NULL, 1, 1e9, "steps", "Number K of inner steps of a window.",
     WL_SLOT(window_keys, steps)},
    {"weights", WL_OPT_CHOICE_OR_REALS, "sum", "sum|mean|last|{last: N}", ANY, "1",
     "Weights of the losses at theta_0 .. theta_K in the meta-loss. sum: 1 each. mean: 1/(K+1) each. "
     "last, {last: N}: 1 for the last loss or the last N losses, else 0. A list has K+1 numbers.",
     WL_SLOT(window_keys, weights)},
    {"loss", WL_OPT_CHOICE, "plain", "plain|log|log_ratio|clipped", ANY, "1",
     "Term of the meta-loss: L, log L, log(L / L at the episode's start), or min(L, clip).",
     WL_SLOT(window_keys, loss)},
    {"clip", WL_OPT_REAL, "1e30", NULL, ANY, "1", "Bound of the loss for `loss: clipped`.",
     WL_SLOT(window_keys, clip)},
    {"batch", WL_OPT_CHOICE, "same", "same|fresh", ANY, "1",
     "Minibatch of the outer loss: the same as for the inner loss, or a fresh one.",
     WL_SLOT(window_keys, batch)},
    {"split", WL_OPT_CHOICE, "train", "train|heldout", ANY, "1", "Data of a fresh outer minibatch.",
     WL_SLOT(window_keys, split)},
    {"order", WL_OPT_CHOICE, "first", "first|second", ANY, "1",
     "Order of the meta-gradient. first: omit the dependence of the inner gradient on the parameters (as "
     "Andrychowicz et al. 2016). second: exact.",
     WL_SLOT(window_keys, order)},
    {"storage", WL_OPT_CHOICE, "auto", "auto|activations|states|recompute|snapshots", ANY, "1",
     "Values that a window stores for its backward pass. activations: the activations of the LSTM at every step "
     "(other rules: recompute). states: the rule state before every step (with `order: first`: recompute). "
     "recompute: the gradients; the steps of the rule are computed again. snapshots: the state at the start of "
     "each segment; the steps of the segment are computed again. auto: the fastest storage within `memory`. The "
     "result does not depend on this key.",
     WL_SLOT(window_keys, storage), .flags = WL_KEY_FREE},
    {"memory", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "MiB",
     "Bound on the storage of a window. Windows that need more storage are recomputed from snapshots. 0: no "
     "bound, but `storage: auto` stores at most 256 MiB of activations or states.",
     WL_SLOT(window_keys, memory), .flags = WL_KEY_FREE},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option replay_options[] = {
    {"capacity", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "MiB",
     "Bound on the memory of the replay buffer, over all ranks; 0: no replay.",
     WL_SLOT(wl_replay_keys, capacity)},
    {"spill", WL_OPT_STRING, "", NULL, ANY, "1",
     "Folder for the points beyond the capacity, preferably on a local disk. Empty: the buffer must fit into the "
     "capacity.",
     WL_SLOT(wl_replay_keys, spill), .flags = WL_KEY_FREE | WL_KEY_PATH},
    {"stride", WL_OPT_INT, "1", NULL, AT_LEAST(1), "steps",
     "Number of inner steps between two stored points.", WL_SLOT(wl_replay_keys, stride)},
    {"precision", WL_OPT_CHOICE, "single", "working|single|half", ANY, "1",
     "Precision of the stored points.", WL_SLOT(wl_replay_keys, precision)},
    {"keep", WL_OPT_INT, "1", NULL, 1, 1e6, "meta-batches",
     "Number of meta-batches of episodes in the buffer.", WL_SLOT(wl_replay_keys, keep)},
    {"epochs", WL_OPT_INT, "1", NULL, 1, 1e6, "passes",
     "Number of passes over the buffer for each meta-batch of episodes.", WL_SLOT(wl_replay_keys, epochs)},
    {"batch", WL_OPT_INT, "10", NULL, 1, 1e9, "windows",
     "Number of replayed windows for each step of the outer optimizer.", WL_SLOT(wl_replay_keys, batch)},
    {"steps", WL_OPT_INT, "1", NULL, 1, 1e9, "steps",
     "Number K of inner steps of a replayed window; Warp-Grad uses 1.", WL_SLOT(wl_replay_keys, steps)},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option curriculum_options[] = {
    {"steps", WL_OPT_INTS, "[]", NULL, 1, 1e9, "steps",
     "Lengths of the episodes in the stages, in rising order. A last stage with episodes of `episode.steps` "
     "follows. []: only this last stage.",
     WL_SLOT(wl_curriculum_keys, steps)},
    {"every", WL_OPT_INT, "100", NULL, AT_LEAST(1), "meta-steps",
     "Meta-steps between two evaluations, which run fixed tasks for the length of the next stage.",
     WL_SLOT(wl_curriculum_keys, every)},
    {"patience", WL_OPT_INT, "1", NULL, AT_LEAST(1), "evaluations",
     "Number of consecutive evaluations without a new best loss after which the next stage begins. It begins from "
     "the best meta-parameters.",
     WL_SLOT(wl_curriculum_keys, patience)},
    {"tasks", WL_OPT_INT, "8", NULL, 1, 1e6, "tasks", "Number of fixed tasks of each family in an evaluation.",
     WL_SLOT(wl_curriculum_keys, tasks)},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option checkpoint_options[] = {
    {"every", WL_OPT_INT, "500", NULL, AT_LEAST(0), "meta-steps",
     "Number of meta-steps between two checkpoints; 0: only one checkpoint at the end.", WL_SLOT(wl_checkpoint_keys, every)},
    {"keep", WL_OPT_INT, "2", NULL, 2, 1e6, "files", "Number of verified checkpoints that are kept.",
     WL_SLOT(wl_checkpoint_keys, keep)},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option trajectory_options[] = {
    {"every", WL_OPT_INT, "0", NULL, AT_LEAST(0), "meta-steps",
     "Number of meta-steps between two recordings; 0: no recordings. Choose a number that has no common factor "
     "with the number of windows of an episode; otherwise the same windows are recorded each time.",
     WL_SLOT(wl_trajectory_keys, every)},
    {"units", WL_OPT_INT, "1", NULL, AT_LEAST(1), "units", "Number of units in each recording.",
     WL_SLOT(wl_trajectory_keys, units)},
    {"coordinates", WL_OPT_INT, "16", NULL, AT_LEAST(0), "1",
     "Number of coordinates whose gradient and update are recorded, evenly spread over theta.",
     WL_SLOT(wl_trajectory_keys, coordinates)},
    {"hidden", WL_OPT_BOOL, "false", NULL, ANY, "1",
     "Also record the rule state of these coordinates.", WL_SLOT(wl_trajectory_keys, hidden)},
    {"snapshot_stride", WL_OPT_INT, "0", NULL, AT_LEAST(0), "steps",
     "Number of inner steps between two recorded copies of theta; 0: no copies.",
     WL_SLOT(wl_trajectory_keys, snapshot_stride)},
    {"compression", WL_OPT_INT, "4", NULL, 0, 9, "1", "Level of deflate compression; 0: no compression.",
     WL_SLOT(wl_trajectory_keys, compression)},
    {"precision", WL_OPT_CHOICE, "single", "single|half", ANY, "1",
     "Precision of the recorded samples and copies of theta.", WL_SLOT(wl_trajectory_keys, precision)},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

enum { N_SECTIONS = 16 };

/* Runs when the program starts. Passes the HDF5 reader to the task families, because only src/train may depend on both
 * src/task and src/io. */
__attribute__((constructor)) static void connect_layers(void) {
  wl_glyphs_set_reader(wl_arrays_read);
}

/* Returns the table. The first call fills it from the registries of tasks, rules and preconditioners. */
const wl_section *wl_schema(void) {
  static wl_section sections[N_SECTIONS];
  if (sections[0].doc) return sections;
  const wl_section all[N_SECTIONS] = {
      {"", "Run", top_options, NULL, NULL, NULL, false},
      {"task",
       "The task family; a list of maps is a mixture. Any key may be {one_of: [..]}: each episode of each unit "
       "draws one value. A key of type distribution may also be {uniform: [a, b]} or {log_uniform: [a, b]}",
       wl_task_common_options, "family", wl_task_variants(), NULL, true, WL_KEY_ONE_OF,
       &wl_task_plugins},
      {"rule", "The update rule", NULL, "name", wl_rule_variants(), "lstm", false, 0, &wl_rule_plugins},
      {"precondition", "A learned map of the gradient, before the update rule", NULL, "name",
       wl_precondition_variants(), "none", false},
      {"initialisation", "Learned initial parameters of a task", NULL, "name",
       wl_initialisation_variants, "none", false},
      {"episode", "One run of the inner loop", wl_episode_options, NULL, NULL, NULL, false},
      {"window", "Consecutive inner steps with one contribution to the meta-gradient",
       window_options, NULL, NULL, NULL, false},
      {"estimator", "How a window's contribution to the meta-gradient is computed", NULL, "name",
       wl_estimator_variants(), "bptt", false},
      {"outer", "The outer loop", wl_outer_options, NULL, NULL, NULL, false},
      {"groups", "Settings of one group of meta-parameters; a list of maps gives settings for several groups", NULL,
       "group", wl_outer_group_variants, "none", true},
      {"curriculum", "Stages of growing episodes, which advance when evaluations stop improving",
       curriculum_options, NULL, NULL, NULL, false},
      {"imitation", "A hand-designed rule as the teacher of the learned rule, with the keys of that rule",
       wl_imitation_options, "teacher", wl_imitation_variants(), "none", false},
      {"replay", "Offline Warp-Grad: windows that are replayed from a buffer of trajectories",
       replay_options, NULL, NULL, NULL, false},
      {"checkpoint", "Files from which a run resumes", checkpoint_options, NULL, NULL, NULL, false,
       WL_KEY_FREE},
      {"trajectory", "Recordings of inner runs", trajectory_options, NULL, NULL, NULL, false,
       WL_KEY_FREE},
      {NULL, NULL, NULL, NULL, NULL, NULL, false}};
  memcpy(sections, all, sizeof all);
  return sections;
}

const wl_section *wl_schema_section(const char *name) {
  for (const wl_section *s = wl_schema(); s->name; s++)
    if (strcmp(s->name, name) == 0) return s;
  return NULL;
}

/* Reads the weights. A list must have exactly the weights w_0 .. w_K. */
static wl_status window_weights(const wl_map *map, const wl_choice_or_reals *given,
                                wl_window_spec *spec) {
  enum { LAST_OF = 3, LIST }; /* LAST_OF: the choice {last: N}; LIST: a list of weights */
  const wl_reals list = given->list;
  if (given->choice == LAST_OF && given->argument > spec->steps + 1)
    return wl_map_fail(map, "weights", "a window of %lld steps has %lld losses, not %lld",
                       (long long)spec->steps, (long long)spec->steps + 1,
                       (long long)given->argument);
  spec->earlier = given->choice == LAST_OF ? given->argument - 1 : 0;
  spec->weights = given->choice == LIST      ? WL_WEIGHTS_LIST
                  : given->choice == LAST_OF ? WL_WEIGHTS_LAST
                                             : (wl_weights)given->choice;
  if (given->choice != LIST) return WL_OK;
  spec->list = list.at;
  if (list.count != spec->steps + 1)
    return wl_map_fail(
        map, "weights",
        "a window of %lld steps has %lld losses (theta_0 .. theta_K), but %d weights are given",
        (long long)spec->steps, (long long)spec->steps + 1, list.count);
  for (int i = 0; i < list.count; i++)
    if (list.at[i] != 0) return WL_OK;
  return wl_map_fail(map, "weights", "every weight is 0, so the meta-loss contains no loss");
}

wl_status wl_schema_window(const wl_config *config, wl_window_spec *spec) {
  window_keys keys;
  const wl_map *map = wl_config_map(config, "window", 0);
  wl_map_read(map, window_options, &keys);
  *spec = (wl_window_spec){.map = map,
                           .steps = keys.steps,
                           .clip = keys.clip,
                           .transform = keys.loss,
                           .fresh = keys.batch == FRESH,
                           .outer_split = keys.split == HELDOUT ? WL_SPLIT_HELDOUT : WL_SPLIT_TRAIN,
                           .second_order = keys.order == SECOND,
                           .storage = keys.storage,
                           .memory = (int64_t)(keys.memory * 1048576.0)};
  if (spec->outer_split == WL_SPLIT_HELDOUT && !spec->fresh)
    return wl_map_fail(map, "split",
                       "the held-out split needs separate minibatches: add `batch: fresh`");
  return window_weights(map, &keys.weights, spec);
}

wl_run_keys wl_schema_run(const wl_config *config) {
  wl_run_keys keys;
  wl_map_read(wl_config_map(config, "", 0), top_options, &keys);
  return keys;
}

wl_replay_keys wl_schema_replay(const wl_config *config) {
  wl_replay_keys keys;
  wl_map_read(wl_config_map(config, "replay", 0), replay_options, &keys);
  return keys;
}

wl_curriculum_keys wl_schema_curriculum(const wl_config *config) {
  wl_curriculum_keys keys;
  wl_map_read(wl_config_map(config, "curriculum", 0), curriculum_options, &keys);
  return keys;
}

wl_checkpoint_keys wl_schema_checkpoint(const wl_config *config) {
  wl_checkpoint_keys keys;
  wl_map_read(wl_config_map(config, "checkpoint", 0), checkpoint_options, &keys);
  return keys;
}

wl_trajectory_keys wl_schema_trajectory(const wl_config *config) {
  wl_trajectory_keys keys;
  wl_map_read(wl_config_map(config, "trajectory", 0), trajectory_options, &keys);
  return keys;
}
