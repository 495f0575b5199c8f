/* train.c - `warploom train CONFIG`: reads the options, trains, and prints the digest of the
 * result. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/path.h"
#include "cli/commands.h"
#include "cli/json_schema.h"
#include "cli/signals.h"
#include "base/atomic_file.h"
#include "run/train.h"
#include "train/schema.h"

static const wl_argument arguments[] = {
    {"set", "KEY=VALUE",
     "override a key of the configuration, such as --set outer.learning_rate=3e-4; this option may be repeated"},
    WL_TRAIN_ARGUMENTS,
    {"stop-after", "N", "stop with a checkpoint after meta-step N and exit with code 75"},
    {"dry-run", NULL,
     "check the configuration, print all its keys and the memory that a rank needs, and do not train"},
    {"json-schema", NULL,
     "print a JSON Schema of the configuration, which editors and validators can read, and do not train"},
    {"list", "WHAT", "print the list of tasks, rules, preconditioners, initialisations or estimators, and do "
                     "not train"},
    {0}};

static wl_status list(const char *what) {
  static const struct {
    const char *name, *section;
  } lists[] = {{"tasks", "task"},
               {"rules", "rule"},
               {"preconditioners", "precondition"},
               {"initialisations", "initialisation"},
               {"estimators", "estimator"}};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    if (strcmp(what, lists[i].name) != 0) continue;
    wl_section_list(wl_schema_section(lists[i].section), stdout);
    return WL_OK;
  }
  return WL_FAIL(WL_ERR_USAGE,
                 "--list %s: there is no such list; accepted are tasks, rules, preconditioners, "
                 "initialisations, estimators",
                 what);
}

static wl_status print_configuration(const wl_config *config) {
  char *text = NULL;
  WL_TRY(wl_config_to_yaml(config, &text));
  fputs(text, stdout);
  free(text);
  return WL_OK;
}

/* Returns an error if the run would overwrite the configuration that it reads, because `path` is
 * the file config.yaml in the output folder. Overwriting is allowed if the folder already belongs
 * to a run. */
static wl_status check_output(const wl_config *config, const char *path) {
  const char *const output = wl_schema_run(config).output;
  char written[WL_PATH_MAX], lock[WL_PATH_MAX];
  WL_TRY(wl_check_run_folder(output));
  if (wl_path_join(written, output, "config.yaml") != WL_OK ||
      /* a path that is too long is no error here, because wl_train reports this error when wl_train
       * opens the folder */
      wl_path_join(lock, output, "lock") != WL_OK)
    return WL_OK;
  if (!wl_same_file(written, path) || access(lock, F_OK) == 0) return WL_OK;
  return WL_FAIL(
      WL_ERR_CANNOT_CREATE,
      "output: the folder '%s' contains the configuration '%s', which the file config.yaml of the run would "
      "replace; choose another folder",
      output, path);
}

static wl_status train(wl_cli *cli, const wl_config *config, const char *path,
                       const wl_train_request *request) {
  wl_train_outcome outcome = {0};
  WL_TRY(wl_comm_agree(cli->comm, check_output(config, path)));
  const wl_status status = wl_train(config, path, request, cli->comm, &outcome);
  if ((status != WL_OK && status != WL_TRY_AGAIN) || wl_comm_rank(cli->comm) != 0) return status;
  char hex[17];
  wl_digest_hex((wl_digest){outcome.digest}, hex);
  printf("digest %s step %lld\n", hex, (long long)outcome.meta_steps);
  return status;
}

/* Prints the JSON Schema. If `configuration` is not NULL, the schema includes the keys of the
 * plug-ins that this configuration uses. */
static wl_status print_schema(const char *configuration) {
  wl_config *config = NULL;
  if (configuration) WL_TRY(wl_config_read(configuration, wl_schema(), NULL, 0, &config));
  /* the plug-ins stay open after wl_config_destroy, so wl_schema includes their keys */
  wl_config_destroy(&config);
  json_t *schema = wl_json_schema(wl_schema());
  char *const text = schema ? json_dumps(schema, JSON_INDENT(1)) : NULL;
  json_decref(schema);
  if (!text) return WL_FAIL(WL_ERR_OS, "out of memory while printing the schema");
  puts(text);
  free(text);
  return WL_OK;
}

static wl_status run_train(wl_cli *cli, int argc, char **argv) {
  wl_override overrides[WL_ARGUMENTS_MAX];
  const char *what = wl_argument_text(&cli->arguments, "list", NULL);
  const int n = wl_argument_overrides(&cli->arguments, overrides);
  wl_config *config = NULL;
  wl_train_request request;
  if (what) return wl_comm_agree(cli->comm, wl_comm_rank(cli->comm) == 0 ? list(what) : WL_OK);
  if (wl_argument_given(&cli->arguments, "json-schema"))
    return wl_comm_agree(cli->comm, wl_comm_rank(cli->comm) == 0 ? print_schema(argc ? argv[0] : NULL) : WL_OK);
  if (argc != 1)
    return wl_comm_agree(
        cli->comm,
        WL_FAIL(WL_ERR_USAGE,
                "the command names no configuration; use 'warploom train CONFIG', for example 'warploom train "
                "jobs/quickstart.yaml'"));
  wl_status status = wl_train_request_read(&cli->arguments, &request);
  if (status == WL_OK) status = wl_config_read(argv[0], wl_schema(), overrides, n, &config);
  if (status == WL_OK)
    status = wl_argument_int(&cli->arguments, "stop-after", 1, INT64_MAX, &request.stop_after);
  status = wl_comm_agree(cli->comm, status);
  if (status == WL_OK && wl_argument_given(&cli->arguments, "dry-run")) {
    status = wl_train_preview(config, argv[0], cli->comm);
    if (status == WL_OK && wl_comm_rank(cli->comm) == 0) status = print_configuration(config);
    status = wl_comm_agree(cli->comm, status);
  } else if (status == WL_OK) {
    status = train(cli, config, argv[0], &request);
  }
  wl_config_destroy(&config);
  return status;
}

const wl_command wl_command_train = {
    "train",
    "CONFIG",
    "meta-trains a learned optimizer",
    0,
    1,
    arguments,
    wl_command_help_keys,
    false,
    run_train,
    "Meta-trains the optimizer that CONFIG describes, for outer.steps meta-steps. In each meta-step, the ranks "
    "run the optimizer on tasks, compute the exact sum of their meta-gradients, and update the "
    "meta-parameters. The results are written to a run directory (key output): checkpoints, the file "
    "metrics.jsonl, recorded inner runs, and the trained optimizer as optimizer.h5. The last line of standard "
    "output is the digest of the result. The digest does not depend on interruptions or on the number of ranks "
    "and threads. SIGTERM, SIGINT, SIGHUP, SIGXCPU, SIGUSR1 or SIGUSR2 to any rank stops the run at the next "
    "inner step. The run then saves a checkpoint of the last complete meta-step and exits with code 75. To "
    "continue the run, start the same command with --resume.",
    "mpirun -n 4 warploom train jobs/quadratic-gaussian.yaml\n"
    "mpirun -n 8 warploom train jobs/quadratic-gaussian.yaml --resume     # resumes on a different number of "
    "ranks\n"
    "warploom train jobs/quickstart.yaml --set outer.steps=50 --set output=runs/trial\n"
    "warploom train --list tasks                                          # lists the task families\n"
    "warploom train jobs/controller.yaml                                  # trains with evolution strategies\n"
    "warploom train jobs/quickstart.yaml --set window.order=first --set estimator.name=nres  # another "
    "estimator\n"};
