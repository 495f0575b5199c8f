/* test_options.c - tests valid configurations: values, defaults and overrides. A printed configuration must be valid
 * again. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/config_values.h"
#include "unit/cmocka_all.h"
#include "unit/options_fixture.h"

/* Parses a configuration with the given lines of --set. */
static wl_config *parse(const char *text, int n, const char *const *lines) {
  wl_config *config = NULL;
  wl_override overrides[8];
  assert_true(n <= 8);
  for (int i = 0; i < n; ++i) overrides[i] = (wl_override){WL_OVERRIDE_LINE, .text = lines[i]};
  const wl_status status =
      wl_config_parse(text, "job.yaml", fixture_sections, overrides, n, &config);
  if (status != WL_OK) fail_msg("%s", wl_last_error());
  return config;
}

static const char *const quadratic = "task: {family: quadratic, dimension: 10}\n";

static void defaults_are_filled_in(void **state) {
  (void)state;
  wl_config *config = parse(quadratic, 0, NULL);
  const wl_map *const outer = wl_config_map(config, "outer", 0);
  assert_int_equal(config_int(outer, "steps"), 10000);
  assert_true(config_real(outer, "learning_rate") == 1e-3);
  assert_true(isinf(config_real(outer, "clip")));
  assert_false(config_bool(outer, "nesterov"));
  assert_string_equal(config_string(outer, "weights"), "sum");
  const wl_map *const top = wl_config_map(config, "", 0);
  assert_int_equal(config_int(top, "seed"), 1);
  assert_string_equal(config_string(top, "output"), "");
  const wl_map *const rule = wl_config_map(config, "rule", 0);
  assert_string_equal(wl_map_variant(rule), "adam");
  int count = 0;
  const double *const betas = config_reals(rule, "betas", &count);
  assert_int_equal(count, 2);
  assert_true(betas[1] == 0.999);
  assert_string_equal(wl_map_variant(outer), "");
  wl_config_destroy(&config);
  assert_null(config);
  wl_config_destroy(&config);
}

static void values_are_read(void **state) {
  (void)state;
  wl_config *config = parse(
      "# comment\nseed: 0x10\noutput: runs/a b\n"
      "task:\n"
      "  - {family: mlp, hidden: [20, 1_0], files: [a.gz, 'b c'], proportion: 3}\n"
      "  - {family: mlp, hidden: 7}\n"
      "  - family: quadratic\n    dimension: 1e3\n    distribution: uniform\n"
      "rule: {name: lstm}\n"
      "outer: {steps: 20_000, learning_rate: 3e-4, nesterov: Yes, weights: [0, 0.5, 1]}\n",
      0, NULL);
  assert_int_equal(config_int(wl_config_map(config, "", 0), "seed"), 16);
  assert_string_equal(config_string(wl_config_map(config, "", 0), "output"), "runs/a b");
  assert_int_equal(wl_config_count(config, "task"), 3);
  int count = 0;
  const wl_map *task = wl_config_map(config, "task", 0);
  assert_string_equal(wl_map_variant(task), "mlp");
  assert_string_equal(config_string(task, "family"), "mlp");
  assert_int_equal(config_ints(task, "hidden", &count)[1], 10);
  assert_int_equal(count, 2);
  assert_string_equal(config_strings(task, "files", &count)[1], "b c");
  assert_true(config_real(task, "proportion") == 3);
  assert_int_equal(config_ints(wl_config_map(config, "task", 1), "hidden", &count)[0], 7);
  assert_int_equal(count, 1);
  config_strings(wl_config_map(config, "task", 1), "files", &count);
  assert_int_equal(count, 0);
  assert_int_equal(config_int(wl_config_map(config, "task", 2), "dimension"), 1000);
  const wl_map *const outer = wl_config_map(config, "outer", 0);
  assert_int_equal(config_int(outer, "steps"), 20000);
  assert_true(config_bool(outer, "nesterov"));
  assert_true(config_real(outer, "learning_rate") == 3e-4);
  assert_string_equal(config_string(outer, "weights"), "");
  assert_true(config_reals(outer, "weights", &count)[1] == 0.5);
  assert_int_equal(count, 3);
  assert_null(wl_config_map(config, "task", 3));
  wl_config_destroy(&config);
}

static void overrides_edit_the_tree(void **state) {
  (void)state;
  const char *const overrides[] = {"outer.steps=5",      "outer.steps=6",     "seed=9",
                                   "task.0.dimension=3", "output=",           "rule.name=adam",
                                   "rule.betas=[0, 1]",  "outer.weights=0.25"};
  wl_config *config = parse(quadratic, 8, overrides);
  const wl_map *const outer = wl_config_map(config, "outer", 0);
  assert_int_equal(config_int(outer, "steps"), 6);
  assert_int_equal(config_int(wl_config_map(config, "", 0), "seed"), 9);
  assert_int_equal(config_int(wl_config_map(config, "task", 0), "dimension"), 3);
  assert_string_equal(config_string(wl_config_map(config, "", 0), "output"), "");
  int count = 0;
  assert_true(config_reals(wl_config_map(config, "rule", 0), "betas", &count)[0] == 0);
  assert_true(config_reals(outer, "weights", &count)[0] == 0.25);
  wl_config_destroy(&config);
}

static void overrides_reach_lists_and_sections(void **state) {
  (void)state;
  const char *const overrides[] = {"task.1.dimension=4", "task.0.family=mlp"};
  wl_config *config =
      parse("task: [{family: quadratic}, {family: quadratic, dimension: 1}]\n", 2, overrides);
  assert_string_equal(wl_map_variant(wl_config_map(config, "task", 0)), "mlp");
  assert_int_equal(config_int(wl_config_map(config, "task", 1), "dimension"), 4);
  wl_config_destroy(&config);

  const char *const whole[] = {"task={family: quadratic, dimension: 2}", "task.dimension=5"};
  config = parse("", 2, whole);
  assert_int_equal(config_int(wl_config_map(config, "task", 0), "dimension"), 5);
  wl_config_destroy(&config);

  const char *const only[] = {"task.dimension=8"};
  config = parse("task: [{family: quadratic}]\n", 1, only);
  assert_int_equal(config_int(wl_config_map(config, "task", 0), "dimension"), 8);
  wl_config_destroy(&config);
}

/* Asserts that the printed YAML of a configuration is a valid configuration. The second configuration must have the
 * same values, and printing the second configuration must result in the same text. */
static void assert_round_trip(const char *text) {
  wl_config *first = parse(text, 0, NULL);
  char *yaml = NULL, *again = NULL, *difference = NULL;
  assert_int_equal(wl_config_to_yaml(first, &yaml), WL_OK);
  wl_config *second = parse(yaml, 0, NULL);
  assert_int_equal(wl_config_to_yaml(second, &again), WL_OK);
  assert_string_equal(yaml, again);
  assert_int_equal(wl_config_diff(first, second, 0, &difference), WL_OK);
  assert_string_equal(difference, "");
  const double rate = config_real(wl_config_map(first, "outer", 0), "learning_rate");
  assert_true(rate == config_real(wl_config_map(second, "outer", 0), "learning_rate"));
  assert_string_equal(config_string(wl_config_map(first, "", 0), "output"),
                      config_string(wl_config_map(second, "", 0), "output"));
  free(yaml);
  free(again);
  free(difference);
  wl_config_destroy(&first);
  wl_config_destroy(&second);
}

static void yaml_round_trips(void **state) {
  (void)state;
  assert_round_trip(quadratic);
  assert_round_trip("task: {family: mlp}\nouter: {weights: {last: 6}}\n");
  assert_round_trip("task: [{family: mlp, files: ['', 'null', 'a, b', '[x]']}, {family: mlp}]\n");
  static const char *const rates[] = {"1e-3",
                                      "0.1",
                                      "3.3333333333333335e-05",
                                      "1",
                                      "1e22",
                                      "0.30000000000000004",
                                      "4.9406564584124654e-324"};
  for (size_t i = 0; i < 6; ++i) {
    char text[160];
    snprintf(text, sizeof text, "%souter: {learning_rate: %s}\n", quadratic, rates[i]);
    assert_round_trip(text);
  }
  static const char *const names[] = {"'~'",
                                      "'yes'",
                                      "'12'",
                                      "\"a\\nb\\t\\\"q\\\"\"",
                                      "'# no comment'",
                                      "'a: b'",
                                      "\"caf\\u00e9 \\x85\\ufeff\"",
                                      "' lead'",
                                      "runs/plain-1.x"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    char text[160];
    snprintf(text, sizeof text, "output: %s\n%s", names[i], quadratic);
    assert_round_trip(text);
  }
}

/* A string that looks like a value of another type (for example `yes` or `12`) must be printed in quotes. Other YAML
 * readers then also read the value as a string. */
static void doubtful_texts_are_quoted(void **state) {
  (void)state;
  static const char *const doubtful[] = {"yes", "No", "null", "12", "1e3", "NULL", ".inf", "y"};
  for (size_t i = 0; i < sizeof doubtful / sizeof *doubtful; ++i) {
    char text[160], expected[64];
    snprintf(text, sizeof text, "output: '%s'\n%s", doubtful[i], quadratic);
    snprintf(expected, sizeof expected, "output: \"%s\"\n", doubtful[i]);
    wl_config *config = parse(text, 0, NULL);
    char *yaml = NULL;
    assert_int_equal(wl_config_to_yaml(config, &yaml), WL_OK);
    if (!strstr(yaml, expected)) fail_msg("no %s in:\n%s", expected, yaml);
    free(yaml);
    wl_config_destroy(&config);
  }
}

static void yaml_has_every_key(void **state) {
  (void)state;
  wl_config *config = parse(quadratic, 0, NULL);
  char *yaml = NULL;
  assert_int_equal(wl_config_to_yaml(config, &yaml), WL_OK);
  assert_string_equal(
      yaml,
      "seed: 1\noutput: \"\"\ntask:\n  family: quadratic\n  proportion: 1.0\n"
      "  noise: 0.0\n  dimension: 10\n  distribution: gaussian\nrule:\n  name: adam\n"
      "  betas: [0.9, 0.999]\nouter:\n  steps: 10000\n  learning_rate: 0.001\n"
      "  clip: .inf\n  nesterov: false\n  weights: sum\n");
  free(yaml);
  wl_config_destroy(&config);
}

static void differences_are_listed(void **state) {
  (void)state;
  wl_config *a = parse(quadratic, 0, NULL);
  wl_config *b = parse("task: {family: mlp}\nouter: {steps: 5, weights: [1, 2]}\n", 0, NULL);
  char *difference = NULL;
  assert_int_equal(wl_config_diff(a, b, 0, &difference), WL_OK);
  assert_string_equal(difference,
                      "task.family: quadratic | mlp\ntask.dimension: 10 | (absent)\n"
                      "task.distribution: gaussian | (absent)\nouter.steps: 10000 | 5\n"
                      "outer.weights: sum | [1.0, 2.0]\ntask.hidden: (absent) | [20]\n"
                      "task.files: (absent) | []\n");
  free(difference);
  wl_config_destroy(&a);
  wl_config_destroy(&b);
}

static void help_lists_every_key(void **state) {
  (void)state;
  static const char *const expected[] = {"seed",
                                         "task.family",
                                         "task.dimension",
                                         "outer.steps",
                                         "from 1 to 1e+15, steps; default 10000",
                                         "greater than 0",
                                         "sum | mean | last | {last: N}, or list of numbers",
                                         "required"};
  for (int roff = 0; roff < 2; ++roff) {
    char *text = NULL;
    size_t size = 0;
    FILE *const stream = open_memstream(&text, &size);
    assert_non_null(stream);
    wl_sections_help(fixture_sections, roff, stream);
    wl_section_list(&fixture_sections[1], stream);
    fclose(stream);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; ++i)
      if (!strstr(text, expected[i])) fail_msg("no '%s' in:\n%s", expected[i], text);
    free(text);
  }
}

/* If a variant has the same keys as an earlier variant, its help must list only the names of these keys. If a key has
 * another default than in the earlier variant, its full help must be printed again. */
static void help_prints_shared_keys_once(void **state) {
  (void)state;
  static const wl_option first[] = {
      {"rate", WL_OPT_REAL, "0.1", NULL, 0, 1, "1", "Size of a step."},
      {"decay", WL_OPT_REAL, "0.9", NULL, 0, 1, "1", "Of the mean."},
      {0}};
  static const wl_option second[] = {
      {"rate", WL_OPT_REAL, "0.1", NULL, 0, 1, "1", "Size of a step."},
      {"decay", WL_OPT_REAL, "0.5", NULL, 0, 1, "1", "Of the mean."},
      {0}};
  static const wl_variant variants[] = {{"a", "first", first}, {"b", "second", second}, {0}};
  const wl_section sections[] = {{"rule", "A rule", NULL, "name", variants, "a", false}, {0}};
  char *text = NULL;
  size_t size = 0;
  FILE *const stream = open_memstream(&text, &size);
  assert_non_null(stream);
  wl_sections_help(sections, false, stream);
  fclose(stream);
  const char *const shared = strstr(text, "as with name: a\n      rate\n");
  if (!shared) fail_msg("the shared key is not named in:\n%s", text);
  const char *const rate = strstr(text, "rule.rate");
  assert_non_null(rate);
  assert_null(strstr(rate + 1, "rule.rate"));
  assert_non_null(strstr(text, "default 0.9"));
  assert_non_null(strstr(text, "default 0.5"));
  free(text);
}

/* Each value must be stored with its type in the struct member that the row of its key names. */
static void tables_fill_their_structs(void **state) {
  (void)state;
  wl_config *config = parse(
      "task: [{family: quadratic, dimension: 3, distribution: uniform}, {family: mlp, hidden: [7, "
      "8], files: ['a, b', c]}]\nouter: {steps: 12, learning_rate: 0.5, nesterov: on, weights: {last: "
      "6}}\n",
      0, NULL);
  fixture_outer outer = {0};
  wl_map_read(wl_config_map(config, "outer", 0), fixture_outer_options, &outer);
  assert_int_equal(outer.steps, 12);
  assert_true(outer.learning_rate == 0.5 && isinf(outer.clip) && outer.nesterov);
  assert_int_equal(outer.weights.choice, 3);
  assert_int_equal(outer.weights.argument, 6);
  fixture_quadratic quadratic_task = {.dimension = -1};
  wl_map_read(wl_config_map(config, "task", 0), fixture_quadratic_options, &quadratic_task);
  assert_int_equal(quadratic_task.dimension, 3);
  assert_int_equal(quadratic_task.distribution, FIXTURE_UNIFORM);
  fixture_mlp mlp = {0};
  wl_map_read(wl_config_map(config, "task", 1), fixture_mlp_options, &mlp);
  assert_int_equal(mlp.hidden.count, 2);
  assert_int_equal(mlp.hidden.at[1], 8);
  assert_int_equal(mlp.files.count, 2);
  assert_string_equal(mlp.files.at[0], "a, b");
  wl_config_destroy(&config);

  config = parse("task: {family: mlp}\nouter: {weights: [0.5, 2]}\n", 0, NULL);
  wl_map_read(wl_config_map(config, "outer", 0), fixture_outer_options, &outer);
  /* for a list, `choice` contains the number of choices */
  assert_int_equal(outer.weights.choice, 4);
  assert_int_equal(outer.weights.list.count, 2);
  assert_true(outer.weights.list.at[1] == 2);
  wl_config_destroy(&config);
}

/* For a key of the type string, the value in --set must be used unchanged, even if it contains characters that have a
 * meaning in YAML. */
static void texts_are_taken_whole(void **state) {
  (void)state;
  static const char *const names[] = {
      "runs/sweep #1", "a: b", "[1] {2}", "[1",      "{a: b}", "'q",   "\"x", "- x", "&a", "*a",
      "!t x",          "? k",  "null",    " blank ", "| x",    "100%", "@x",  "#"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    char line[64];
    snprintf(line, sizeof line, "output=%s", names[i]);
    const char *const lines[] = {line};
    wl_config *config = parse(quadratic, 1, lines);
    assert_string_equal(config_string(wl_config_map(config, "", 0), "output"), names[i]);
    wl_config_destroy(&config);
  }
}

static void texts_may_be_quoted(void **state) {
  (void)state;
  const char *const lines[] = {"output='a ''b'' #c'"};
  wl_config *config = parse(quadratic, 1, lines);
  assert_string_equal(config_string(wl_config_map(config, "", 0), "output"), "a 'b' #c");
  wl_config_destroy(&config);
}

/* Overrides that the program itself adds have typed values. If such an override removes a key, the key must have its
 * default value. */
static void overrides_carry_values(void **state) {
  (void)state;
  const int64_t hidden[] = {4, 5};
  const wl_override overrides[] = {
      {WL_OVERRIDE_TEXT, "output", .text = "a #b: [c]"},
      {WL_OVERRIDE_REAL, "outer.learning_rate", .real = 0.1 + 0.2},
      {WL_OVERRIDE_INTS, "task.1.hidden", .ints = {hidden, 2}},
      {WL_OVERRIDE_TEXT, "rule.name", .text = "lstm"},
      {WL_OVERRIDE_ABSENT, "outer.steps"},
      {WL_OVERRIDE_ABSENT, "task.0"},
  };
  wl_config *config = NULL;
  assert_int_equal(
      wl_config_parse(
          "task: [{family: quadratic, dimension: 1}, {family: mlp}]\nouter: {steps: 3}\n",
          "job.yaml", fixture_sections, overrides, 6, &config),
      WL_OK);
  const wl_map *const outer = wl_config_map(config, "outer", 0);
  assert_string_equal(config_string(wl_config_map(config, "", 0), "output"), "a #b: [c]");
  assert_true(config_real(outer, "learning_rate") == 0.1 + 0.2);
  assert_int_equal(config_int(outer, "steps"), 10000);
  assert_string_equal(wl_map_variant(wl_config_map(config, "rule", 0)), "lstm");
  assert_int_equal(wl_config_count(config, "task"), 1);
  int count = 0;
  assert_int_equal(config_ints(wl_config_map(config, "task", 0), "hidden", &count)[1], 5);
  wl_config_destroy(&config);
}

/* In a path, ~/, ${NAME} and $NAME must be expanded. In other positions, the characters ~ and $ are part of a
 * name. */
static void paths_are_expanded(void **state) {
  (void)state;
  setenv("HOME", "/home/somebody", 1);
  setenv("WL_TEST_NAME", "x y", 1);
  unsetenv("WL_TEST_UNSET");
  static const char *const cases[][2] = {{"~/runs", "/home/somebody/runs"},
                                         {"~", "/home/somebody"},
                                         {"$HOME/a", "/home/somebody/a"},
                                         {"/s/$WL_TEST_NAME/b", "/s/x y/b"},
                                         {"run-${WL_TEST_NAME}1", "run-x y1"},
                                         {"a$b^2_{x", "a$b^2_{x"},
                                         {"a~", "a~"},
                                         {"$", "$"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    const wl_override output = {WL_OVERRIDE_TEXT, "output", .text = cases[i][0]};
    wl_config *config = NULL;
    assert_int_equal(wl_config_parse(quadratic, "j", fixture_sections, &output, 1, &config), WL_OK);
    assert_string_equal(config_string(wl_config_map(config, "", 0), "output"), cases[i][1]);
    wl_config_destroy(&config);
  }
  static const char *const refused[] = {"$WL_TEST_UNSET/a", "${WL_TEST_UNSET}", "~root/x"};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; ++i) {
    const wl_override output = {WL_OVERRIDE_TEXT, "output", .text = refused[i]};
    wl_config *config = NULL;
    assert_int_equal(wl_config_parse(quadratic, "j", fixture_sections, &output, 1, &config),
                     WL_ERR_CONFIG);
    assert_non_null(strstr(wl_last_error(), "key 'output'"));
  }
}

/* The list of differences must omit keys that have certain flags, because a resumed run may change these keys. */
static void differences_leave_flagged_keys_out(void **state) {
  (void)state;
  wl_config *a = parse(quadratic, 0, NULL);
  wl_config *b =
      parse("task: {family: quadratic, dimension: 11}\noutput: x\nouter: {steps: 5}\n", 0, NULL);
  char *difference = NULL;
  assert_int_equal(wl_config_diff(a, b, WL_KEY_FREE | WL_KEY_EXTENDS, &difference), WL_OK);
  assert_string_equal(difference, "task.dimension: 10 | 11\n");
  free(difference);
  assert_int_equal(wl_config_diff(a, b, WL_KEY_FREE, &difference), WL_OK);
  assert_string_equal(difference, "task.dimension: 10 | 11\nouter.steps: 10000 | 5\n");
  free(difference);
  wl_config_destroy(&a);
  wl_config_destroy(&b);
}

static void files_are_read(void **state) {
  (void)state;
  wl_config *config = NULL;
  assert_int_equal(wl_config_read("absent.yaml", fixture_sections, NULL, 0, &config),
                   WL_ERR_NO_INPUT);
  assert_non_null(strstr(wl_last_error(), "absent.yaml: cannot open"));
  assert_int_equal(wl_config_read("/", fixture_sections, NULL, 0, &config), WL_ERR_NO_INPUT);
  FILE *const file = fopen("job.yaml", "w");
  assert_non_null(file);
  fputs(quadratic, file);
  fclose(file);
  assert_int_equal(wl_config_read("job.yaml", fixture_sections, NULL, 0, &config), WL_OK);
  assert_int_equal(config_int(wl_config_map(config, "task", 0), "dimension"), 10);
  wl_config_destroy(&config);
  remove("job.yaml");
}

/* If keys of a task have lists of choices (`one_of`), each combination of choices must become a separate task, and the
 * choice of the last key must change fastest. The tasks of the first entry must precede the tasks of the second
 * entry. */
static void draws_become_maps(void **state) {
  (void)state;
  wl_config *config = parse(
      "task:\n"
      "  - {family: mlp, hidden: {one_of: [[32], [64, 48], 5]}, proportion: {one_of: [1, 2]}}\n"
      "  - {family: quadratic, dimension: 3, distribution: {one_of: [uniform]}}\n"
      "  - {family: quadratic, dimension: {one_of: [3, 4, 3]}, distribution: {one_of: [uniform, uniform]}}\n",
      0, NULL);
  assert_int_equal(wl_config_count(config, "task"), 13);
  static const int entry[13] = {0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2};
  static const bool repeated[13] = {[8] = true, [10] = true, [11] = true, [12] = true};
  for (int i = 0; i < 13; ++i) {
    assert_int_equal(wl_map_entry(wl_config_map(config, "task", i)), entry[i]);
    assert_int_equal(wl_map_repeated(wl_config_map(config, "task", i)), repeated[i]);
  }
  static const struct {
    int64_t hidden, layers;
    double proportion;
  } wanted[] = {{32, 1, 1}, {64, 2, 1}, {5, 1, 1}, {32, 1, 2}, {64, 2, 2}, {5, 1, 2}};
  /* `proportion` is a key of every task, so it precedes the keys of the family */
  for (int i = 0; i < 6; ++i) {
    int count;
    const wl_map *const map = wl_config_map(config, "task", i);
    const int64_t *hidden = config_ints(map, "hidden", &count);
    assert_int_equal(hidden[0], wanted[i].hidden);
    assert_int_equal(count, wanted[i].layers);
    assert_true(config_real(map, "proportion") == wanted[i].proportion);
    assert_int_equal(wl_map_combinations(map), 6);
    char text[64], cut[12];
    wl_map_choices(map, text, sizeof text);
    wl_map_choices(map, cut, sizeof cut);
    if (i == 4) assert_string_equal(text, "proportion: 2.0, hidden: [64, 48]");
    if (i == 4) assert_string_equal(cut, "proportion:");
    assert_int_equal(config_value(map, "noise")->draw, WL_DRAW_FIXED);
  }
  const wl_map *const last = wl_config_map(config, "task", 6);
  assert_string_equal(config_string(last, "distribution"), "uniform");
  assert_int_equal(wl_map_combinations(last), 1);
  char text[64];
  wl_map_choices(last, text, sizeof text);
  assert_string_equal(text, "distribution: uniform");
  wl_config_destroy(&config);
}

/* The value of the key `noise` can be drawn in each episode. Choices of such a key must not become separate tasks. */
static void distributions_stay(void **state) {
  (void)state;
  static const struct {
    const char *text;
    wl_draw_kind kind;
    double low, high;
    int choices;
  } wanted[] = {{"2.5", WL_DRAW_FIXED, 2.5, 2.5, 0},
                {"{one_of: [1, 4, 2]}", WL_DRAW_ONE_OF, 1, 2, 3},
                {"{uniform: [0, 4]}", WL_DRAW_UNIFORM, 0, 4, 2},
                {"{log_uniform: [1e-3, 10]}", WL_DRAW_LOG_UNIFORM, 1e-3, 10, 2}};
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; ++i) {
    char text[128];
    snprintf(text, sizeof text, "task: {family: quadratic, dimension: 1, noise: %s}\n",
             wanted[i].text);
    wl_config *config = parse(text, 0, NULL);
    assert_int_equal(wl_config_count(config, "task"), 1);
    wl_draw draw;
    wl_map_read(wl_config_map(config, "task", 0), fixture_noise, &draw);
    assert_int_equal(draw.kind, wanted[i].kind);
    assert_true(draw.low == wanted[i].low && draw.high == wanted[i].high);
    assert_int_equal(draw.choices.count, wanted[i].choices);
    wl_config_destroy(&config);
  }
}

/* A printed draw must be parsed as the same draw again. Configurations whose draws differ in one choice must count as
 * different. */
static void draws_go_round(void **state) {
  (void)state;
  static const char *const line[] = {
      "task={family: mlp, hidden: {one_of: [[32], [64, 48], []]}, noise: {log_uniform: [1e-3, 10]}, "
      "proportion: {one_of: [1]}}",
      "task.hidden={one_of: [[32], [64, 49], []]}"};
  wl_config *config = parse("", 1, line), *changed = parse("", 2, line), *again = NULL;
  char *text = NULL, *diff = NULL;
  assert_int_equal(wl_config_to_yaml(config, &text), WL_OK);
  assert_non_null(strstr(text, "hidden: {one_of: [[32], [64, 48], []]}"));
  assert_non_null(strstr(text, "noise: {log_uniform: ["));
  assert_int_equal(wl_config_parse(text, "again", fixture_sections, NULL, 0, &again), WL_OK);
  assert_int_equal(wl_config_diff(config, again, 0, &diff), WL_OK);
  assert_string_equal(diff, "");
  free(diff);
  assert_int_equal(wl_config_diff(config, changed, 0, &diff), WL_OK);
  assert_string_equal(
      diff, "task.hidden: {one_of: [[32], [64, 48], []]} | {one_of: [[32], [64, 49], []]}\n");
  free(diff);
  free(text);
  wl_config_destroy(&again);
  wl_config_destroy(&changed);
  wl_config_destroy(&config);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults_are_filled_in),
      cmocka_unit_test(draws_become_maps),
      cmocka_unit_test(distributions_stay),
      cmocka_unit_test(draws_go_round),
      cmocka_unit_test(values_are_read),
      cmocka_unit_test(overrides_edit_the_tree),
      cmocka_unit_test(overrides_reach_lists_and_sections),
      cmocka_unit_test(yaml_round_trips),
      cmocka_unit_test(doubtful_texts_are_quoted),
      cmocka_unit_test(yaml_has_every_key),
      cmocka_unit_test(differences_are_listed),
      cmocka_unit_test(help_lists_every_key),
      cmocka_unit_test(help_prints_shared_keys_once),
      cmocka_unit_test(tables_fill_their_structs),
      cmocka_unit_test(texts_are_taken_whole),
      cmocka_unit_test(texts_may_be_quoted),
      cmocka_unit_test(overrides_carry_values),
      cmocka_unit_test(paths_are_expanded),
      cmocka_unit_test(differences_leave_flagged_keys_out),
      cmocka_unit_test(files_are_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
