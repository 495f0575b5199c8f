/* commands.h - the type of a subcommand, and the arguments that main passes to it.
 *
 * Each subcommand has a file src/cli/<name>.c, which defines wl_command_<name>, and a line in commands.def. main parses
 * the options and starts MPI before it calls `run`. */
#ifndef WL_CLI_COMMANDS_H
#define WL_CLI_COMMANDS_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/arguments.h"
#include "comm/comm.h"

typedef struct wl_command wl_command;

/* One run of a subcommand. */
typedef struct wl_cli {
  const wl_command *command;
  wl_comm *comm;
  wl_arguments arguments; /* the options of the command line */
  bool quiet;
} wl_cli;

struct wl_command {
  const char *name;
  const char *operands; /* for example "CONFIG" or "[FILE]"; "" if there are no operands */
  const char *summary;  /* one phrase without a full stop, for example "meta-trains an optimizer" */
  int min_operands, max_operands;
  /* the table of options; its last entry has name NULL; the pointer is NULL if there are no options; --help and --quiet
   * are options of all subcommands */
  const wl_argument *arguments;
  /* Prints the keys of the configuration after the options of --help. If `roff` is true, prints them as source of a man
   * page. May be NULL. */
  void (*more_help)(bool roff, FILE *out);
  /* the subcommand runs in float64: before MPI starts, the float32 program executes warploom64 */
  bool in_double;
  /* Runs the subcommand. The operands are argv[0 .. argc), min_operands <= argc <= max_operands. Collective.
   * wl_comm_agree marks a failure as shared by all ranks. If a failure is not shared, main ends all ranks by
   * wl_comm_abort, because other ranks may be waiting for this rank in a collective call. */
  wl_status (*run)(wl_cli *cli, int argc, char **argv);
  const char *about;    /* description of the subcommand in full sentences */
  const char *examples; /* lines of shell commands, each with a newline at its end */
  bool without_mpi;     /* the subcommand runs as one process without MPI: cli->comm is NULL */
};

/* All subcommands. The list ends with NULL. */
extern const wl_command *const wl_commands[];

/* Prints the help page of a subcommand. If `roff` is true, prints it as source of a man page. */
void wl_command_help(const wl_command *command, bool roff, FILE *out);

/* Prints every key of the configuration. This function is a value for `more_help`. */
void wl_command_help_keys(bool roff, FILE *out);

/* The subcommands. */
#define WL_COMMAND(name) extern const wl_command wl_command_##name;
#include "cli/commands.def"
#undef WL_COMMAND

#endif
