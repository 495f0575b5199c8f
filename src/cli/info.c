/* info.c - `warploom info FILE`: describes a run, a checkpoint, a trajectory or any other file. */
#include "cli/commands.h"
#include "cli/info_print.h"
#include "cli/json.h"
#include "io/describe.h"

static const wl_argument arguments[] = {
    {"verify", NULL,
     "also check every file of a run directory and decode every dataset; exit code 65 if a file is damaged"},
    {"json", "FILE", "also write the description as JSON; - for standard output"},
    {0}};

/* Describes all readable parts of the file or run, even if another part is damaged. */
static wl_status info(const wl_arguments *given, const char *path) {
  const char *json = wl_argument_text(given, "json", NULL);
  json_t *description = NULL;
  const wl_status status = wl_describe(path, wl_argument_given(given, "verify"), &description);
  if (!description) return status;
  wl_info_print(description, wl_json_text_stream(json));
  const wl_status written = json ? wl_json_write(json_incref(description), json) : WL_OK;
  json_decref(description);
  return status != WL_OK ? status : written;
}

static wl_status run_info(wl_cli *cli, int argc, char **argv) {
  (void)argc;
  return wl_comm_agree(cli->comm,
                       wl_comm_rank(cli->comm) == 0 ? info(&cli->arguments, argv[0]) : WL_OK);
}

const wl_command wl_command_info = {
    "info",
    "PATH",
    "shows what a run directory or a file holds, and whether it is valid",
    1,
    1,
    arguments,
    NULL,
    false,
    run_info,
    "Describes a run directory (its newest checkpoint), a checkpoint, a trajectory, an exported optimizer or an "
    "evaluation: configuration, provenance, digest, and every dataset with shape, unit and meaning. Compares the "
    "file, and each checkpoint of a run, with its checksum. With --verify, compares every file of a run "
    "directory, decodes every dataset, and names damaged files.",
    "warploom info runs/quickstart\n"
    "warploom info runs/quickstart --verify                             # exit code 65: damaged\n"
    "warploom info jobs/trained/fashion-mlp.h5 --json - | jq .digest\n"};
