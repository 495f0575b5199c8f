/* arguments.c - parses command-line options with getopt_long. A table lists the options of a
 * subcommand. */
#include "cli/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"

enum {
  HELP_INDENT = 25,
  /* getopt_long returns FIRST_CODE + i for option i of the table. FIRST_CODE is larger than every
   * character code, because getopt_long also returns the characters '?' and ':' to report
   * errors. */
  FIRST_CODE = 256
};

/* Converts the table to `options`, the array that getopt_long reads. Returns the number of
 * options. */
static int getopt_table(const wl_argument *table,
                        struct option options[WL_ARGUMENT_TABLE_MAX + 1]) {
  int count = 0;
  for (; table && table[count].name && count < WL_ARGUMENT_TABLE_MAX; ++count)
    options[count] =
        (struct option){.name = table[count].name,
                        .has_arg = table[count].value ? required_argument : no_argument,
                        .val = FIRST_CODE + count};
  options[count] = (struct option){0};
  return count;
}

static wl_status unknown_option(const wl_argument *table, int count, const char *command,
                                const char *text) {
  char word[64];
  const char *names[WL_ARGUMENT_TABLE_MAX];
  for (int i = 0; i < count; ++i) names[i] = table[i].name;
  snprintf(word, sizeof word, "%.*s", (int)strcspn(text, "="), text);
  const char *const start = word + strspn(word, "-");
  const char *const near = strncmp(word, "--", 2) == 0 ? wl_suggest(start, names, count) : NULL;
  return WL_FAIL(WL_ERR_USAGE, "unknown option '%s'%s%s%s; 'warploom %s --help' lists all options",
                 word, near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "",
                 command);
}

/* Reports an error that getopt_long found in argv[optind - 1]. Returns WL_ERR_USAGE. */
static wl_status parse_failure(const wl_argument *table, int count, char **argv, int code) {
  const char *const text = argv[optind - 1];
  const int known = optopt >= FIRST_CODE && optopt < FIRST_CODE + count ? optopt - FIRST_CODE : -1;
  if (code == ':' && known >= 0)
    return WL_FAIL(WL_ERR_USAGE, "option --%s needs a value; the form is --%s %s", table[known].name,
                   table[known].name, table[known].value);
  if (known >= 0)
    return WL_FAIL(WL_ERR_USAGE, "option --%s does not accept a value, got '%s'", table[known].name, text);
  return unknown_option(table, count, argv[0], text);
}

wl_status wl_arguments_parse(const wl_argument *table, int argc, char **argv, wl_arguments *out,
                             int *operands) {
  struct option options[WL_ARGUMENT_TABLE_MAX + 1];
  const int count = getopt_table(table, options);
  memset(out, 0, sizeof *out);
  out->table = table;
  optind = 0; /* with optind = 0, getopt_long of glibc starts with a new command line */
  opterr = 0;
  for (int code; (code = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    const int index = code - FIRST_CODE;
    if (index < 0 || index >= count) return parse_failure(table, count, argv, code);
    if (out->count == WL_ARGUMENTS_MAX)
      return WL_FAIL(WL_ERR_USAGE, "the command line has more than %d options; put settings into the "
                                   "configuration", WL_ARGUMENTS_MAX);
    out->given[out->count].name = table[index].name;
    out->given[out->count++].value = optarg;
  }
  *operands = optind;
  return WL_OK;
}

bool wl_argument_given(const wl_arguments *arguments, const char *name) {
  for (int i = 0; i < arguments->count; ++i)
    if (strcmp(arguments->given[i].name, name) == 0) return true;
  return false;
}

wl_status wl_arguments_refuse(const wl_arguments *arguments, const char *const *names,
                              const char *why) {
  for (; *names; names++)
    if (wl_argument_given(arguments, *names))
      return WL_FAIL(WL_ERR_USAGE, "--%s: %s", *names, why);
  return WL_OK;
}

const char *wl_argument_text(const wl_arguments *arguments, const char *name,
                             const char *fallback) {
  for (int i = arguments->count - 1; i >= 0; --i)
    if (strcmp(arguments->given[i].name, name) == 0) return arguments->given[i].value;
  return fallback;
}

int wl_argument_all(const wl_arguments *arguments, const char *name,
                    const char *values[WL_ARGUMENTS_MAX]) {
  int count = 0;
  for (int i = 0; i < arguments->count; ++i)
    if (strcmp(arguments->given[i].name, name) == 0) values[count++] = arguments->given[i].value;
  return count;
}

int wl_argument_overrides(const wl_arguments *arguments, wl_override overrides[WL_ARGUMENTS_MAX]) {
  const char *lines[WL_ARGUMENTS_MAX];
  const int count = wl_argument_all(arguments, "set", lines);
  for (int i = 0; i < count; ++i)
    overrides[i] = (wl_override){.kind = WL_OVERRIDE_LINE, .text = lines[i]};
  return count;
}

wl_status wl_argument_int(const wl_arguments *arguments, const char *name, int64_t min, int64_t max,
                          int64_t *out) {
  const char *const text = wl_argument_text(arguments, name, NULL);
  if (!text) return WL_OK;
  char *end = NULL;
  errno = 0;
  const long long value = strtoll(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0')
    return WL_FAIL(WL_ERR_USAGE, "option --%s: the value must be an integer, but it is '%s'", name, text);
  if (value < min || value > max)
    return WL_FAIL(WL_ERR_USAGE,
                   "option --%s: %s is out of range; accepted are integers from %" PRId64 " to %" PRId64, name,
                   text, min, max);
  *out = value;
  return WL_OK;
}

wl_status wl_argument_real(const wl_arguments *arguments, const char *name, double min, double max,
                           double *out) {
  const char *const text = wl_argument_text(arguments, name, NULL);
  if (!text) return WL_OK;
  char *end = NULL;
  const double value = strtod(text, &end);
  if (end == text || *end != '\0' || !isfinite(value))
    return WL_FAIL(WL_ERR_USAGE, "option --%s: the value must be a number, but it is '%s'", name, text);
  if (!(value >= min && value <= max))
    return WL_FAIL(WL_ERR_USAGE, "option --%s: %s is out of range; accepted are numbers from %g to %g", name,
                   text, min, max);
  *out = value;
  return WL_OK;
}

void wl_arguments_help(const wl_argument *table, bool roff, FILE *out) {
  for (const wl_argument *a = table; a && a->name; ++a) {
    if (roff) {
      fprintf(out, ".TP\n.B \\-\\-%s%s%s\n", a->name, a->value ? " " : "",
              a->value ? a->value : "");
      wl_help_roff(a->doc, out);
      fputc('\n', out);
      continue;
    }
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", a->name, a->value ? " " : "", a->value ? a->value : "");
    fprintf(out, "  %-22s ", left);
    if (strlen(left) > 22) fprintf(out, "\n%*s", HELP_INDENT, "");
    wl_help_wrap(a->doc, HELP_INDENT, out);
    fputc('\n', out);
  }
}
