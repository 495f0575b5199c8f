/* completion.c - `warploom completion bash|zsh`: prints a completion script for a shell.
 *
 * A completion script has functions that list the possible next words. The functions of a script
 * are generated from the tables of commands, options and keys that the program itself uses. The
 * rest of the script is fixed text, which calls the generated functions. */
#include <string.h>

#include "cli/commands.h"
#include "cli/tool.h"
#include "train/schema.h"

/* Returns the words with which a shell can complete a value or an operand. `name` is the name of
 * the value in --help, such as FILE. The result is either a list of words separated by '|', or the
 * name of a kind of words, such as ":file" for file names. The fixed text of the scripts contains
 * the completion for each kind. */
static const char *kind_of(const char *name) {
  static const struct {
    const char *name, *kind;
  } kinds[] = {{"KEY=VALUE", ":key"}, {"FOLDER", ":folder"}, {"FAMILY", ":family"},
               {"N", ":text"},        {"X", ":text"},        {"T", ":text"},
               {"TEXT", ":text"},     {"COMMAND", ":text"},  {"LIST", ":text"},
               {"TIME", ":text"},     {"WHAT", ":text"}};
  if (!name || !*name) return ":none";
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(name, kinds[i].name) == 0) return kinds[i].kind;
  return strchr(name, '|') ? name : ":file";
}

/* Prints each word of a list, followed by the string `end`. The words of the list are separated by
 * '|'. Omits words written as {name: N}, because a shell cannot complete the number. */
static void print_words(const char *list, const char *end, FILE *out) {
  for (const char *word = list; word && *word;) {
    const int length = (int)strcspn(word, "|");
    if (word[0] != '{') fprintf(out, "%.*s%s", length, word, end);
    word += length + (word[length] == '|');
  }
}

/* ---- Functions for configuration keys, which the scripts of both shells contain
 * --------------- */

/* Returns true if the key `key` also belongs to a variant that precedes `variant` in the section's
 * list of variants. */
static bool is_repeated(const wl_section *section, const wl_variant *variant, const char *key) {
  for (const wl_variant *v = section->variants; v != variant; v++)
    for (const wl_option *o = v->options; o && o->key; o++)
      if (strcmp(o->key, key) == 0) return true;
  return false;
}

typedef void (*key_printer)(const wl_section *section, const wl_option *option, FILE *out);

static void for_each_option(const wl_section *section, const wl_option *options, key_printer print,
                            FILE *out) {
  for (const wl_option *o = options; o && o->key; o++) print(section, o, out);
}

static void print_key(const wl_section *section, const wl_option *option, FILE *out) {
  fprintf(out, " %s%s%s", section->name, section->name[0] ? "." : "", option->key);
}

static void print_keys(FILE *out) {
  for (const wl_section *s = wl_schema(); s->name; s++) {
    if (s->selector) fprintf(out, " %s.%s", s->name, s->selector);
    for_each_option(s, s->options, print_key, out);
    for (const wl_variant *v = s->variants; v && v->name; v++)
      for (const wl_option *o = v->options; o && o->key; o++)
        if (!is_repeated(s, v, o->key)) print_key(s, o, out);
  }
}

static void print_variants(const wl_section *section, FILE *out) {
  for (const wl_variant *v = section->variants; v && v->name; v++) fprintf(out, "%s ", v->name);
}

/* Prints a branch of a shell's `case` for a key, for example " window.weights) echo sum mean
 * last;;". */
static void print_values(const wl_section *section, const wl_option *option, FILE *out) {
  if (option->type != WL_OPT_BOOL && !option->choices) return;
  fputs("   ", out);
  print_key(section, option, out);
  fputs(") echo ", out);
  print_words(option->choices ? option->choices : "true|false", " ", out);
  fputs(";;\n", out);
}

/* Prints the functions that list keys and their choices. If several variants of a section have the
 * same key with different choices, the functions list the choices of the first variant. */
static void print_key_functions(FILE *out) {
  fputs("_warploom_keys() {\n  echo", out);
  print_keys(out);
  fputs("\n}\n_warploom_values() { # KEY\n  case $1 in\n", out);
  for (const wl_section *s = wl_schema(); s->name; s++) {
    if (s->selector) {
      fprintf(out, "    %s.%s) echo ", s->name, s->selector);
      print_variants(s, out);
      fputs(";;\n", out);
    }
    for_each_option(s, s->options, print_values, out);
    for (const wl_variant *v = s->variants; v && v->name; v++)
      for (const wl_option *o = v->options; o && o->key; o++)
        if (!is_repeated(s, v, o->key)) print_values(s, o, out);
  }
  fputs("  esac\n}\n_warploom_families() {\n  echo ", out);
  print_variants(wl_schema_section("task"), out);
  fputs("\n}\n", out);
}

/* ---- bash --------------------------------------------------------------------------------------- */

static const char bash_end[] =
    "# Completes the current word from a list of words. Adds no space after a word that ends in '='.\n"
    "_warploom_offer() { # WORDS\n"
    "  mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
    "  if [[ ${COMPREPLY[0]-} == *= ]]; then compopt -o nospace 2>/dev/null; fi\n"
    "}\n"
    "_warploom_kind() { # KIND\n"
    "  local keys\n"
    "  case $1 in\n"
    "    :none | :text) COMPREPLY=() ;;\n"
    "    :key) keys=\"$(_warploom_keys) \"; _warploom_offer \"${keys// /= }\" ;;\n"
    "    :family) _warploom_offer \"$(_warploom_families)\" ;;\n"
    "    :folder) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); compopt -o filenames 2>/dev/null ;;\n"
    "    :file) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames 2>/dev/null ;;\n"
    "    *) _warploom_offer \"${1//|/ }\" ;;\n"
    "  esac\n"
    "}\n"
    "_warploom() {\n"
    "  local at=$COMP_CWORD command=${COMP_WORDS[1]} cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
    "  COMPREPLY=()\n"
    "  if [ \"$at\" = 1 ]; then _warploom_offer \"$_warploom_commands $_warploom_tools help --help --version\"; return; fi\n"
    "  # bash treats '=' as a separate word, both in KEY=VALUE after --set and in --option=VALUE\n"
    "  if [ \"$cur\" = = ]; then cur='' at=$((at + 1)) before='='; fi\n"
    "  if [ \"$before\" = = ]; then\n"
    "    before=${COMP_WORDS[at-2]}\n"
    "    case $before in\n"
    "      --*) ;;\n"
    "      *) _warploom_offer \"$(_warploom_values \"$before\")\"; return ;;\n"
    "    esac\n"
    "  fi\n"
    "  if [ \"$command\" = help ]; then _warploom_offer \"$_warploom_commands\"; return; fi\n"
    "  case \" $_warploom_tools \" in *\" $command \"*) _warploom_kind :file; return ;; esac\n"
    "  if [[ $before == --* ]]; then\n"
    "    local kind\n"
    "    kind=$(_warploom_takes \"$command$before\")\n"
    "    if [ \"$kind\" != :none ]; then _warploom_kind \"$kind\"; return; fi\n"
    "  fi\n"
    "  case $cur in\n"
    "    -*) _warploom_offer \"$(_warploom_options \"$command\")\" ;;\n"
    "    *) _warploom_kind \"$(_warploom_operand \"$command\")\" ;;\n"
    "  esac\n"
    "}\n"
    "complete -F _warploom warploom\n";

static void print_bash_options(FILE *out) {
  fputs("_warploom_options() { # COMMAND\n  case $1 in\n", out);
  for (const wl_command *const *c = wl_commands; *c; c++) {
    fprintf(out, "    %s) echo", (*c)->name);
    for (const wl_argument *a = (*c)->arguments; a && a->name; a++) fprintf(out, " --%s", a->name);
    fputs(" --quiet --help ;;\n", out);
  }
  fputs("  esac\n}\n_warploom_takes() { # COMMAND--OPTION\n  case $1 in\n", out);
  for (const wl_command *const *c = wl_commands; *c; c++)
    for (const wl_argument *a = (*c)->arguments; a && a->name; a++)
      if (a->value)
        fprintf(out, "    %s--%s) echo '%s' ;;\n", (*c)->name, a->name, kind_of(a->value));
  fputs("    *) echo :none ;;\n  esac\n}\n_warploom_operand() { # COMMAND\n  case $1 in\n", out);
  for (const wl_command *const *c = wl_commands; *c; c++)
    fprintf(out, "    %s) echo '%s' ;;\n", (*c)->name, kind_of((*c)->operands));
  fputs("    *) echo :file ;;\n  esac\n}\n", out);
}

static void print_bash(FILE *out) {
  fputs(
      "# bash completion of the program warploom, generated by `warploom completion "
      "bash`.\n_warploom_commands='",
      out);
  for (const wl_command *const *c = wl_commands; *c; c++)
    fprintf(out, "%s%s", c == wl_commands ? "" : " ", (*c)->name);
  fprintf(out, "'\n_warploom_tools='%s'\n", wl_tool_names());
  print_key_functions(out);
  print_bash_options(out);
  fputs(bash_end, out);
}

/* ---- zsh ---------------------------------------------------------------------------------------- */

/* Prints a string that is inside single quotes in the script. Writes a single quote as '\'' and
 * puts a backslash before each character in `special`. */
static void print_quoted(const char *text, const char *special, FILE *out) {
  for (; *text; text++) {
    if (*text == '\'') {
      fputs("'\\''", out);
      continue;
    }
    if (strchr(special, *text)) fputc('\\', out);
    fputc(*text, out);
  }
}

/* Prints what zsh's function _arguments completes for a value of the kind `kind`. */
static void print_zsh_action(const char *kind, FILE *out) {
  if (strcmp(kind, ":key") == 0) fputs("_warploom_setting", out);
  else if (strcmp(kind, ":folder") == 0) fputs("_files -/", out);
  else if (strcmp(kind, ":family") == 0) fputs("($(_warploom_families))", out);
  else if (strcmp(kind, ":text") == 0) fputc(' ', out);
  else if (strcmp(kind, ":file") == 0) fputs("_files", out);
  else {
    fputc('(', out);
    print_words(kind, " ", out);
    fputc(')', out);
  }
}

static void print_zsh_option(const wl_argument *a, FILE *out) {
  const bool repeats = a->value && strcmp(kind_of(a->value), ":key") == 0;
  fprintf(out, " \\\n        '%s--%s%s[", repeats ? "*" : "", a->name, a->value ? "=" : "");
  print_quoted(a->doc, "[]\\", out);
  fputc(']', out);
  if (a->value) {
    fputc(':', out);
    print_quoted(a->value, ":", out);
    fputc(':', out);
    print_zsh_action(kind_of(a->value), out);
  }
  fputc('\'', out);
}

static void print_zsh_command(const wl_command *c, FILE *out) {
  fprintf(
      out,
      "    %s)\n      _arguments -S '--quiet[print only warnings and errors on standard error]' '--help[print "
      "the help page]'",
      c->name);
  for (const wl_argument *a = c->arguments; a && a->name; a++) print_zsh_option(a, out);
  if (c->operands[0]) {
    fputs(" \\\n        '*:", out);
    print_quoted(c->operands, ":", out);
    fputc(':', out);
    print_zsh_action(kind_of(c->operands), out);
    fputc('\'', out);
  }
  fputs(" ;;\n", out);
}

static const char zsh_setting[] =
    "_warploom_setting() {\n"
    "  local key=${PREFIX%%=*}\n"
    "  if compset -P 1 '*='; then\n"
    "    compadd -- $(_warploom_values $key)\n"
    "  else\n"
    "    compadd -S '=' -- $(_warploom_keys)\n"
    "  fi\n"
    "}\n";

static void print_zsh(FILE *out) {
  fputs("#compdef warploom\n# zsh completion of the program warploom, generated by `warploom completion zsh`.\n",
        out);
  print_key_functions(out);
  fputs(zsh_setting, out);
  fputs("_warploom() {\n  local -a commands\n  commands=(\n", out);
  for (const wl_command *const *c = wl_commands; *c; c++) {
    fprintf(out, "    '%s:", (*c)->name);
    print_quoted((*c)->summary, ":\\", out);
    fputs("'\n", out);
  }
  fprintf(
      out,
      "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n"
      "    compadd -X tool -- %s\n    compadd -- help --help --version\n    return\n  fi\n"
      "  shift words\n  (( CURRENT-- ))\n  case $words[1] in\n    help) _describe command commands ;;\n",
      wl_tool_names());
  for (const wl_command *const *c = wl_commands; *c; c++) print_zsh_command(*c, out);
  fputs("    *) _files ;;\n  esac\n}\n_warploom \"$@\"\n", out);
}

/* ---- The command -------------------------------------------------------------------------------- */

static wl_status run_completion(wl_cli *cli, int argc, char **argv) {
  (void)cli, (void)argc;
  if (strcmp(argv[0], "bash") == 0) print_bash(stdout);
  else if (strcmp(argv[0], "zsh") == 0) print_zsh(stdout);
  else
    return WL_FAIL(WL_ERR_USAGE, "completion %s: this shell is unknown; accepted are bash and zsh",
                   argv[0]);
  return WL_OK;
}

const wl_command wl_command_completion = {
    "completion",
    "bash|zsh",
    "prints a completion script for a shell",
    1,
    1,
    NULL,
    NULL,
    false,
    run_completion,
    "Prints a script for bash or zsh. With this script, the shell completes commands, options, configuration "
    "keys and the values of keys. An installation has both scripts in the folders from which the shells load "
    "them. Without an installation, load the script in the start-up file of the shell.",
    "source <(warploom completion bash)                        # in ~/.bashrc\n"
    "warploom completion zsh > ~/.zfunc/_warploom              # a folder of fpath\n",
    true};
