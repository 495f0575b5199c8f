/* arguments.h - parses command-line options that a table lists. */
#ifndef WL_CLI_ARGUMENTS_H
#define WL_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/options.h"
#include "base/status.h"

typedef struct wl_argument {
  const char *name;  /* name without dashes: "stop-after" for --stop-after */
  const char *value; /* name of its value in --help, "N"; NULL: a flag */
  const char *doc;   /* one sentence */
} wl_argument;

/* Largest numbers of options on a command line, and of entries in a table. */
enum { WL_ARGUMENTS_MAX = 256, WL_ARGUMENT_TABLE_MAX = 64 };

/* The options of one command line, in the order given. Their texts point into argv. */
typedef struct wl_arguments {
  const wl_argument *table;
  int count;
  struct {
    const char *name, *value;
  } given[WL_ARGUMENTS_MAX];
} wl_arguments;

/* Parses the options argv[1 .. argc) of the subcommand argv[0]. Operands are moved to the end, and *operands is the
 * index of the first operand. WL_ERR_USAGE for an unknown option (the message suggests the nearest one), and for a
 * missing or superfluous value. */
wl_status wl_arguments_parse(const wl_argument *table, int argc, char **argv, wl_arguments *out,
                             int *operands);

bool wl_argument_given(const wl_arguments *arguments, const char *name);
/* Returns the last value given for an option, else `fallback`. */
const char *wl_argument_text(const wl_arguments *arguments, const char *name, const char *fallback);
/* Lists all values of a repeated option, such as --set, in order; returns their number. */
int wl_argument_all(const wl_arguments *arguments, const char *name,
                    const char *values[WL_ARGUMENTS_MAX]);
/* Lists the values of all --set, in order, as overrides of a configuration; returns their number. */
int wl_argument_overrides(const wl_arguments *arguments, wl_override overrides[WL_ARGUMENTS_MAX]);
/* Reads the last value of an option as a number from min to max; *out is unchanged if the option is not given. */
wl_status wl_argument_int(const wl_arguments *arguments, const char *name, int64_t min, int64_t max,
                          int64_t *out);
wl_status wl_argument_real(const wl_arguments *arguments, const char *name, double min, double max,
                           double *out);

/* Prints the table for --help, or as man-page source. */
void wl_arguments_help(const wl_argument *table, bool roff, FILE *out);

#endif
