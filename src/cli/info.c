/* info.c - `warploom info FILE`: what is in a run, a checkpoint, a trajectory or any other file. */
#include <string.h>

#include "cli/commands.h"
#include "io/describe.h"

static const wl_argument arguments[] = {
    {"verify", NULL,
     "read every byte back and compare it with its checksum; exit code 65 when something is damaged"},
    {"json", "FILE", "also write the description as JSON; - for standard output"},
    {0}};

static wl_status write_json(const json_t *description, const char *path) {
  const int failed = strcmp(path, "-") == 0 ? json_dumpf(description, stdout, JSON_INDENT(2))
                                            : json_dump_file(description, path, JSON_INDENT(2));
  if (!failed) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE,
                 "%s: the JSON could not be written; is its directory there and writable?", path);
}

/* Describes all that can be read, also when part of it is damaged. */
static wl_status info(const wl_arguments *given, const char *path) {
  const char *json = wl_argument_text(given, "json", NULL);
  json_t *description = NULL;
  const wl_status status = wl_describe(path, wl_argument_given(given, "verify"), &description);
  if (!description) return status;
  wl_describe_print(description, json && strcmp(json, "-") == 0 ? stderr : stdout);
  const wl_status written = json ? write_json(description, json) : WL_OK;
  json_decref(description);
  return status != WL_OK ? status : written;
}

static wl_status run_info(wl_cli *cli, int argc, char **argv) {
  (void)argc;
  return wl_cli_agree(cli, wl_comm_rank(cli->comm) == 0 ? info(&cli->arguments, argv[0]) : WL_OK);
}

const wl_command wl_command_info = {
    "info",
    "PATH",
    "tells what is in a run directory or a file, and whether it is whole",
    1,
    1,
    arguments,
    NULL,
    false,
    run_info,
    "Describes a run directory (its newest checkpoint), a checkpoint, a trajectory file, an exported optimizer or an "
    "evaluation: configuration, provenance, digest, and every dataset with shape, unit and meaning. --verify reads all "
    "bytes again and names what is damaged, for a run directory in every file of it.",
    "warploom info runs/quickstart\n"
    "warploom info runs/quickstart --verify                             # exit code 65: damaged\n"
    "warploom info jobs/trained/fashion-mlp.h5 --json - | jq .digest\n"};
