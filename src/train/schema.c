/* schema.c - the table of configuration keys that train reads, beside those that tasks, rules and
 * preconditioners bring themselves. */
#include "train/schema.h"

#include <float.h>
#include <string.h>

#include "io/arrays.h"
#include "task/glyphs.h"
#include "train/outer.h"

#define ANY 0, 0
#define POSITIVE DBL_MIN, DBL_MAX
#define AT_LEAST(n) (n), DBL_MAX

static const wl_option top_options[] = {
    {"seed", WL_OPT_INT, "1", NULL, 0, 9e18, "1",
     "Seed of every random number: tasks, batches, initial values."},
    {"output", WL_OPT_STRING, "", NULL, ANY, "1",
     "Run directory; by default runs/ and the configuration's name."},
    {"start", WL_OPT_STRING, "", NULL, ANY, "1",
     "Trained optimizer (a file or run directory) whose meta-parameters the run starts from: fine-tuning."},
    {"threads", WL_OPT_INT, "0", NULL, AT_LEAST(0), "1",
     "Threads of each rank; 0: the cores of a node shared out among its ranks, within what each is bound to. Where "
     "they use all of these, each is bound to one, unless OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY is set."},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option episode_options[] = {
    {"steps", WL_OPT_INTS, "100", NULL, 1, 1e9, "steps",
     "T, inner steps of an episode; [low, high] draws it log-uniformly for each episode."},
    {"stagger", WL_OPT_BOOL, "false", NULL, ANY, "1",
     "Units begin at random steps of their first episode, and each ends and restarts on its own, with a horizon of its "
     "own; needs `outer.every: window`."},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option window_options[] = {
    {"steps", WL_OPT_INT, "20", NULL, 1, 1e9, "steps",
     "K, inner steps that one meta-gradient looks back over."},
    {"weights", WL_OPT_CHOICE_OR_REALS, "sum", "sum|mean|last", ANY, "1",
     "Weights of the losses at theta_0 .. theta_K in the meta-loss; or a list of K+1 numbers."},
    {"loss", WL_OPT_CHOICE, "plain", "plain|log|log_ratio|clipped", ANY, "1",
     "What enters the meta-loss: L, log L, log(L / L at the episode's start), or min(L, clip)."},
    {"clip", WL_OPT_REAL, "1e30", NULL, ANY, "1", "Bound of the loss for `loss: clipped`."},
    {"batch", WL_OPT_CHOICE, "same", "same|fresh", ANY, "1",
     "Outer loss on the inner loss's minibatch, or on one of its own."},
    {"split", WL_OPT_CHOICE, "train", "train|heldout", ANY, "1",
     "Data of a fresh outer minibatch."},
    {"order", WL_OPT_CHOICE, "first", "first|second", ANY, "1",
     "first drops the gradient's own dependence on the parameters (as the 2016 paper does); second is exact."},
    {"storage", WL_OPT_CHOICE, "auto", "auto|tape|history|replay|snapshots", ANY, "1",
     "What a window keeps: a tape of the LSTM's gates (other rules keep none, and replay); a history, the rule's state "
     "of every step (with `order: first` it replays); gradients alone, its steps replayed; or snapshots, from which "
     "whole segments are run again. auto: the fastest within `memory`; with `order: first` the first windows try tape "
     "against replay. The bits don't depend on it."},
    {"memory", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "MiB",
     "Bound on a window's stored traces; longer windows are recomputed from snapshots. 0: none, but `storage: auto` "
     "takes a tape or a history of 256 MiB at most."},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option replay_options[] = {
    {"capacity", WL_OPT_REAL, "0", NULL, AT_LEAST(0), "MiB",
     "Memory that the buffer of trajectories may take, over all ranks; 0: no replay."},
    {"spill", WL_OPT_STRING, "", NULL, ANY, "1",
     "Folder, local to the node at best, for the points beyond the capacity; empty: the buffer must fit."},
    {"stride", WL_OPT_INT, "1", NULL, AT_LEAST(1), "steps",
     "Inner steps between the points that are kept."},
    {"precision", WL_OPT_CHOICE, "single", "working|single|half", ANY, "1",
     "Stored precision of the points."},
    {"keep", WL_OPT_INT, "1", NULL, 1, 1e6, "meta-batches",
     "Meta-batches of episodes that stay in the buffer."},
    {"epochs", WL_OPT_INT, "1", NULL, 1, 1e6, "passes",
     "Passes over the buffer for each meta-batch of episodes."},
    {"batch", WL_OPT_INT, "10", NULL, 1, 1e9, "windows",
     "Replayed windows of one step of the outer optimizer."},
    {"steps", WL_OPT_INT, "1", NULL, 1, 1e9, "steps",
     "K of the replayed windows; 1 is Warp-Grad's look-ahead."},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option checkpoint_options[] = {
    {"every", WL_OPT_INT, "500", NULL, AT_LEAST(0), "meta-steps",
     "Meta-steps between checkpoints; 0: only at the end."},
    {"keep", WL_OPT_INT, "2", NULL, 2, 1e6, "files", "Verified checkpoints that are kept."},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

static const wl_option trajectory_options[] = {
    {"every", WL_OPT_INT, "0", NULL, AT_LEAST(0), "meta-steps",
     "Meta-steps between recorded ones; 0: record none. Choose a number without a factor in common with the windows of "
     "an episode: else the same of them are recorded each time."},
    {"units", WL_OPT_INT, "1", NULL, AT_LEAST(1), "units", "Units recorded at each of those."},
    {"coordinates", WL_OPT_INT, "16", NULL, AT_LEAST(0), "1",
     "Coordinates whose gradient and update are recorded, evenly spread."},
    {"hidden", WL_OPT_BOOL, "false", NULL, ANY, "1",
     "Also record the rule's state of those coordinates."},
    {"snapshot_stride", WL_OPT_INT, "0", NULL, AT_LEAST(0), "steps",
     "Inner steps between whole copies of theta; 0: none."},
    {"compression", WL_OPT_INT, "4", NULL, 0, 9, "1", "Deflate level; 0: none."},
    {"precision", WL_OPT_CHOICE, "single", "single|half", ANY, "1",
     "Stored precision of sampled arrays and snapshots."},
    {NULL, 0, NULL, NULL, ANY, NULL, NULL}};

enum { N_SECTIONS = 13 };

/* As a program starts: the task families get their reader of HDF5, here, where both layers are known. */
__attribute__((constructor)) static void connect_layers(void) {
  wl_glyphs_set_reader(wl_arrays_read);
}

/* Filled once: the variants come from the registries of tasks, rules and preconditioners. */
const wl_section *wl_schema(void) {
  static wl_section sections[N_SECTIONS];
  if (sections[0].doc) return sections;
  const wl_section all[N_SECTIONS] = {
      {"", "Run", top_options, NULL, NULL, NULL, false},
      {"task", "The family that tasks are drawn from; a list of maps is a mixture",
       wl_task_common_options, "family", wl_task_variants(), NULL, true},
      {"rule", "The update rule", NULL, "name", wl_rule_variants(), "lstm", false},
      {"precondition", "A learned map of the gradient, before the update rule", NULL, "name",
       wl_precondition_variants(), "none", false},
      {"initialisation", "Learned initial parameters of a task", NULL, "name",
       wl_initialisation_variants, "none", false},
      {"episode", "One run of the inner loop", episode_options, NULL, NULL, NULL, false},
      {"window", "The stretch of an episode that is differentiated", window_options, NULL, NULL,
       NULL, false},
      {"outer", "The outer loop", wl_outer_options, NULL, NULL, NULL, false},
      {"groups", "Settings of one group of meta-parameters; a list of maps for several", NULL,
       "group", wl_outer_group_variants, "none", true},
      {"replay", "Offline Warp-Grad: windows replayed from a buffer of trajectories",
       replay_options, NULL, NULL, NULL, false},
      {"checkpoint", "Files to resume from", checkpoint_options, NULL, NULL, NULL, false},
      {"trajectory", "Recordings of inner runs", trajectory_options, NULL, NULL, NULL, false},
      {NULL, NULL, NULL, NULL, NULL, NULL, false}};
  memcpy(sections, all, sizeof all);
  return sections;
}

const wl_section *wl_schema_section(const char *name) {
  for (const wl_section *s = wl_schema(); s->name; s++)
    if (strcmp(s->name, name) == 0) return s;
  return NULL;
}

static int choice(const wl_map *map, const char *key, const char *const *names) {
  int i = 0;
  while (names[i] && strcmp(wl_map_string(map, key), names[i]) != 0) i++;
  return i;
}

/* A list must hold w_0 .. w_K. */
static wl_status window_weights(const wl_map *map, wl_window_spec *spec) {
  static const char *const kinds[] = {"sum", "mean", "last", NULL};
  int count = 0;
  spec->weights = (wl_weights)choice(map, "weights", kinds);
  if (spec->weights != WL_WEIGHTS_LIST) return WL_OK;
  spec->list = wl_map_reals(map, "weights", &count);
  if (count == spec->steps + 1) return WL_OK;
  return wl_map_fail(
      map, "weights",
      "a window of %lld steps has %lld losses (theta_0 .. theta_K), but %d weights are given",
      (long long)spec->steps, (long long)spec->steps + 1, count);
}

wl_status wl_schema_window(const wl_config *config, wl_window_spec *spec) {
  static const char *const losses[] = {"plain", "log", "log_ratio", "clipped", NULL};
  static const char *const storages[] = {"auto", "tape", "history", "replay", "snapshots", NULL};
  const wl_map *map = wl_config_map(config, "window", 0);
  *spec = (wl_window_spec){
      .map = map, .steps = wl_map_int(map, "steps"), .clip = wl_map_real(map, "clip")};
  spec->transform = (wl_transform)choice(map, "loss", losses);
  spec->fresh = strcmp(wl_map_string(map, "batch"), "fresh") == 0;
  spec->outer_split =
      strcmp(wl_map_string(map, "split"), "heldout") == 0 ? WL_SPLIT_HELDOUT : WL_SPLIT_TRAIN;
  spec->second_order = strcmp(wl_map_string(map, "order"), "second") == 0;
  spec->storage = (wl_storage)choice(map, "storage", storages);
  spec->memory = (int64_t)(wl_map_real(map, "memory") * 1048576.0);
  if (spec->outer_split == WL_SPLIT_HELDOUT && !spec->fresh)
    return wl_map_fail(map, "split",
                       "the held-out split needs minibatches of its own: add `batch: fresh`");
  return window_weights(map, spec);
}
