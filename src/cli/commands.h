/* commands.h - defines the type of a subcommand, and the arguments that main passes to a
 * subcommand.
 *
 * Each subcommand has a line in commands.def and a file src/cli/<name>.c, which defines
 * wl_command_<name>. The function main parses the options and starts MPI before it calls `run`. */
#ifndef WL_CLI_COMMANDS_H
#define WL_CLI_COMMANDS_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/arguments.h"
#include "comm/comm.h"

typedef struct wl_command wl_command;

/* The data that main passes to a subcommand. */
typedef struct wl_cli {
  const wl_command *command;
  wl_comm *comm;
  wl_arguments arguments; /* options that the command line contains */
  bool quiet;
} wl_cli;

struct wl_command {
  const char *name;
  /* names of the operands in the help page, for example "CONFIG" or "[FILE]"; "" if there are no
   * operands */
  const char *operands;
  /* what the subcommand does, as one phrase without a full stop, for example "meta-trains a learned
   * optimizer" */
  const char *summary;
  int min_operands, max_operands;
  /* table of the options that only this subcommand has. The last entry has the name NULL. The
   * pointer is NULL if the subcommand has no such options. --help and --quiet are options of all
   * subcommands. */
  const wl_argument *arguments;
  /* Prints the last part of the help page, such as the keys of the configuration. If `roff` is
   * true, prints the source of a man page. NULL means that the help page has no such part. */
  void (*more_help)(bool roff, FILE *out);
  /* true if the subcommand computes in float64: before MPI starts, the float32 program replaces
   * itself by warploom64 */
  bool in_double;
  /* Runs the subcommand. The operands are argv[0 .. argc), where min_operands <= argc <=
   * max_operands. Collective. A failure that was passed to wl_comm_agree is shared, which means
   * that all ranks return this failure. If a failure is not shared, main ends all ranks with
   * wl_comm_abort, because other ranks may be waiting for this rank in a collective call. */
  wl_status (*run)(wl_cli *cli, int argc, char **argv);
  const char *about;    /* description of the subcommand in full sentences */
  const char *examples; /* examples of shell commands; each line ends with a newline */
  /* true if the subcommand runs as one process without MPI; then cli->comm is NULL */
  bool without_mpi;
};

/* Pointers to all subcommands; the last element is NULL. */
extern const wl_command *const wl_commands[];

/* Prints the help page of a subcommand. If `roff` is true, prints the source of a man page. */
void wl_command_help(const wl_command *command, bool roff, FILE *out);

/* Prints every key of the configuration with its help text. A wl_command can use this function as
 * `more_help`. */
void wl_command_help_keys(bool roff, FILE *out);

/* The subcommands. */
#define WL_COMMAND(name) extern const wl_command wl_command_##name;
#include "cli/commands.def"
#undef WL_COMMAND

#endif
