/* schema.c - lists all sections of the configuration and declares the keys that src/train reads.
 * Tasks, rules and preconditioners declare their keys in other files. */
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
     "Seed of all random numbers, which determine for example tasks, batches and initial values.", WL_SLOT(wl_run_keys, seed)},
    {"output", WL_OPT_STRING, "", NULL, ANY, "1",
     "Run directory. The default is runs/ followed by the name of the configuration file.", WL_SLOT(wl_run_keys, output),
     .flags = WL_KEY_FREE | WL_KEY_PATH},
    {"start", WL_OPT_STRING, "", NULL, ANY, "1",
     "Trained optimizer from which the training starts (fine-tuning): a trained file or a run directory. The "
     "meta-parameters of this optimizer are the initial meta-parameters of the run.",
     WL_SLOT(wl_run_keys, start), .flags = WL_KEY_PATH},
    {"threads", WL_OPT_INT, "0", NULL, 0, 1024, "1",
     "Number of threads of each rank. With 0, the number of threads is the number of cores of a node divided by "
     "the number of ranks on this node. This number is then limited by OMP_NUM_THREADS and by the number of "
     "cores to which the rank is bound. A single rank on a shared machine uses the cores that are idle. If a "
     "job has exclusive cores and "
     "uses all of them, each thread is bound to one core. The environment variables OMP_PROC_BIND, OMP_PLACES "
     "and GOMP_CPU_AFFINITY prevent the binding of threads to cores.",
     WL_SLOT(wl_run_keys, threads), .flags = WL_KEY_FREE},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

/* Values of the keys in the section `window`. The enumerators of an enum have the same order as the
 * choices in window_options. */
typedef struct window_keys {
  int64_t steps;
  wl_choice_or_reals weights;
  wl_transform loss;
  double clip;
  enum { SAME, FRESH } batch;
  enum { TRAIN, HELDOUT } split;
  enum { FIRST, SECOND } order;
  wl_storage storage;
  double memory; /* unit: MiB */
} window_keys;

static const wl_option window_options[] = {
    {"steps", WL_OPT_INT, "20", NULL, 1, 1e9, "steps", "Number K of inner steps in a window.",
     WL_SLOT(window_keys, steps)},
    {"weights", WL_OPT_CHOICE_OR_REALS, "sum", "sum|mean|last|{last: N}", ANY, "1",
     "Weights of the losses at theta_0 .. theta_K in the meta-loss, which is the weighted sum of these losses. "
     "`sum`: each weight is "
     "1. `mean`: each "
     "weight is 1/(K+1). `last`: the weight of the last loss is 1, and all other weights are 0. `{last: N}`: "
     "the weights "
     "of the last N losses are 1, and all other weights are 0. A list contains the K+1 weights.",
     WL_SLOT(window_keys, weights)},
    {"loss", WL_OPT_CHOICE, "plain", "plain|log|log_ratio|clipped", ANY, "1",
     "Function that is applied to each loss L of the meta-loss. `plain`: L itself. `log`: log L. `log_ratio`: "
     "log(L / L_0), where L_0 is the loss at the start of the episode. `clipped`: min(L, clip).",
     WL_SLOT(window_keys, loss)},
    {"clip", WL_OPT_REAL, "1e30", NULL, ANY, "1", "Upper bound of the loss, for `loss: clipped`.",
     WL_SLOT(window_keys, clip)},
    {"batch", WL_OPT_CHOICE, "same", "same|fresh", ANY, "1",
     "Minibatch on which the losses of the meta-loss are computed. `same`: the minibatch of the inner loss. "
     "`fresh`: a separate minibatch.",
     WL_SLOT(window_keys, batch)},
    {"split", WL_OPT_CHOICE, "train", "train|heldout", ANY, "1", "Data from which the minibatch is drawn, for "
                                                                 "`batch: fresh`.",
     WL_SLOT(window_keys, split)},
    {"order", WL_OPT_CHOICE, "first", "first|second", ANY, "1",
     "Order of the meta-gradient. `first`: the inner gradients are treated as constants, as in Andrychowicz et "
     "al. 2016. `second`: the meta-gradient is exact, because it also contains the derivatives of the inner "
     "gradients.",
     WL_SLOT(window_keys, order)},
    {"storage", WL_OPT_CHOICE, "auto", "auto|activations|states|recompute|snapshots", ANY, "1",
     "Values that a window stores for its backward pass. `activations`: the activations of the LSTM at every "
     "step; other rules use `recompute` instead. `states`: the rule state before every step; with `order: "
     "first`, `recompute` is used instead. `recompute`: the gradients at every step; the steps of the rule are "
     "computed again. `snapshots`: theta and rule state at the start of each segment of the window; the inner "
     "steps of the segment are computed again. `auto`: the storage with the fastest backward pass within the "
     "bound `memory`. "
     "The result does not depend on this key.",
     WL_SLOT(window_keys, storage), .flags = WL_KEY_FREE},
    {"memory", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "MiB",
     "Bound on the memory in which a window stores values for its backward pass. A window that needs more "
     "memory is divided "
     "into segments, which are computed again from snapshots. 0 means no bound; `storage: auto` then still "
     "stores at most 256 MiB of activations "
     "or states.",
     WL_SLOT(window_keys, memory), .flags = WL_KEY_FREE},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option replay_options[] = {
    {"capacity", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "MiB",
     "Bound on the memory of the replay buffer, summed over all ranks. With 0, there is no replay.",
     WL_SLOT(wl_replay_keys, capacity)},
    {"spill", WL_OPT_STRING, "", NULL, ANY, "1",
     "Folder for a scratch file with the points that exceed the capacity, preferably on a local disk. If no "
     "folder is set, all points must fit into the capacity.",
     WL_SLOT(wl_replay_keys, spill), .flags = WL_KEY_FREE | WL_KEY_PATH},
    {"stride", WL_OPT_INT, "1", NULL, AT_LEAST(1), "steps",
     "Number of inner steps between two points that are stored in the buffer.", WL_SLOT(wl_replay_keys, stride)},
    {"precision", WL_OPT_CHOICE, "single", "working|single|half", ANY, "1",
     "Floating-point precision in which points are stored. `working` is the precision of the program.", WL_SLOT(wl_replay_keys, precision)},
    {"keep", WL_OPT_INT, "1", NULL, 1, 1e6, "meta-batches",
     "Number of meta-batches in the buffer. A meta-batch has one episode of each unit.", WL_SLOT(wl_replay_keys, keep)},
    {"epochs", WL_OPT_INT, "1", NULL, 1, 1e6, "passes",
     "Number of passes over all points of the buffer after each meta-batch of episodes.", WL_SLOT(wl_replay_keys, epochs)},
    {"batch", WL_OPT_INT, "10", NULL, 1, 1e9, "windows",
     "Number of replayed windows in a mini-batch. The outer optimizer makes one step with the mean "
     "meta-gradient of a mini-batch.", WL_SLOT(wl_replay_keys, batch)},
    {"steps", WL_OPT_INT, "1", NULL, 1, 1e9, "steps",
     "Number K of inner steps in a replayed window. The method Warp-Grad uses the value 1.", WL_SLOT(wl_replay_keys, steps)},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option curriculum_options[] = {
    {"steps", WL_OPT_INTS, "[]", NULL, 1, 1e9, "steps",
     "Lengths of the episodes in the stages before the last stage, in rising order. Episodes of the last stage "
     "have the length `episode.steps`. With [], there is only the last stage.",
     WL_SLOT(wl_curriculum_keys, steps)},
    {"every", WL_OPT_INT, "100", NULL, AT_LEAST(1), "meta-steps",
     "Number of meta-steps between two evaluations. An evaluation runs fixed tasks for the number of inner "
     "steps of the next stage.",
     WL_SLOT(wl_curriculum_keys, every)},
    {"patience", WL_OPT_INT, "1", NULL, AT_LEAST(1), "evaluations",
     "Number of consecutive evaluations without a new lowest loss after which the next stage begins. The next "
     "stage begins with the meta-parameters of the evaluation with the lowest loss.",
     WL_SLOT(wl_curriculum_keys, patience)},
    {"tasks", WL_OPT_INT, "8", NULL, 1, 1e6, "tasks", "Number of fixed tasks of each family on which an "
                                                      "evaluation measures the loss.",
     WL_SLOT(wl_curriculum_keys, tasks)},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option checkpoint_options[] = {
    {"every", WL_OPT_INT, "500", NULL, AT_LEAST(0), "meta-steps",
     "Number of meta-steps between two checkpoints. With 0, only one checkpoint is written, at the end.", WL_SLOT(wl_checkpoint_keys, every)},
    {"keep", WL_OPT_INT, "2", NULL, 2, 1e6, "files", "Number of verified checkpoints that are kept; older "
                                                     "checkpoints are removed.",
     WL_SLOT(wl_checkpoint_keys, keep)},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option trajectory_options[] = {
    {"every", WL_OPT_INT, "0", NULL, AT_LEAST(0), "meta-steps",
     "Number of meta-steps between two recordings of inner runs. With 0, nothing is recorded. Choose a number "
     "that has no common factor with the number of windows in an episode, so that all windows of an episode "
     "are recorded in turn.",
     WL_SLOT(wl_trajectory_keys, every)},
    {"units", WL_OPT_INT, "1", NULL, AT_LEAST(1), "units", "Number of units whose inner steps are recorded.",
     WL_SLOT(wl_trajectory_keys, units)},
    {"coordinates", WL_OPT_INT, "16", NULL, AT_LEAST(0), "1",
     "Number of coordinates of theta whose gradient and update are recorded. The recorded coordinates are "
     "spread evenly over theta.",
     WL_SLOT(wl_trajectory_keys, coordinates)},
    {"hidden", WL_OPT_BOOL, "false", NULL, ANY, "1",
     "Whether the rule state of the recorded coordinates is also recorded.", WL_SLOT(wl_trajectory_keys, hidden)},
    {"snapshot_stride", WL_OPT_INT, "0", NULL, AT_LEAST(0), "steps",
     "Number of inner steps between two recorded copies of theta. With 0, theta is not recorded.",
     WL_SLOT(wl_trajectory_keys, snapshot_stride)},
    {"compression", WL_OPT_INT, "4", NULL, 0, 9, "1", "Level of the deflate compression of recordings. 0 means "
                                                      "no compression.",
     WL_SLOT(wl_trajectory_keys, compression)},
    {"precision", WL_OPT_CHOICE, "single", "single|half", ANY, "1",
     "Floating-point precision of the recorded gradients, updates and copies of theta.", WL_SLOT(wl_trajectory_keys, precision)},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

enum { N_SECTIONS = 16 };

/* Sets the function with which the task families read HDF5 files. This function is a constructor,
 * which runs when the program starts. The function is in this file because only src/train may
 * depend on both src/task and src/io. */
__attribute__((constructor)) static void connect_layers(void) {
  wl_glyphs_set_reader(wl_arrays_read);
}

/* Returns the table of sections. The first call fills the table from the registries of tasks, rules
 * and preconditioners. */
const wl_section *wl_schema(void) {
  static wl_section sections[N_SECTIONS];
  if (sections[0].doc) return sections;
  const wl_section all[N_SECTIONS] = {
      {"", "Run", top_options, NULL, NULL, NULL, false},
      {"task",
       "The tasks on which the optimizer is trained. A list of maps is a mixture of tasks. Any key may have "
       "the value {one_of: [..]}, from which each episode of each unit draws one value. A key of type "
       "distribution may also have the value {uniform: [a, b]} or {log_uniform: [a, b]}",
       wl_task_common_options, "family", wl_task_variants(), NULL, true, WL_KEY_ONE_OF,
       &wl_task_plugins},
      {"rule", "The update rule, whose meta-parameters are trained", NULL, "name", wl_rule_variants(), "lstm", false, 0, &wl_rule_plugins},
      {"precondition", "A learned map that is applied to the gradient before the update rule", NULL, "name",
       wl_precondition_variants(), "none", false},
      {"initialisation", "The initial parameters theta_0 of a task, if they are learned", NULL, "name",
       wl_initialisation_variants, "none", false},
      {"episode", "The episodes. An episode is one run of the inner loop on one task", wl_episode_options, NULL, NULL, NULL, false},
      {"window", "The windows. A window consists of consecutive inner steps and adds one contribution to the "
       "meta-gradient",
       window_options, NULL, NULL, NULL, false},
      {"estimator", "The method that computes the contribution of a window to the meta-gradient", NULL, "name",
       wl_estimator_variants(), "bptt", false},
      {"outer", "The outer loop, which updates the meta-parameters", wl_outer_options, NULL, NULL, NULL, false},
      {"groups", "Separate settings of the outer loop for one group of meta-parameters, or a list of such maps "
                 "for several groups", NULL,
       "group", wl_outer_group_variants, "none", true},
      {"curriculum", "A training in stages with longer and longer episodes. The next stage begins when the loss "
       "of the evaluations no longer falls",
       curriculum_options, NULL, NULL, NULL, false},
      {"imitation", "The teacher, which is a hand-designed rule that the learned rule imitates. The section "
       "also accepts the keys of the hand-designed rule",
       wl_imitation_options, "teacher", wl_imitation_variants(), "none", false},
      {"replay", "Offline Warp-Grad: a training on windows that start at stored points of earlier episodes",
       replay_options, NULL, NULL, NULL, false},
      {"checkpoint", "The checkpoints, from which a run resumes", checkpoint_options, NULL, NULL, NULL, false,
       WL_KEY_FREE},
      {"trajectory", "The trajectories, which are recordings of inner runs", trajectory_options, NULL, NULL, NULL, false,
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

/* Sets the weights of a window's losses. Returns an error if a list does not have exactly the K + 1
 * weights of the losses at theta_0 .. theta_K. */
static wl_status window_weights(const wl_map *map, const wl_choice_or_reals *given,
                                wl_window_spec *spec) {
  /* values of given->choice: LAST_OF means {last: N}, and LIST means a list of weights */
  enum { LAST_OF = 3, LIST };
  const wl_reals list = given->list;
  if (given->choice == LAST_OF && given->argument > spec->steps + 1)
    return wl_map_fail(map, "weights", "a window of %lld steps has %lld losses, but the key gives a weight to "
                            "the last %lld losses",
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
        "a window of %lld steps has %lld losses (at theta_0 .. theta_K), but %d weights are given",
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
                       "held-out data can only be used in separate minibatches: add `batch: fresh`");
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
