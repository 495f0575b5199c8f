/* init.c - `warploom init --task FAMILY`: writes a commented configuration for a first training.
 *
 * The configuration has the settings that docs/guide.md recommends. The rule is an LSTM that begins
 * as Nesterov's method. A window has a quarter of the steps of an episode and uses second
 * derivatives. The meta-loss of a window is the sum of the last losses of the window. The table
 * `recipes` has one row for each family, with the settings of this family. Keys, defaults and
 * descriptions are read from the schema of the configuration. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/suggest.h"
#include "cli/commands.h"
#include "task/task.h"
#include "train/schema.h"

static const wl_argument arguments[] = {
    {"task", "FAMILY", "task family of the configuration; `warploom train --list tasks` lists the families"},
    {"output", "FILE", "write the configuration to FILE, which must not exist yet; default: standard output"},
    {0}};

/* Settings that `warploom init` writes for a task family. */
typedef struct recipe {
  const char *family;
  /* lines of the section `task` with values that differ from the defaults; "" if all values are
   * defaults */
  const char *keys;
  const char *rate; /* learning rate of Nesterov's method, close to the best rate on this family */
  int steps;        /* number of inner steps of an episode; a window has a quarter of these steps */
  /* value of the key window.loss, for example "log" for the logarithm of the loss */
  const char *loss;
} recipe;

static const recipe recipes[] = {
    {"quadratic", "", "0.1", 100, "log"},
    {"mlp", "  data: synthetic\n  widths: [16]\n  batch: 64\n", "1.0", 100, "log"},
    {"autoencoder", "  data: synthetic\n  widths: [16, 4, 16]\n  batch: 32\n", "10.0", 100, "log"},
    {"language-model", "  cell: gru\n  embedding: 8\n  hidden: 16\n  batch: 8\n  length: 8\n",
     "0.3", 40, "log"},
    {"transformer", "  batch: 4\n  length: 8\n", "0.3", 40, "log"},
    {"logistic", "", "0.03", 100, "log"},
    {"rosenbrock", "", "0.0003", 100, "log"},
    {"test-function", "  function: ackley\n", "0.01", 100, "log"},
    {"sinusoid", "  shots: 10\n", "0.01", 40, "log"},
    /* the value is "plain", because losses of this family may be negative, and a negative number
     * has no logarithm */
    {"mountain", "", "0.03", 100, "plain"},
    {"conv", "  data: synthetic\n  filters: [4, 8]\n  batch: 16\n", "0.1", 40, "log"},
    {"omniglot",
     "  file: omniglot28.h5          # tools/pack_omniglot.py makes this file\n  filters: [16, 16, 16, 16]\n",
     "0.1", 40, "log"},
    {"python", "  module: my_task.py           # docs/plugins.md describes its contents\n", "0.01", 40, "log"},
};

/* Returns the row of a family in `recipes`. If the family has no row, returns a row with the
 * defaults of all keys and a small learning rate. */
static recipe find_recipe(const char *family) {
  for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
    if (strcmp(recipes[i].family, family) == 0) return recipes[i];
  return (recipe){family, "", "0.01", 100, "plain"};
}

static wl_status find_family(const char *name, const wl_variant **out) {
  enum { MOST = 64 };
  const char *names[MOST];
  int count = 0;
  for (const wl_variant *v = wl_schema_section("task")->variants; v->name && count < MOST; v++) {
    names[count++] = v->name;
    if (strcmp(v->name, name) != 0) continue;
    *out = v;
    return WL_OK;
  }
  const char *const near = wl_suggest(name, names, count);
  return WL_FAIL(WL_ERR_USAGE,
                 "--task %s: there is no such family%s%s%s; 'warploom train --list tasks' lists the families", name,
                 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Writes two comment lines for each key that `given` does not set. The first line contains the key
 * and its default. The second line contains the description of the key. */
static void write_keys(const wl_option *options, const char *given, FILE *out) {
  for (const wl_option *o = options; o && o->key; o++) {
    char start[64];
    snprintf(start, sizeof start, "  %s:", o->key);
    if (strstr(given, start)) continue;
    fprintf(out, "  # %s: %s\n  #     ", o->key,
            o->fallback && *o->fallback ? o->fallback : "\"\"");
    /* writes the description without its newlines */
    for (const char *word = o->doc; word && *word;) {
      const int length = (int)strcspn(word, "\n");
      fprintf(out, "%.*s", length, word);
      word += length + (word[length] == '\n');
    }
    fputc('\n', out);
  }
}

/* Returns true if a family computes its loss with a separate function. The loss of any other family
 * is computed by the tape, which is the list of recorded operators. A family with a separate
 * function has only first derivatives. */
static bool first_order_only(const wl_variant *family) { return ((const wl_task_family *)family->table)->loss != NULL; }

static void write_configuration(const wl_variant *family, FILE *out) {
  const recipe r = find_recipe(family->name);
  fprintf(out,
          "# %s: %s.\n# `warploom init --task %s` made this file. These commands train and evaluate an "
          "optimizer:\n"
          "#   mpirun -n 2 warploom train CONFIG\n#   warploom eval runs/%s\n"
          "# `warploom train --help` explains every key. A key that is not set has its default.\n"
          "seed: 1\noutput: runs/%s\n\ntask:\n  family: %s\n%s",
          family->name, family->summary, family->name, family->name, family->name, family->name,
          r.keys);
  fputs("  # Other keys of this task family, with the default values:\n", out);
  write_keys(family->options, r.keys, out);
  fprintf(
      out,
      "\n# The rule is a coordinatewise LSTM that begins as Nesterov's method.\n"
      "# The LSTM learns a factor for the steps of this method, and a term that is added to the steps.\n"
      "# `warploom eval` tunes the rate of Nesterov's method. Write the best rate here.\n"
      "rule:\n  name: lstm\n  hidden: [10, 10]\n  momentum: 0.9\n  rate: %s\n",
      r.rate);
  fprintf(
      out,
      "\n# The keys episode.steps and window.steps are numbers of inner steps.\n"
      "# Only the last losses of a window contribute to the meta-loss.\n"
      "episode:\n  steps: %d\nwindow:\n  steps: %d\n  weights: {last: %d}\n  loss: %s\n  order: %s\n",
      r.steps, r.steps / 4, r.steps / 16, r.loss, first_order_only(family) ? "first" : "second");
  fputs(
      "\n# The outer loop updates the meta-parameters. With more steps, the training takes longer.\n"
      "# With more units, the meta-gradient has less noise.\n"
      "outer:\n  steps: 600\n  units: 2\n  learning_rate: 3e-3\n  beta2: 0.99\n  schedule: cosine\n"
      "  final_fraction: 0.02\n  clip_norm: 1\ncheckpoint:\n  every: 200\n",
      out);
}

/* Creates the file `path` and opens it for writing. Returns an error if the file exists. If `path`
 * is NULL, *out is standard output. */
static wl_status open_output(const char *path, FILE **out) {
  *out = stdout;
  if (!path) return WL_OK;
  const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  *out = file >= 0 ? fdopen(file, "w") : NULL;
  if (*out) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE, "--output %s: the file cannot be created: %s", path, strerror(errno));
}

static wl_status init(const wl_arguments *given) {
  const char *const name = wl_argument_text(given, "task", NULL);
  const char *const path = wl_argument_text(given, "output", NULL);
  const wl_variant *family = NULL;
  FILE *out = NULL;
  if (!name)
    return WL_FAIL(WL_ERR_USAGE,
                   "the command names no task family; use --task FAMILY; 'warploom train --list tasks' lists "
                   "the families");
  WL_TRY(find_family(name, &family));
  WL_TRY(open_output(path, &out));
  write_configuration(family, out);
  if (!path) return WL_OK; /* the function main reports errors of writing to standard output */
  if (fclose(out) == 0) return WL_OK;
  return WL_FAIL(WL_ERR_IO, "--output %s: the configuration could not be written: %s", path, strerror(errno));
}

static wl_status run_init(wl_cli *cli, int argc, char **argv) {
  (void)argc, (void)argv;
  return wl_comm_agree(cli->comm, wl_comm_rank(cli->comm) == 0 ? init(&cli->arguments) : WL_OK);
}

const wl_command wl_command_init = {
    "init",
    "",
    "prints a commented configuration for a task family",
    0,
    0,
    arguments,
    NULL,
    false,
    run_init,
    "Prints a configuration that meta-trains an LSTM on a task family. The configuration has the settings that "
    "the guide recommends, and lists every key of the family. The configuration works without changes, except "
    "for two families: omniglot needs the packed data file, and python needs a module.",
    "warploom init --task mlp --output mlp.yaml\n"
    "warploom train mlp.yaml\n"};
