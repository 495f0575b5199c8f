/* commands.h - the type of a subcommand, and the arguments that main passes to it.
 *
 * Each subcommand has a file src/cli/<name>.c, which defines wl_command_<name>, and a line in commands.def. Before
 * main calls `run`, main has parsed the options and started MPI. */
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
  wl_arguments arguments; /* the options given */
  bool quiet;
} wl_cli;

struct wl_command {
  const char *name;
  const char *operands; /* such as "CONFIG" or "[FILE]"; "" for no operands */
  const char *summary;  /* one phrase, no full stop: "meta-trains an optimizer" */
  int min_operands, max_operands;
  /* the table of options, whose last entry has name NULL; NULL: no options. All subcommands also have --help and
   * --quiet */
  const wl_argument *arguments;
  /* Prints the keys of the configuration after the options of --help; with `roff`, as man-page source. NULL:
   * nothing. */
  void (*more_help)(bool roff, FILE *out);
  /* runs in float64: before MPI starts, the float32 program executes warploom64 */
  bool in_double;
  /* Runs the subcommand. argv[0 .. argc) are the operands, min_operands <= argc <= max_operands. Collective.
   * wl_comm_agree marks a failure as shared. If a failure is not shared, main ends all ranks by wl_comm_abort, because
   * the other ranks may be waiting in a collective for this rank. */
  wl_status (*run)(wl_cli *cli, int argc, char **argv);
  const char *about;    /* description of the subcommand, in sentences */
  const char *examples; /* lines of shell, each ending with a newline */
  bool without_mpi;     /* the subcommand runs as one process without MPI: cli->comm is NULL */
};

/* All subcommands; the list ends with NULL. */
extern const wl_command *const wl_commands[];

/* Prints the help page of a subcommand. */
void wl_command_help(const wl_command *command, bool roff, FILE *out);

/* A function for `more_help` that prints every key of the configuration. */
void wl_command_help_keys(bool roff, FILE *out);

/* The subcommands. */
#define WL_COMMAND(name) extern const wl_command wl_command_##name;
#include "cli/commands.def"
#undef WL_COMMAND

#endif
