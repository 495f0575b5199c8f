/* train.c - `warploom train CONFIG`. */
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
     "override a key of the configuration, such as --set outer.learning_rate=3e-4; may be repeated"},
    WL_TRAIN_ARGUMENTS,
    {"stop-after", "N", "stop with a checkpoint after meta-step N and exit with code 75"},
    {"dry-run", NULL,
     "check the configuration, print it in full with the memory that a rank needs, and stop"},
    {"json-schema", NULL,
     "print the keys of the configuration as a JSON Schema, for editors and validators, and stop"},
    {"list", "WHAT", "list tasks, rules, preconditioners, initialisations or estimators, and stop"},
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
                 "--list %s: unknown; accepted are tasks, rules, preconditioners, initialisations, "
                 "estimators",
                 what);
}

static wl_status print_configuration(const wl_config *config) {
  char *text = NULL;
  WL_TRY(wl_config_to_yaml(config, &text));
  fputs(text, stdout);
  free(text);
  return WL_OK;
}

/* Refuses an output folder in which the file config.yaml of the run would overwrite the configuration that is read. The
 * file may be overwritten if it belongs to the run itself. */
static wl_status check_output(const wl_config *config, const char *path) {
  const char *const output = wl_schema_run(config).output;
  char written[WL_PATH_MAX], lock[WL_PATH_MAX];
  WL_TRY(wl_check_run_folder(output));
  if (wl_path_join(written, output, "config.yaml") != WL_OK ||
      wl_path_join(lock, output, "lock") != WL_OK) /* this error is reported when the folder is opened */
    return WL_OK;
  if (!wl_same_file(written, path) || access(lock, F_OK) == 0) return WL_OK;
  return WL_FAIL(
      WL_ERR_CANNOT_CREATE,
      "output: the folder '%s' contains the configuration '%s', which the config.yaml of the run would replace: "
      "choose another folder",
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

/* Prints the schema with the keys of the plug-ins in the configuration. `configuration` is NULL if none is given. */
static wl_status print_schema(const char *configuration) {
  wl_config *config = NULL;
  if (configuration) WL_TRY(wl_config_read(configuration, wl_schema(), NULL, 0, &config));
  wl_config_destroy(&config); /* the plug-ins of the configuration stay open */
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
                "no configuration is named: use 'warploom train CONFIG', such as jobs/quickstart.yaml"));
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
    "meta-trains an optimizer",
    0,
    1,
    arguments,
    wl_command_help_keys,
    false,
    run_train,
    "Meta-trains the optimizer that CONFIG describes, for outer.steps meta-steps. In each meta-step, the ranks "
    "run the optimizer on tasks, sum their meta-gradients exactly, and update the meta-parameters. Results go to "
    "a run directory (key output): checkpoints, metrics.jsonl, recorded inner runs, and optimizer.h5, the "
    "trained optimizer. The last line of standard output is the digest of the result. It does not depend on the "
    "number of ranks or threads, nor on interruptions. SIGTERM, SIGINT, SIGHUP, SIGXCPU, SIGUSR1 or SIGUSR2 to "
    "any rank stop the run at the next inner step. It then saves a checkpoint of the last complete meta-step and "
    "exits with code 75; --resume continues it.",
    "mpirun -n 4 warploom train jobs/quadratic-gaussian.yaml\n"
    "mpirun -n 8 warploom train jobs/quadratic-gaussian.yaml --resume     # on a different number of ranks\n"
    "warploom train jobs/quickstart.yaml --set outer.steps=50 --set output=runs/trial\n"
    "warploom train --list tasks                                          # the task families\n"
    "warploom train jobs/controller.yaml                                  # evolution strategies, drawn tasks\n"
    "warploom train jobs/quickstart.yaml --set window.order=first --set estimator.name=nres  # another of `--list "
    "estimators`\n"};
