/* main.c - defines the main function, which finds the subcommand, parses its options, starts MPI
 * and runs the subcommand. The exit codes of the program are the codes of sysexits.h. Only
 * functions of this file and the signal handlers of signals.c end the process. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/build_info.h"
#include "base/float_state.h"
#include "base/isa.h"
#include "base/log.h"
#include "base/options.h"
#include "base/path.h"
#include "base/real.h"
#include "base/suggest.h"
#include "cli/commands.h"
#include "cli/environment.h"
#include "cli/float64_program.h"
#include "cli/signals.h"
#include "cli/tool.h"
#include "io/h5_library.h"
#include "tensor/gemm.h"
#include "train/schema.h"

enum { COMMANDS_MAX = 32 };

/* Reports a failure before MPI starts and returns the exit code. All ranks have the same command
 * line and fail in the same way, so only rank 0 prints the message. The other ranks wait for 0.3 s
 * before they exit, because a launcher ends the job at the first exit. */
static int fail_early(wl_status status) {
  const struct timespec pause = {.tv_nsec = 300000000};
  if (wl_environment_rank() == 0) wl_log_error("%s", wl_last_error());
  else nanosleep(&pause, NULL);
  return (int)status;
}

/* Reports a failure that only this rank has, and ends all ranks, because other ranks could wait for
 * this rank forever. */
static void end_all_ranks(wl_comm *comm, int rank, wl_status status) {
  wl_log_error("rank %d: %s", rank, wl_last_error());
  wl_comm_abort(comm, (int)status);
}

static void print_usage(FILE *out) {
  fputs(
      "Usage: warploom COMMAND [OPTIONS] [OPERANDS]\n"
      "       mpirun -n RANKS warploom COMMAND ...\n\n"
      "Warploom meta-trains learned optimizers on clusters.\n\nCommands:\n",
      out);
  for (const wl_command *const *c = wl_commands; *c; ++c)
    fprintf(out, "  %-10s %s\n", (*c)->name, (*c)->summary);
  fputs("\nTools in Python: ", out);
  wl_help_wrap(wl_tool_names(), 17, out);
  fputs(
      "\n\nTo start: 'warploom init --task mlp' prints a configuration.\n"
      "'warploom train --list WHAT' lists tasks, rules, estimators, preconditioners or initialisations.\n"
      "The folder jobs/ has examples and suites of tasks.\n"
      "\n'warploom COMMAND --help' explains a command.\n"
      "'warploom --version' prints the version, the build, the libraries and the kernels.\n",
      out);
}

/* Writes to `text` the names of the kernels that this processor can run, for example "baseline,
 * avx2". */
static void list_kernels(char *text, size_t size) {
  size_t used = 0;
  for (wl_isa isa = WL_ISA_BASELINE; isa <= wl_isa_widest() && used < size; isa++)
    used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", wl_isa_name(isa));
}

static void print_version(void) {
  char kernels[64], path[PATH_MAX], real_path[PATH_MAX];
  list_kernels(kernels, sizeof kernels);
  printf("warploom %s\nrevision   %s\nbuild      %s, %s; float64 program: %s\n", wl_build_version(),
         wl_build_revision(), wl_build_type(), WL_REAL_NAME,
         wl_float64_program_find(path) ? realpath(path, real_path) : "not installed");
  printf("compiler   %s\nprocessor  %s\n", wl_build_compiler(), wl_build_processor());
  printf("kernels    %s (this processor can run %s; the environment variable WARPLOOM_ISA selects the "
         "kernels)\n", wl_isa_name(wl_isa_choose()), kernels);
  printf("MPI        %s\nHDF5       %s (built with %s)\nBLAS       %s\n", wl_comm_library(), wl_h5_version(),
         wl_build_hdf5(), wl_build_blas());
}

static bool asks_for_help(const char *argument) {
  return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0 ||
         strcmp(argument, "help") == 0;
}

/* Handles the arguments that need no subcommand: --help, -h, help and --version. Returns false for
 * any other argument. */
static bool handled_globally(int argc, char **argv) {
  const bool help = asks_for_help(argv[1]);
  const bool version = strcmp(argv[1], "--version") == 0;
  if ((!help && !version) || argc > 2) return false;
  if (wl_environment_rank() != 0) return true;
  if (help) print_usage(stdout);
  else print_version();
  return true;
}

static wl_status find_command(const char *name, const wl_command **out) {
  const char *names[COMMANDS_MAX];
  int count = 0;
  for (; count < COMMANDS_MAX && wl_commands[count]; ++count) {
    names[count] = wl_commands[count]->name;
    if (strcmp(name, names[count]) != 0) continue;
    *out = wl_commands[count];
    return WL_OK;
  }
  const char *const near = wl_suggest(name, names, count);
  if (name[0] == '-')
    return WL_FAIL(WL_ERR_USAGE,
                   "unknown option '%s'; before the command, only --help and --version are accepted; options of a "
                   "command follow the command",
                   name);
  return WL_FAIL(WL_ERR_USAGE, "unknown command '%s'%s%s%s; 'warploom --help' lists all commands", name,
                 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Fills `table` with the options of the subcommand, followed by --quiet and --help, which are
 * options of all subcommands. */
static void full_table(const wl_command *command, wl_argument table[WL_ARGUMENT_TABLE_MAX]) {
  int count = 0;
  for (const wl_argument *a = command->arguments; a && a->name && count < WL_ARGUMENT_TABLE_MAX - 3;
       ++a)
    table[count++] = *a;
  table[count++] = (wl_argument){"quiet", NULL, ""};
  table[count++] = (wl_argument){"help", NULL, ""};
  table[count] = (wl_argument){0};
}

static wl_status check_operands(const wl_command *command, int given) {
  if (given >= command->min_operands && given <= command->max_operands) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "%s operands: the form is 'warploom %s [OPTIONS]%s%s'; see 'warploom %s --help'",
                 given < command->min_operands ? "missing" : "too many", command->name,
                 command->operands[0] ? " " : "", command->operands, command->name);
}

/* Returns the name of the file in a run directory that the command may replace, or NULL if there is
 * no such file. */
static const char *own_file(const wl_command *command) {
  if (strcmp(command->name, "export") == 0) return "optimizer.h5";
  return strcmp(command->name, "eval") == 0 ? "evaluation.h5" : NULL;
}

/* Returns true if `value` is the name that the help page uses for the value of the option
 * a->given[i], for example FILE. */
static bool takes(const wl_arguments *a, int i, const char *value) {
  const wl_argument *option = a->table;
  while (strcmp(option->name, a->given[i].name) != 0) option++;
  return option->value && strcmp(option->value, value) == 0;
}

/* `output` is the value of the option a->given[at]. Returns an error if `output` is also the file
 * of an earlier option, or the suite that the command reads. */
static wl_status check_apart(const wl_arguments *a, const char *output, int at) {
  for (int i = 0; i < a->count; i++) {
    const char *const other = a->given[i].value;
    const bool written = i < at && takes(a, i, "FILE");
    if ((written || takes(a, i, "SUITE")) && wl_same_path(output, other) &&
        strcmp(a->given[i].name, a->given[at].name) != 0)
      return WL_FAIL(WL_ERR_CANNOT_CREATE, "--%s and --%s name the same file, '%s': choose two different names",
                     a->given[i].name, a->given[at].name, output);
  }
  return WL_OK;
}

/* Returns an error if the command would write one of its outputs to its input file, to a file of a
 * run, or to the file of another output. */
static wl_status check_outputs(const wl_cli *cli, const char *input) {
  const wl_arguments *const a = &cli->arguments;
  for (int i = 0; i < a->count; i++) {
    const char *const output = a->given[i].value;
    if (!takes(a, i, "FILE") || strcmp(output, "-") == 0) continue;
    WL_TRY(wl_check_output(output, input, own_file(cli->command)));
    WL_TRY(check_apart(a, output, i));
    const bool json = strcmp(a->given[i].name, "json") == 0 ||
                      (wl_argument_given(a, "speedup") && strcmp(a->given[i].name, "output") == 0);
    if (!json) WL_TRY(wl_check_replaceable(output));
  }
  return WL_OK;
}

/* Writes the data that is still in the buffer of standard output. */
static wl_status flush_output(void) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return WL_OK;
  return WL_FAIL(WL_ERR_IO, "standard output could not be written completely; check whether the disk is full "
                            "or the pipe was closed");
}

/* Writes the buffer of standard output and returns the exit code of the program. */
static int end_printing(void) {
  const wl_status status = flush_output();
  return status == WL_OK ? EXIT_SUCCESS : fail_early(status);
}

/* Reports the status of a finished subcommand, ends MPI and returns the exit code of the program. A
 * failure of only some ranks ends all ranks. */
static int conclude(wl_cli *cli, wl_status status) {
  const bool together = wl_error_is_shared() || wl_comm_size(cli->comm) == 1;
  const bool failed = status != WL_OK && status != WL_TRY_AGAIN;
  if (status != WL_OK && !together) end_all_ranks(cli->comm, wl_comm_rank(cli->comm), status);
  const bool speaks = wl_comm_rank(cli->comm) == 0;
  if (failed && speaks) wl_log_error("%s", wl_last_error());
  if (status == WL_TRY_AGAIN && wl_last_error()[0]) wl_log_info("%s", wl_last_error());
  wl_comm_finish(&cli->comm);
  const wl_status written = flush_output();
  if (status != WL_OK || written == WL_OK) return (int)status;
  wl_log_error("%s", wl_last_error());
  return (int)written;
}

static bool computes(const wl_command *command) {
  static const char *const names[] = {"train", "eval", "check", "bench"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    if (strcmp(command->name, names[i]) == 0) return true;
  return false;
}

/* Warns if OpenBLAS uses slow kernels or if ranks use different kernels. Returns an error if a
 * matrix product of OpenBLAS is wrong. Collective. */
static wl_status prepare(wl_comm *comm) {
  WL_TRY(wl_environment_report(comm));
  return wl_comm_agree(comm, wl_gemm_check());
}

/* Runs a subcommand that does not use MPI, and returns the exit code. */
static int run_alone(wl_cli *cli, int argc, char **argv) {
  if (wl_environment_ranks() > 1)
    return fail_early(WL_FAIL(WL_ERR_USAGE, "'warploom %s' does not use MPI and runs as one process; call it "
                                            "without mpirun",
                              cli->command->name));
  wl_log_setup(0, cli->quiet);
  const wl_status status = cli->command->run(cli, argc, argv);
  return status == WL_OK ? end_printing() : fail_early(status);
}

/* Prints the help page of the subcommand. If `configuration` is not NULL, first opens the plug-ins
 * of this configuration, so that the help page includes their keys. */
static int show_help(const wl_cli *cli, bool man, const char *configuration) {
  wl_override overrides[WL_ARGUMENTS_MAX];
  wl_config *config = NULL;
  if (configuration && cli->command->more_help) {
    const int n = wl_argument_overrides(&cli->arguments, overrides);
    const wl_status status = wl_config_read(configuration, wl_schema(), overrides, n, &config);
    if (status != WL_OK) return fail_early(status);
    wl_config_destroy(&config);
  }
  if (wl_environment_rank() == 0) wl_command_help(cli->command, man, stdout);
  return end_printing();
}

/* Runs the subcommand argv[0] and returns the exit code. `all` is the original command line.
 * warploom64 is executed with `all`, because getopt_long changes the order of argv. */
static int run_command(const wl_command *command, int argc, char **argv, char **all) {
  wl_argument table[WL_ARGUMENT_TABLE_MAX];
  full_table(command, table);
  wl_cli cli = {.command = command};
  int operands = argc;
  const bool man = argc == 2 && strcmp(argv[1], "--help=man") == 0;
  const bool help = man || (argc == 2 && asks_for_help(argv[1]));
  const wl_status parsed =
      help ? WL_OK : wl_arguments_parse(table, argc, argv, &cli.arguments, &operands);
  if (parsed != WL_OK) return fail_early(parsed);
  if (help || wl_argument_given(&cli.arguments, "help"))
    return show_help(&cli, man, operands < argc ? argv[operands] : NULL);
  const wl_status operands_ok = check_operands(command, argc - operands);
  if (operands_ok != WL_OK) return fail_early(operands_ok);
  const wl_status outputs_ok = check_outputs(&cli, operands < argc ? argv[operands] : NULL);
  if (outputs_ok != WL_OK) return fail_early(outputs_ok);
#ifndef WL_DOUBLE
  if (command->in_double) return fail_early(wl_float64_program_execute(all));
#else
  (void)all;
#endif

  cli.quiet = wl_argument_given(&cli.arguments, "quiet");
  if (command->without_mpi) return run_alone(&cli, argc - operands, argv + operands);
  wl_signals_prepare(wl_signals_stop_training(command->arguments), wl_environment_rank());
  const wl_status started = wl_comm_start(&argc, &argv, &cli.comm);
  if (started != WL_OK && !wl_error_is_shared())
    end_all_ranks(NULL, wl_environment_rank(), started);
  if (started != WL_OK) return fail_early(started);
  wl_log_setup(wl_comm_rank(cli.comm), cli.quiet);
  wl_gemm_use_one_thread();
  const wl_status ready = computes(command) ? prepare(cli.comm) : WL_OK;
  if (ready != WL_OK) return conclude(&cli, ready);
  return conclude(&cli, command->run(&cli, argc - operands, argv + operands));
}

int main(int argc, char **argv) {
  /* receives the previous floating-point state, which main does not restore, because the new state
   * must hold for the whole program */
  wl_float_state of_the_system;
  wl_float_state_enter(&of_the_system);
  wl_environment_prepare(argv);
  if (argc < 2) {
    if (wl_environment_rank() == 0) print_usage(stderr);
    return WL_ERR_USAGE;
  }
  if (handled_globally(argc, argv)) return end_printing();
  const wl_command *command = NULL;
  /* true for `warploom help COMMAND`, which means `warploom COMMAND help` */
  const bool turned = argc == 3 && asks_for_help(argv[1]);
  const wl_status status = find_command(argv[turned ? 2 : 1], &command);
  if (status != WL_OK && !turned && wl_tool_exists(argv[1]))
    return fail_early(wl_tool_execute(argv + 1));
  if (status != WL_OK) return fail_early(status);
  char *swapped[] = {argv[0], argv[2], argv[1], NULL};
  return run_command(command, argc - 1, (turned ? swapped : argv) + 1, argv);
}
