/* commands.c - lists all subcommands and prints their help pages. */
#include "cli/commands.h"

#include <ctype.h>
#include <string.h>

#include "base/build_info.h"
#include "base/options.h"
#include "train/schema.h"

const wl_command *const wl_commands[] = {
#define WL_COMMAND(name) &wl_command_##name,
#include "cli/commands.def"
#undef WL_COMMAND
    NULL};

void wl_command_help_keys(bool roff, FILE *out) {
  fputs(
      roff ? ".SH CONFIGURATION\n" : "\nKeys of the configuration, a YAML file (--set KEY=VALUE overrides a "
                                     "key):\n\n",
      out);
  wl_sections_help(wl_schema(), roff, out);
}

/* Prints the lines of examples, each indented by two spaces. */
static void print_examples(const char *lines, FILE *out) {
  for (const char *line = lines; *line;) {
    const int length = (int)strcspn(line, "\n");
    fprintf(out, "  %.*s\n", length, line);
    line += length + (line[length] == '\n');
  }
}

static void help_text(const wl_command *command, FILE *out) {
  fprintf(out, "Usage: warploom %s [OPTIONS]%s%s\n\n", command->name,
          command->operands[0] ? " " : "", command->operands);
  wl_help_wrap(command->about, 0, out);
  fputs("\n\nExamples:\n", out);
  print_examples(command->examples, out);
  fputs("\nOptions:\n", out);
  wl_arguments_help(command->arguments, false, out);
  fputs(
      "  --quiet                print only warnings and errors on standard error\n"
      "  --help                 print this page (--help=man prints the source of a man page)\n",
      out);
}

static void help_roff(const wl_command *command, FILE *out) {
  char title[32];
  size_t i = 0;
  for (; command->name[i] && i + 1 < sizeof title; ++i)
    title[i] = (char)toupper((unsigned char)command->name[i]);
  title[i] = '\0';
  fprintf(out, ".TH WARPLOOM-%s 1 \"\" \"Warploom %s\"\n.SH NAME\nwarploom\\-%s \\- %s\n", title,
          wl_build_version(), command->name, command->summary);
  fprintf(out, ".SH SYNOPSIS\n.B warploom %s\n[OPTIONS] %s\n.SH DESCRIPTION\n", command->name,
          command->operands);
  wl_help_roff(command->about, out);
  fputs("\n.SH EXAMPLES\n.nf\n", out);
  wl_help_roff(command->examples, out);
  fputs(".fi\n.SH OPTIONS\n", out);
  wl_arguments_help(command->arguments, true, out);
  fputs(
      ".TP\n.B \\-\\-quiet\nprint only warnings and errors on standard error\n.TP\n.B \\-\\-help\nprint the "
      "help page\n",
      out);
}

void wl_command_help(const wl_command *command, bool roff, FILE *out) {
  if (roff) help_roff(command, out);
  else help_text(command, out);
  if (command->more_help) command->more_help(roff, out);
}
