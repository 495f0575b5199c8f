/* info.c - `warploom info PATH`: describes a run directory, or any file that Warploom writes. */
#include "cli/commands.h"
#include "cli/info_print.h"
#include "cli/json.h"
#include "io/describe.h"

static const wl_argument arguments[] = {
    {"verify", NULL,
     "also check every file of a run directory and decode every dataset; the exit code is 65 if a file is "
     "damaged"},
    {"json", "FILE", "also write the description as JSON to FILE; the name - means standard output"},
    {0}};

/* Prints the description of a file or run directory. If a part is damaged, prints the readable
 * parts and returns an error. */
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
    "describes the contents of a run directory or file, and checks whether it is valid",
    1,
    1,
    arguments,
    NULL,
    false,
    run_info,
    "Describes a checkpoint, a trajectory, an exported optimizer or an evaluation. The description contains the "
    "configuration, the provenance and the digest. The description also lists the shape, the unit and the "
    "meaning of every dataset. For a run "
    "directory, the command describes the newest checkpoint. The command compares the file, or each checkpoint "
    "of a run directory, with its checksum. With --verify, the command compares every file of a run directory "
    "with its checksum, decodes every dataset, and names damaged files.",
    "warploom info runs/quickstart\n"
    "warploom info runs/quickstart --verify                             # exit code 65 if damaged\n"
    "warploom info jobs/trained/fashion-mlp.h5 --json - | jq .digest\n"};
