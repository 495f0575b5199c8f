/* eval.c - `warploom eval RUN`: prints the table and the verdicts of an evaluation, and writes the
 * curves to a file. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "cli/commands.h"
#include "cli/eval_print.h"
#include "cli/eval_speedup.h"
#include "cli/json.h"
#include "cli/picture.h"
#include "evaluate/evaluate.h"
#include "io/checkpoint.h"

enum { MAX_CASES = 32, MAX_OVERRIDES = WL_ARGUMENTS_MAX + 1 };

/* An example of an option that chooses one setting. */
#define ONE_SETTING                                                                                 \
  "--set 'task={family: mlp, data: fashion-mnist, widths: [20], activation: sigmoid}'"

static const wl_argument arguments[] = {
    {"set", "KEY=VALUE",
     "override a key of the run's configuration, such as --set task.widths=[40]; this option may be repeated"},
    {"steps", "T", "horizon, the number of inner steps of each run; default: the longest episode of the "
                   "training"},
    {"seeds", "N",
     "number of sets of fresh tasks; intervals are computed over sets; default 10, or 600 for few-shot tasks"},
    {"units", "N", "number of tasks in each set; losses are averaged over these tasks; default 1"},
    {"tune-units", "N", "number of tasks on which the rate of each hand-designed rule is tuned; default 5, or "
                        "25 for few-shot tasks"},
    {"learned-only", NULL,
     "run only the trained optimizer, without hand-designed rules; the option --json can be used, but no HDF5 "
     "file is written"},
    {"seed", "N", "seed from which the fresh tasks are drawn; default 1"},
    {"vary", "LIST",
     "also evaluate settings that differ in one property; LIST contains one or more of these properties, "
     "separated by commas: horizon,steps,width,depth,activation,data,scale. If the training has several tasks "
     "or choices (one_of), also choose one task with --set task=..."},
    {"output", "FILE",
     "HDF5 file that receives all curves; default: RUN/evaluation.h5 for a run directory, and "
     "NAME-evaluation.h5 in the current folder for a file NAME.h5. An earlier evaluation with other settings "
     "is renamed to a name that ends in -previous-N.h5. With --speedup, FILE is the JSON report; default: "
     "RUN/speedup-SUITE.json for a run directory, and NAME-speedup-SUITE.json in the current folder for a file. An "
     "earlier report is renamed to a name that ends in -previous-N.json"},
    {"speedup", "SUITE",
     "instead of the comparison, measure speed-ups on a suite of tasks such as jobs/suites/unseen.yaml. The "
     "command measures how many steps and how much time tuned hand-designed rules need to reach the losses of "
     "RUN. Without RUN, "
     "only compute "
     "the loss curves of the hand-designed rules"},
    {"baselines", "LIST",
     "with --speedup, the hand-designed rules whose missing curves are computed; default adam. The rules are "
     "adam, nesterov, nadamw, lion and muon. The suffix -linear or -cosine adds a schedule of the rate. The "
     "name `all` means all rules, and with `none` no curve is computed. The report compares RUN with every rule "
     "that has a curve in the file"},
    {"curves", "FILE",
     "with --speedup, the HDF5 file of the curves of hand-designed rules; default: SUITE with the ending .h5. "
     "FILE may be a list of files, separated by commas. All files that exist are read. The first file receives the "
     "new curves and the curves of the other files. Its other curves are kept. Curves that do not fit a changed task "
     "are kept in a file whose name ends in -previous-N.h5"},
    {"reach", "N",
     "with --speedup, the length of new curves as a multiple of the longest horizon; default: the key `reach` "
     "of the suite. To compare only final losses, 1 is enough"},
    {"no-picture", NULL, "do not draw a picture of the curves"},
    {"json", "FILE", "also write the table as JSON to FILE; the name - means standard output"},
    {0}};

/* The settings of an evaluation, which are read from the options and the operand of the command
 * line. */
typedef struct request {
  const char *path;
  wl_eval_setting setting;
  wl_override overrides[MAX_OVERRIDES];
  int n_overrides;
  char output[4200],
      settings[8192]; /* string with all options that change the results, without the operand RUN */
} request;

/* Sets the path of the output to `given` if `given` is not NULL. If `given` is NULL, the output is
 * evaluation.h5 in the run directory. For a trained file, the output is a file in the current
 * folder, because the folder of the trained file may not be writable. */
static wl_status name_output(const char *given, request *q) {
  const size_t size = sizeof q->output;
  const char *const slash = strrchr(q->path, '/'), *const name = slash ? slash + 1 : q->path;
  const size_t n = strlen(name);
  const int stem = n > 3 && strcmp(name + n - 3, ".h5") == 0 ? (int)n - 3 : (int)n;
  int used;
  if (given) used = snprintf(q->output, size, "%s", given);
  else if (wl_is_directory(q->path)) used = snprintf(q->output, size, "%s/evaluation.h5", q->path);
  else used = snprintf(q->output, size, "%.*s-evaluation.h5", stem, name);
  if (used >= 0 && (size_t)used < size) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "--output: the name of the file is longer than %zu bytes; choose a shorter name", size - 1);
}

/* Writes to q->settings one string that contains all options that change the results. The file of
 * the evaluation contains this string, so that a later command can detect that the file has other
 * settings. */
static wl_status write_settings(const wl_arguments *a, request *q) {
  FILE *const out = fmemopen(q->settings, sizeof q->settings, "w");
  if (!out) return WL_FAIL(WL_ERR_OS, "out of memory while writing the settings of the evaluation");
  const wl_eval_setting *s = &q->setting;
  fprintf(out, "steps %lld seeds %lld units %lld tune-units %lld seed %llu vary %s",
          (long long)s->steps, (long long)s->seeds, (long long)s->units, (long long)s->tune_units,
          (unsigned long long)s->seed, wl_argument_text(a, "vary", "none"));
  for (int i = 0; i < q->n_overrides; i++) fprintf(out, "; set %s", q->overrides[i].text);
  if (fclose(out) == 0 && strlen(q->settings) < sizeof q->settings - 1) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "--set: all overrides together are longer than %zu bytes; use fewer or "
                               "shorter overrides",
                 sizeof q->settings);
}

/* Returns an error if the command has an option without an effect. */
static wl_status refuse_others(const wl_arguments *a) {
  static const char *const of_speedup[] = {"baselines", "curves", "reach", NULL};
  static const char *const of_comparison[] = {"tune-units", "output", NULL};
  WL_TRY(wl_arguments_refuse(a, of_speedup,
                             "this option needs --speedup; add --speedup SUITE or omit the option"));
  if (!wl_argument_given(a, "learned-only")) return WL_OK;
  return wl_arguments_refuse(a, of_comparison,
                             "this option has no effect with --learned-only, which tunes no rule and "
                             "writes no HDF5 file; omit one of the two options");
}

static wl_status read_request(const wl_cli *cli, const char *path, request *q) {
  const wl_arguments *a = &cli->arguments;
  int64_t seed = 1;
  WL_TRY(refuse_others(a));
  *q = (request){.path = path, .setting = {.units = 1, .threads = 1}};
  q->n_overrides = wl_argument_overrides(a, q->overrides);
  WL_TRY(wl_argument_int(a, "steps", 1, 100000000, &q->setting.steps));
  WL_TRY(wl_argument_int(a, "seeds", 2, WL_MAX_SEEDS, &q->setting.seeds));
  WL_TRY(wl_argument_int(a, "units", 1, 1000000, &q->setting.units));
  WL_TRY(wl_argument_int(a, "tune-units", 1, 1000000, &q->setting.tune_units));
  WL_TRY(wl_argument_int(a, "seed", 0, INT64_MAX, &seed));
  q->setting.seed = (uint64_t)seed;
  q->setting.alone = wl_argument_given(a, "learned-only");
  WL_TRY(write_settings(a, q));
  return name_output(wl_argument_text(a, "output", NULL), q);
}

/* Evaluates one case: the trained setting if `v` is NULL, otherwise the variation `v`. */
static wl_status run_one(wl_cli *cli, request *q, const char *name, const wl_variation *v,
                         wl_eval_case *out) {
  wl_trained *trained = NULL;
  const wl_override *override = v && v->override.path ? &v->override : NULL;
  if (override) q->overrides[q->n_overrides] = *override;
  WL_TRY(wl_comm_agree(cli->comm, wl_trained_read(q->path, q->overrides,
                                                  q->n_overrides + (override != NULL), &trained)));
  wl_eval_setting setting = q->setting;
  if (setting.steps == 0) setting.steps = wl_trained_horizon(trained);
  if (v) setting.steps = v->steps > 0 ? v->steps : setting.steps * v->steps_factor;
  const wl_status status = wl_evaluate(trained, name, &setting, cli->comm, out);
  wl_trained_destroy(&trained);
  return status;
}

static void note_case(wl_eval_case *c, const char *name, const char *note) {
  *c = (wl_eval_case){0};
  snprintf(c->name, sizeof c->name, "%s", name);
  snprintf(c->note, sizeof c->note, "%s", note);
}

/* Evaluates the variations along one axis. If the trained optimizer cannot run in a variation, for
 * example because the shapes of its meta-parameters do not fit, the function does not fail. The
 * report then contains the reason why the variation was not run. */
static wl_status run_axis(wl_cli *cli, request *q, const wl_config *config, const char *axis,
                          wl_eval_case *cases, int *count) {
  wl_variation v[WL_MAX_VARIATIONS];
  int n;
  char note[160];
  WL_TRY(wl_variations(config, axis, v, &n, note, sizeof note));
  if (n == 0 && *count < MAX_CASES) note_case(&cases[(*count)++], axis, note);
  for (int i = 0; i < n && *count < MAX_CASES; i++) {
    wl_eval_case *c = &cases[*count];
    const wl_status status = run_one(cli, q, v[i].name, &v[i], c);
    if (status == WL_ERR_NO_INPUT || status == WL_ERR_DATA || status == WL_ERR_CONFIG)
      note_case(c, v[i].name, wl_last_error());
    else WL_TRY(status);
    (*count)++;
  }
  return WL_OK;
}

/* Lists the trained settings that are evaluated, as indices of the tasks of the configuration, and
 * returns their number. Each combination of choices (one_of) is a setting. If there are more than
 * MAX_CASES settings, only the first combination of each entry of `task` is listed. *left_out is
 * the number of settings that are not listed. */
static int list_settings(const wl_config *config, int settings[MAX_CASES], int *left_out) {
  const int tasks = wl_config_count(config, "task");
  int distinct = 0, count = 0;
  for (int i = 0; i < tasks; i++) distinct += !wl_map_repeated(wl_config_map(config, "task", i));
  for (int i = 0; i < tasks && count < MAX_CASES;) {
    const wl_map *map = wl_config_map(config, "task", i);
    if (!wl_map_repeated(map)) settings[count++] = i;
    i += distinct > MAX_CASES ? wl_map_combinations(map) : 1;
  }
  *left_out = distinct - count;
  return count;
}

/* Evaluates each trained setting as a separate case. */
static wl_status run_trained(wl_cli *cli, request *q, const wl_config *config, wl_eval_case *cases,
                             int *count) {
  int settings[MAX_CASES], left_out;
  const int n = list_settings(config, settings, &left_out);
  if (n == 1 && left_out == 0) return run_one(cli, q, "trained", NULL, &cases[(*count)++]);
  for (int i = 0; i < n; i++) {
    char name[sizeof cases->name], choices[200];
    const wl_map *map = wl_config_map(config, "task", settings[i]);
    wl_map_choices(map, choices, sizeof choices);
    snprintf(name, sizeof name, "task %d, %.32s%s%s", wl_map_entry(map), wl_map_variant(map),
             *choices ? ", " : "", choices);
    q->setting.task = settings[i];
    WL_TRY(run_one(cli, q, name, NULL, &cases[(*count)++]));
  }
  return WL_OK;
}

/* Returns an error if --vary is given and the configuration has several settings. */
static wl_status check_vary(const wl_arguments *a, const wl_config *config) {
  int settings[MAX_CASES], left_out;
  const int n = list_settings(config, settings, &left_out) + left_out;
  if (n == 1 || !wl_argument_given(a, "vary")) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE,
                 "--vary changes one setting, but the training has %d settings of `task`; choose one "
                 "setting with --set task=..., for example " ONE_SETTING, n);
}

/* Calls `visit` for each axis that --vary lists. Stops at the first failure. */
static wl_status for_axes(const wl_cli *cli, wl_status (*visit)(void *context, const char *axis),
                          void *context) {
  char axes[256], *rest, *axis;
  const char *const given = wl_argument_text(&cli->arguments, "vary", "");
  if (strlen(given) >= sizeof axes)
    return WL_FAIL(WL_ERR_USAGE, "--vary: the list of properties is longer than %zu bytes", sizeof axes - 1);
  memcpy(axes, given, strlen(given) + 1);
  for (axis = strtok_r(axes, ",", &rest); axis; axis = strtok_r(NULL, ",", &rest))
    WL_TRY(visit(context, axis));
  return WL_OK;
}

/* Returns an error if an axis of --vary is unknown. run_eval checks all axes before the long
 * computation starts. */
static wl_status check_axis(void *context, const char *axis) {
  const wl_trained *trained = context;
  wl_variation v[WL_MAX_VARIATIONS];
  int n;
  char note[160];
  return wl_variations(trained->config, axis, v, &n, note, sizeof note);
}

typedef struct axis_run {
  wl_cli *cli;
  request *q;
  const wl_config *config;
  wl_eval_case *cases;
  int *count;
} axis_run;

static wl_status visit_axis(void *context, const char *axis) {
  const axis_run *run = context;
  return run_axis(run->cli, run->q, run->config, axis, run->cases, run->count);
}

static wl_status run_cases(wl_cli *cli, request *q, const wl_trained *trained, wl_eval_case *cases,
                           int *count) {
  axis_run run = {cli, q, trained->config, cases, count};
  WL_TRY(run_trained(cli, q, trained->config, cases, count));
  return for_axes(cli, visit_axis, &run);
}

/* Replaces the ending .h5 of a file name by `suffix`. */
static void rename_end(const char *file, const char *suffix, char out[PATH_MAX]) {
  const size_t n = strlen(file);
  const int stem = n > 3 && strcmp(file + n - 3, ".h5") == 0 ? (int)n - 3 : (int)n;
  snprintf(out, PATH_MAX, "%.*s%s", stem, file, suffix);
}

static bool has_attribute(const wl_file *file, const char *name, const char *expected) {
  char *value = NULL;
  const bool same = wl_file_attribute(file, name, &value) == WL_OK && strcmp(value, expected) == 0;
  free(value);
  return same;
}

/* Renames the evaluation at `output` and its picture, so that a new evaluation does not replace
 * these files. */
static wl_status keep_earlier(const char *output) {
  char data[PATH_MAX], picture[PATH_MAX], kept[PATH_MAX], suffix[48];
  int n = 1;
  do {
    snprintf(suffix, sizeof suffix, "-previous-%d.h5", n++);
    rename_end(output, suffix, data);
  } while (access(data, F_OK) == 0);
  if (rename(output, data) != 0)
    return WL_FAIL(WL_ERR_CANNOT_CREATE, "the earlier evaluation %s cannot be renamed to %s: %s", output, data,
                   strerror(errno));
  wl_log_info("the earlier evaluation had other settings and was renamed to %s", data);
  rename_end(output, ".png", picture);
  rename_end(data, ".png", kept);
  if (access(picture, F_OK) == 0) (void)rename(picture, kept);
  return WL_OK;
}

/* If an evaluation with other settings exists at the output path, renames the evaluation, so that
 * the new evaluation does not replace the file. An evaluation with the same settings is replaced.
 * Before an evaluation is replaced, the picture of this evaluation is removed. Without this
 * removal, the picture would show old data if no new picture is drawn. */
static wl_status make_room(const request *q, const wl_trained *trained) {
  char picture[PATH_MAX];
  wl_file *file = NULL;
  if (access(q->output, F_OK) != 0) return WL_OK;
  WL_TRY(wl_file_open(q->output, "evaluation", &file));
  const bool same = has_attribute(file, "settings", q->settings) &&
                    has_attribute(file, "digest", trained->digest) &&
                    has_attribute(file, "source", trained->source);
  wl_file_close(&file);
  if (!same) return keep_earlier(q->output);
  rename_end(q->output, ".png", picture);
  (void)unlink(picture);
  return WL_OK;
}

/* Writes the table, the JSON, the file of curves and the picture. Only rank 0 calls this
 * function. */
static wl_status report(const wl_cli *cli, const request *q, const wl_trained *trained,
                        const wl_eval_case *cases, int count) {
  const char *json = wl_argument_text(&cli->arguments, "json", NULL);
  FILE *const out = wl_json_text_stream(json);
  int settings[MAX_CASES], left_out;
  list_settings(trained->config, settings, &left_out);
  wl_eval_print(trained, cases, count, out);
  if (left_out > 0)
    fprintf(out,
            "\n%d other combinations of the choices of `task` were not evaluated. To evaluate one setting, "
            "use --set task=..., for example " ONE_SETTING "\n",
            left_out);
  if (json) WL_TRY(wl_eval_print_json(trained, cases, count, json));
  if (q->setting.alone) return WL_OK;
  WL_TRY(make_room(q, trained));
  WL_TRY(wl_eval_write(q->output, trained, q->settings, cases, count));
  wl_log_info("the file %s contains all curves", q->output);
  if (!wl_argument_given(&cli->arguments, "no-picture"))
    wl_picture_draw("plot_evaluation.py", q->output);
  return WL_OK;
}

/* Returns an error if the output exists and is not an evaluation, so that no other file is
 * replaced. */
static wl_status check_existing(const request *q) {
  wl_file *file = NULL;
  if (access(q->output, F_OK) != 0) return WL_OK;
  if (wl_file_open(q->output, "evaluation", &file) != WL_OK)
    return WL_FAIL(WL_ERR_CANNOT_CREATE,
                   "--output %s: this file exists and is not an evaluation; choose another name", q->output);
  wl_file_close(&file);
  return WL_OK;
}

/* Checks that the output can be written, before the long computation starts. */
static wl_status check_output(const request *q) {
  if (!q->setting.alone) WL_TRY(check_existing(q));
  char folder[sizeof q->output];
  snprintf(folder, sizeof folder, "%s", q->output);
  char *const slash = strrchr(folder, '/');
  if (slash) slash[slash == folder] = '\0';
  if (q->setting.alone || access(slash ? folder : ".", W_OK) == 0) return WL_OK;
  return WL_FAIL(errno == EACCES ? WL_ERR_PERMISSION : WL_ERR_CANNOT_CREATE,
                 "--output %s: the file cannot be created: %s", q->output, strerror(errno));
}

static wl_status run_eval(wl_cli *cli, int argc, char **argv) {
  request q;
  wl_trained *trained = NULL;
  wl_eval_case cases[MAX_CASES] = {0};
  int count = 0;
  if (wl_argument_given(&cli->arguments, "speedup"))
    return wl_eval_speedup(cli, argc > 0 ? argv[0] : NULL);
  if (argc == 0)
    return wl_comm_agree(
        cli->comm, WL_FAIL(WL_ERR_USAGE, "the command names no run; use 'warploom eval RUN', for example "
                                         "'warploom eval runs/quickstart'"));
  wl_status status = read_request(cli, argv[0], &q);
  if (status == WL_OK) status = wl_trained_read(q.path, q.overrides, q.n_overrides, &trained);
  if (status == WL_OK) status = check_vary(&cli->arguments, trained->config);
  if (status == WL_OK) status = for_axes(cli, check_axis, trained);
  if (status == WL_OK && wl_comm_rank(cli->comm) == 0) status = check_output(&q);
  status = wl_comm_agree(cli->comm, status);
  if (status == WL_OK) status = run_cases(cli, &q, trained, cases, &count);
  if (status == WL_OK)
    status = wl_comm_agree(
        cli->comm, wl_comm_rank(cli->comm) == 0 ? report(cli, &q, trained, cases, count) : WL_OK);
  for (int i = 0; i < count; i++) wl_eval_case_clear(&cases[i]);
  wl_trained_destroy(&trained);
  return status;
}

const wl_command wl_command_eval = {
    "eval",
    "RUN",
    "compares a trained optimizer with tuned hand-designed rules on fresh tasks",
    0,
    1,
    arguments,
    wl_eval_help_suite,
    false,
    run_eval,
    "Compares a trained optimizer with SGD, momentum, Nesterov, RMSprop and Adam on fresh tasks. RUN is a run "
    "directory, a checkpoint or an exported file. The rates of the hand-designed rules are tuned on other "
    "tasks, for the same number of steps. The command prints a table with 95 % intervals and a verdict. If the "
    "training has several tasks or choices (one_of), each combination has its own table; with more than 32 "
    "combinations, only the first combination of each entry of `task` is evaluated. The "
    "command writes all loss curves to an HDF5 file, and draws the curves if Python has h5py and matplotlib. "
    "The runs "
    "are distributed over the ranks. The results do not depend on the number of ranks.",
    "mpirun -n 4 warploom eval runs/quadratic-gaussian --units 8\n"
    "warploom eval jobs/trained/fashion-mlp.h5 --vary horizon,width,activation\n"
    "mpirun -n 2 warploom eval jobs/trained/quadratic-gaussian.h5 --speedup jobs/suites/validation.yaml\n"
    "warploom eval runs/quickstart --steps 400 --output far.h5          # more steps than in training\n"};
