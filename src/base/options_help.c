/* options_help.c - prints the table of configuration keys for --help and for the man page. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/options_impl.h"
#include "base/plugin_open.h"

/* Returns the width of the terminal in columns, but at least LEAST and at most MOST. Returns USUAL
 * if standard output is not a terminal. */
static int help_width(void) {
  enum { USUAL = 80, LEAST = 60, MOST = 120 };
  struct winsize size = {0};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return USUAL;
  return size.ws_col < LEAST ? LEAST : size.ws_col > MOST ? MOST : size.ws_col;
}

static const char *type_name(wl_option_type type) {
  switch (type) {
    case WL_OPT_INT: return "integer";
    case WL_OPT_REAL: return "number";
    case WL_OPT_BOOL: return "true or false";
    case WL_OPT_STRING: return "text";
    case WL_OPT_CHOICE: return "";
    case WL_OPT_INTS: return "list of integers";
    case WL_OPT_REALS: return "list of numbers";
    case WL_OPT_STRINGS: return "list of texts";
    case WL_OPT_CHOICE_OR_REALS: return "list of numbers";
  }
  return "";
}

/* Writes the accepted values, such as "sum | mean | last, or list of numbers" or "integer, at least 1, steps". */
static void write_accepted(const wl_option *option, FILE *out) {
  char storage[512], range[96];
  const char *words[32];
  const int count = wl_choices_split(option->choices, storage, sizeof storage, words, 32);
  for (int i = 0; i < count; ++i) fprintf(out, "%s%s", i == 0 ? "" : " | ", words[i]);
  if (option->type == WL_OPT_CHOICE_OR_REALS) fputs(", or ", out);
  fputs(type_name(option->type), out);
  if (option->flags & WL_KEY_DRAW) fputs(" or distribution", out);
  if (wl_range_text(option, range, sizeof range)[0]) fprintf(out, ", %s", range);
  if (option->units && option->units[0] && strcmp(option->units, "1") != 0)
    fprintf(out, ", %s", option->units);
}

/* Escapes the characters that have a special meaning in roff: dashes, backslashes, and a dot or an
 * apostrophe at the start of a line. */
void wl_help_roff(const char *text, FILE *out) {
  bool begins = true;
  for (; *text; ++text) {
    if (begins && (*text == '.' || *text == '\'')) fputs("\\&", out);
    begins = *text == '\n';
    if (*text == '\\') fputs("\\e", out);
    else if (*text == '-') fputs("\\-", out);
    else fputc(*text, out);
  }
}

void wl_help_wrap(const char *text, int indent, FILE *out) {
  const int width = help_width();
  int column = indent;
  for (const char *word = text; *word;) {
    const int length = (int)strcspn(word, " ");
    if (column > indent && column + 1 + length > width) {
      fprintf(out, "\n%*s", indent, "");
      column = indent;
    } else if (column > indent) {
      fputc(' ', out);
      column++;
    }
    fprintf(out, "%.*s", length, word);
    column += length;
    word += length + (word[length] == ' ');
  }
}

/* Prints the text as source of a man page, or as lines of the terminal that begin in column
 * `indent`. */
static void print_text(const char *text, bool roff, int indent, FILE *out) {
  if (roff) wl_help_roff(text, out);
  else wl_help_wrap(text, indent, out);
}

/* Prints the accepted values and the default of an option, in parentheses. */
static void print_values(const wl_option *option, bool roff, FILE *out) {
  char *text = NULL;
  size_t size = 0;
  FILE *const draft = open_memstream(&text, &size);
  if (!draft) return;
  fputc('(', draft);
  write_accepted(option, draft);
  if (!option->fallback) fputs("; required)", draft);
  else fprintf(draft, "; default %s)", option->fallback[0] ? option->fallback : "\"\"");
  fclose(draft);
  if (roff) fputs(text, out);
  else wl_help_wrap(text, 6, out);
  free(text);
}

static void print_option(const char *section, const wl_option *option, bool roff, FILE *out) {
  const char *const dot = section[0] ? "." : "";
  fprintf(out, roff ? ".TP\n.B " : "  ");
  fprintf(out, "%s%s%s%s", section, dot, option->key, roff ? "\n" : "\n      ");
  print_text(option->doc ? option->doc : "", roff, 6, out);
  fputs(roff ? "\n" : "\n      ", out);
  print_values(option, roff, out);
  fputc('\n', out);
}

static void print_heading(const wl_section *section, bool roff, FILE *out) {
  const char *const name = section->name[0] ? section->name : "top level";
  fprintf(out, roff ? ".SS %s\n" : "%s:\n", name);
  if (!section->doc || !section->doc[0]) return;
  if (!roff) fputs("  ", out);
  print_text(section->doc, roff, 2, out);
  fputc('\n', out);
}

static bool is_same_text(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_option(const wl_option *a, const wl_option *b) {
  return strcmp(a->key, b->key) == 0 && a->type == b->type && a->min == b->min &&
         a->max == b->max && a->flags == b->flags && is_same_text(a->doc, b->doc) &&
         is_same_text(a->fallback, b->fallback) && is_same_text(a->choices, b->choices);
}

/* Returns the first variant before `variant` that has the same option. Returns NULL if no earlier
 * variant has the option. */
static const wl_variant *earlier_with(const wl_section *section, const wl_variant *variant,
                                      const wl_option *option) {
  for (const wl_variant *v = section->variants; v != variant; ++v)
    for (const wl_option *o = v->options; o && o->key; ++o)
      if (is_same_option(o, option)) return v;
  return NULL;
}

/* If earlier variants have some of this variant's options, prints the name of each of these
 * variants and the names of the shared options, for example "as with name: sgd: rate, schedule". */
static void print_shared(const wl_section *section, const wl_variant *variant, bool roff,
                         FILE *out) {
  for (const wl_variant *v = section->variants; v != variant; ++v) {
    char *text = NULL;
    size_t size = 0;
    FILE *const draft = open_memstream(&text, &size);
    if (!draft) return;
    int count = 0;
    for (const wl_option *o = variant->options; o && o->key; ++o)
      if (earlier_with(section, variant, o) == v) fprintf(draft, count++ ? ", %s" : "%s", o->key);
    fclose(draft);
    if (count > 0) {
      fprintf(out, roff ? ".TP\nas with %s: %s\n" : "  as with %s: %s\n      ", section->selector,
              v->name);
      print_text(text, roff, 6, out);
      fputc('\n', out);
    }
    free(text);
  }
}

static void print_variant(const wl_section *section, const wl_variant *variant, bool roff,
                          FILE *out) {
  fprintf(out, roff ? ".TP\n.B %s: %s\n" : "\n  with %s: %s\n", section->selector, variant->name);
  if (!roff) fputs("    ", out);
  print_text(variant->summary, roff, 4, out);
  fputc('\n', out);
  for (const wl_option *o = variant->options; o && o->key; ++o)
    if (!earlier_with(section, variant, o)) print_option(section->name, o, roff, out);
  print_shared(section, variant, roff, out);
}

static void print_selector(const wl_section *section, bool roff, FILE *out) {
  fprintf(out, roff ? ".TP\n.B %s.%s\n(" : "  %s.%s\n      (", section->name, section->selector);
  for (const wl_variant *v = section->variants; v && v->name; ++v)
    fprintf(out, "%s%s", v == section->variants ? "" : " | ", v->name);
  if (section->fallback_variant) fprintf(out, "; default %s)\n", section->fallback_variant);
  else fputs("; required)\n", out);
}

/* Prints the keys `plugin` and `plugin_hash`, and then the name, the summary and the keys of each
 * open plug-in. */
static void print_plugins(const wl_section *section, bool roff, FILE *out) {
  for (const wl_option *o = wl_plugin_options; o->key; ++o) print_option(section->name, o, roff, out);
  for (const wl_open_plugin *p = NULL; (p = wl_plugin_next(section->plugins, p));) {
    fprintf(out, roff ? ".TP\n.B plugin: %s\n%s: " : "\n  with plugin: %s\n    %s: ", p->path, p->variant.name);
    print_text(p->variant.summary, roff, 4, out);
    fputc('\n', out);
    for (const wl_option *o = p->variant.options; o && o->key; ++o)
      print_option(section->name, o, roff, out);
  }
}

void wl_sections_help(const wl_section *sections, bool roff, FILE *out) {
  for (const wl_section *section = sections; section->name; ++section) {
    if (section != sections && !roff) fputc('\n', out);
    print_heading(section, roff, out);
    if (section->selector) print_selector(section, roff, out);
    for (const wl_option *o = section->options; o && o->key; ++o)
      print_option(section->name, o, roff, out);
    for (const wl_variant *v = section->variants; v && v->name; ++v)
      print_variant(section, v, roff, out);
    if (section->plugins) print_plugins(section, roff, out);
  }
}

void wl_section_list(const wl_section *section, FILE *out) {
  for (const wl_variant *v = section->variants; v && v->name; ++v)
    fprintf(out, "%-20s %s\n", v->name, v->summary);
}
