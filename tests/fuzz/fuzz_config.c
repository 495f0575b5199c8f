/* fuzz_config.c - runs mutated configurations and --set lines through the parser, and reads their values by the
 * tables of all keys.
 *
 * An input is the text of a configuration. After a line "#set", each line is an argument of --set. For every input,
 * the parser must return WL_OK, or return WL_ERR_CONFIG with a message of one line. If the parser accepts a
 * configuration, it must also accept the text that warploom prints for this configuration. The original and the
 * printed configuration must have the same values, and printing the second configuration must result in the same
 * text. */
#include "fuzz/fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/schema.h"

enum { MOST_LINES = 8 };

long long wl_fuzz_accepted;

const char *const wl_fuzz_words[] = {"{",
                                     "}",
                                     "[",
                                     "]",
                                     ",",
                                     ": ",
                                     "- ",
                                     "\n",
                                     "\n  ",
                                     "#",
                                     " #set\n",
                                     "\n#set\n",
                                     "&a ",
                                     "*a",
                                     "!!str ",
                                     "!x ",
                                     "!!int ",
                                     "<<: *a",
                                     "---\n",
                                     "...\n",
                                     "%TAG ! !x\n",
                                     "%YAML 1.2\n",
                                     "|\n  x\n",
                                     ">\n  x\n",
                                     "'",
                                     "\"",
                                     "\\x00",
                                     "\\uD800",
                                     "\xef\xbb\xbf",
                                     "\xff\xfe",
                                     "\x85",
                                     "\xe2\x80\xa8",
                                     "~",
                                     "null",
                                     "yes",
                                     "010",
                                     "1e-400",
                                     "1e400",
                                     "1e3_0",
                                     "0x10",
                                     ".inf",
                                     ".nan",
                                     "-0",
                                     "1__0",
                                     "-9223372036854775808",
                                     "9223372036854775808",
                                     "1e19",
                                     "0o17",
                                     "task",
                                     "family",
                                     "mlp",
                                     "rule",
                                     "lstm",
                                     "hidden",
                                     "window",
                                     "weights",
                                     "{last: 6}",
                                     "steps",
                                     "outer",
                                     "groups",
                                     "group",
                                     "output",
                                     "${HOME}",
                                     "$HOME/",
                                     "~/",
                                     "output=a #",
                                     "task.0.",
                                     "=",
                                     ".",
                                     "? ",
                                     "\t",
                                     "\r"};
const int wl_fuzz_word_count = sizeof wl_fuzz_words / sizeof *wl_fuzz_words;
const char *const wl_fuzz_seeds[] = {"jobs/*.yaml", "tests/fuzz/seeds/*.yaml",
                                     "examples/plugins/*.yaml", NULL};

static void expect(int condition, const char *what) {
  if (condition) return;
  fprintf(stderr, "fault: %s; last error: %s\n", what, wl_last_error());
  abort();
}

/* Splits the text after "#set" into lines, and ends the text of the configuration before "#set". */
static int split_lines(char *text, wl_override lines[MOST_LINES]) {
  char *at = strstr(text, "#set\n"), *rest = NULL;
  int count = 0;
  if (!at) return 0;
  *at = '\0';
  for (char *line = strtok_r(at + 5, "\n", &rest); line && count < MOST_LINES;
       line = strtok_r(NULL, "\n", &rest))
    lines[count++] = (wl_override){WL_OVERRIDE_LINE, .text = line};
  return count;
}

static bool same_reals(wl_reals x, wl_reals y) {
  bool same = x.count == y.count;
  for (int i = 0; same && i < x.count; i++) same = x.at[i] == y.at[i];
  return same;
}

/* Compares numbers by value, because two different numbers could have the same printed text. */
static bool same_value(const wl_map *a, const wl_map *b, const wl_option *o) {
  typedef union any {
    int64_t integer;
    double real;
    bool boolean;
    int choice;
    const char *string;
    wl_ints ints;
    wl_reals reals;
    wl_strings strings;
    wl_choice_or_reals either;
    wl_draw draw;
  } any;
  any x = {0}, y = {0};
  wl_option row[] = {*o, {0}};
  row[0].slot.offset = 0;
  wl_map_read(a, row, &x);
  wl_map_read(b, row, &y);
  switch (o->slot.kind) {
    case WL_SLOT_INT: return x.integer == y.integer;
    case WL_SLOT_REAL: return x.real == y.real;
    case WL_SLOT_BOOL: return x.boolean == y.boolean;
    case WL_SLOT_CHOICE: return x.choice == y.choice;
    case WL_SLOT_STRING: return strcmp(x.string, y.string) == 0;
    case WL_SLOT_INTS:
      return x.ints.count == y.ints.count &&
             (x.ints.count == 0 ||
              memcmp(x.ints.at, y.ints.at, (size_t)x.ints.count * sizeof *x.ints.at) == 0);
    case WL_SLOT_REALS: return same_reals(x.reals, y.reals);
    case WL_SLOT_CHOICE_OR_REALS:
      return x.either.choice == y.either.choice && x.either.argument == y.either.argument &&
             same_reals(x.either.list, y.either.list);
    case WL_SLOT_DRAW:
      return x.draw.kind == y.draw.kind && x.draw.low == y.draw.low && x.draw.high == y.draw.high &&
             same_reals(x.draw.choices, y.draw.choices);
    case WL_SLOT_STRINGS:
    case WL_SLOT_NONE: return true; /* the comparison of the printed texts covers lists of strings */
  }
  return false;
}

static void check_values(const wl_config *a, const wl_config *b) {
  for (const wl_section *s = wl_schema(); s->name; s++)
    for (int i = 0; i < wl_config_count(a, s->name); i++) {
      const wl_map *x = wl_config_map(a, s->name, i), *y = wl_config_map(b, s->name, i);
      expect(y && strcmp(wl_map_variant(x), wl_map_variant(y)) == 0, "it has the same variants");
      for (const wl_option *o = s->options; o && o->key; o++) expect(same_value(x, y, o), o->key);
      for (const wl_variant *v = s->variants; v && v->name; v++)
        for (const wl_option *o = v->options;
             o && o->key && strcmp(v->name, wl_map_variant(x)) == 0; o++)
          expect(same_value(x, y, o), o->key);
    }
}

/* Checks that the printed text of a configuration contains all values of the configuration. */
static void check_round_trip(const wl_config *config) {
  char *text = NULL, *again = NULL, *difference = NULL;
  wl_config *second = NULL;
  expect(wl_config_to_yaml(config, &text) == WL_OK, "a valid configuration can be printed");
  expect(wl_config_parse(text, "printed", wl_schema(), NULL, 0, &second) == WL_OK,
         "what was printed is valid");
  expect(wl_config_to_yaml(second, &again) == WL_OK, "it can be printed again");
  expect(strcmp(text, again) == 0, "it prints the same text");
  expect(wl_config_diff(config, second, 0, &difference) == WL_OK && !*difference,
         "it holds the same values");
  check_values(config, second);
  free(text);
  free(again);
  free(difference);
  wl_config_destroy(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *const text = malloc(size + 1);
  if (!text) return 0;
  memcpy(text, data, size);
  text[size] = '\0';
  wl_override lines[MOST_LINES];
  const int count = split_lines(text, lines);
  wl_config *config = NULL;
  const wl_status status = wl_config_parse(text, "fuzz", wl_schema(), lines, count, &config);
  expect(status == WL_OK || status == WL_ERR_CONFIG || status == WL_ERR_NO_INPUT,
         "valid, a configuration error, or a plug-in that is absent");
  wl_fuzz_accepted += status == WL_OK;
  if (status == WL_OK) check_round_trip(config);
  else expect(*wl_last_error() && !strchr(wl_last_error(), '\n'), "an error of one line");
  wl_config_destroy(&config);
  free(text);
  return 0;
}
