/* export.c - `warploom export RUN`: writes the trained optimizer, without the state of the
 * training, to a file. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/path.h"
#include "cli/commands.h"
#include "run/trained.h"

static const wl_argument arguments[] = {
    {"output", "FILE",
     "file that receives the optimizer; default: RUN/optimizer.h5 for a run directory, and optimizer.h5 in the "
     "current folder for a checkpoint file"},
    {0}};

static void default_output(const char *path, char *output, size_t size) {
  if (wl_is_directory(path)) snprintf(output, size, "%s/optimizer.h5", path);
  else snprintf(output, size, "optimizer.h5");
}

static wl_status export(const char *path, const char *output) {
  wl_trained *t = NULL;
  /* checks the default name of the output; check_outputs in main.c checks only names that the user
   * gives */
  WL_TRY(wl_check_output(output, path, "optimizer.h5"));
  /* plug-ins are accepted even if their hash differs from the hash in the configuration, because
   * `export` does not run the plug-ins */
  const wl_override any_hash = {.kind = WL_OVERRIDE_ANY_HASH};
  WL_TRY(wl_trained_read(path, &any_hash, 1, &t));
  const wl_status status =
      wl_trained_write(output, t->config, &t->layout, t->phi, t->digest, t->meta_steps);
  if (status == WL_OK)
    wl_log_info("the file %s has %lld meta-parameters after %lld meta-steps, digest %s", output,
                (long long)t->layout.size, (long long)t->meta_steps, t->digest);
  wl_trained_destroy(&t);
  return status;
}

static wl_status run_export(wl_cli *cli, int argc, char **argv) {
  (void)argc;
  char output[4200];
  default_output(argv[0], output, sizeof output);
  const char *given = wl_argument_text(&cli->arguments, "output", output);
  return wl_comm_agree(cli->comm, wl_comm_rank(cli->comm) == 0 ? export(argv[0], given) : WL_OK);
}

const wl_command wl_command_export = {
    "export",
    "RUN",
    "writes the trained optimizer, without training state, to a small HDF5 file",
    1,
    1,
    arguments,
    NULL,
    false,
    run_export,
    "Writes an HDF5 file of some kilobytes with meta-parameters, configuration and provenance. RUN is a run "
    "directory, whose newest checkpoint is read, or a checkpoint file. Each block of meta-parameters is the "
    "float64 dataset /phi/BLOCK (see docs/hdf5-schema.md). The file can be read by `warploom eval`, by the key "
    "`start` of a configuration, and by the C library. A "
    "training writes RUN/optimizer.h5 when it ends. Use export while a training still runs, or to choose "
    "another name for the file.",
    "warploom export runs/quadratic-gaussian --output quadratic.h5\n"
    "warploom export runs/quickstart/checkpoints/step-00000600.h5 --output early.h5\n"};
