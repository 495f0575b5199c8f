/* commands.h - the type of a subcommand, and the arguments that main passes to it.
 *
 * One file for each, src/cli/<name>.c, defines wl_command_<name>; a line in commands.def lists it.
 * main has parsed the options and started MPI before run is called. */
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
  const char *operands; /* "CONFIG", "[FILE]"; "" for none */
  const char *summary;  /* one phrase, no full stop: "meta-trains an optimizer" */
  int min_operands, max_operands;
  /* ends with name NULL; NULL: none. Every subcommand has --help and --quiet */
  const wl_argument *arguments;
  /* Prints the keys of the configuration after the options of --help. roff: as man-page source. NULL: nothing. */
  void (*more_help)(bool roff, FILE *out);
  /* runs in float64: the float32 program executes warploom64 before MPI starts */
  bool in_double;
  /* argv[0 .. argc) are the operands, min_operands <= argc <= max_operands. Collective. A failure that is
   * not marked as shared (wl_comm_agree marks it) ends all ranks by wl_comm_abort, because the others may
   * be waiting in a collective for this one. */
  wl_status (*run)(wl_cli *cli, int argc, char **argv);
  const char *about;    /* its description, in sentences */
  const char *examples; /* lines of shell, each ending with a newline */
  bool without_mpi;     /* one process that never starts MPI: cli->comm is NULL */
};

/* All subcommands, ends with NULL. */
extern const wl_command *const wl_commands[];

/* The help page of a subcommand. */
void wl_command_help(const wl_command *command, bool roff, FILE *out);

/* A `more_help`: every key of the configuration. */
void wl_command_help_keys(bool roff, FILE *out);

/* The subcommands. */
#define WL_COMMAND(name) extern const wl_command wl_command_##name;
#include "cli/commands.def"
#undef WL_COMMAND

#endif
