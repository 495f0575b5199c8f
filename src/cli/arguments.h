/* arguments.h - parses command-line options. A table lists the options of a subcommand. */
#ifndef WL_CLI_ARGUMENTS_H
#define WL_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/options.h"
#include "base/status.h"

typedef struct wl_argument {
  const char *name;  /* name without dashes, for example "stop-after" for --stop-after */
  const char *value; /* name of the option's value in --help, for example "N"; NULL for a flag */
  const char *doc;   /* text that --help prints for the option */
} wl_argument;

/* WL_ARGUMENTS_MAX: largest number of options on a command line. WL_ARGUMENT_TABLE_MAX: largest
 * number of options in a table. */
enum { WL_ARGUMENTS_MAX = 256, WL_ARGUMENT_TABLE_MAX = 64 };

/* The options of one command line, in the order in which the user gave them. Each name points into
 * the table, and each value points into argv. */
typedef struct wl_arguments {
  const wl_argument *table;
  int count;
  struct {
    const char *name, *value;
  } given[WL_ARGUMENTS_MAX];
} wl_arguments;

/* Parses the options argv[1 .. argc) of the subcommand argv[0]. Moves the operands to the end of
 * argv and stores the index of the first operand in *operands. Returns WL_ERR_USAGE if an option is
 * unknown or if a value is missing or superfluous. For an unknown option, the message suggests the
 * option with the most similar name. */
wl_status wl_arguments_parse(const wl_argument *table, int argc, char **argv, wl_arguments *out,
                             int *operands);

/* Returns true if the option is given on the command line. */
bool wl_argument_given(const wl_arguments *arguments, const char *name);
/* Returns WL_ERR_USAGE if the command line has one of the options in the list `names`. The last
 * element of `names` is NULL. The error message consists of the option, a colon and the string
 * `why`. */
wl_status wl_arguments_refuse(const wl_arguments *arguments, const char *const *names,
                              const char *why);
/* Returns the last value that is given for an option, or `fallback` if the option is not given. */
const char *wl_argument_text(const wl_arguments *arguments, const char *name, const char *fallback);
/* Writes to `values` all values of an option that may be repeated, such as --set. The values have
 * the order of the command line. Returns the number of values. */
int wl_argument_all(const wl_arguments *arguments, const char *name,
                    const char *values[WL_ARGUMENTS_MAX]);
/* Converts the values of all --set options, in the order of the command line, to overrides of a
 * configuration. Returns the number of overrides. */
int wl_argument_overrides(const wl_arguments *arguments, wl_override overrides[WL_ARGUMENTS_MAX]);
/* Reads the last value of an option as an integer from `min` to `max`. Does not change *out if the
 * option is not given. Returns WL_ERR_USAGE if the value is not an integer or is out of range. */
wl_status wl_argument_int(const wl_arguments *arguments, const char *name, int64_t min, int64_t max,
                          int64_t *out);
/* Reads the last value of an option as a finite real number from `min` to `max`. Does not change
 * *out if the option is not given. Returns WL_ERR_USAGE if the value is not a number or is out of
 * range. */
wl_status wl_argument_real(const wl_arguments *arguments, const char *name, double min, double max,
                           double *out);

/* Prints each option of the table and the option's help text. If `roff` is true, the output is the
 * source of a man page. If `roff` is false, the output is plain text. */
void wl_arguments_help(const wl_argument *table, bool roff, FILE *out);

#endif
