/* test_options.c - configurations that are right: values, defaults, overrides, round trips. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/cmocka_all.h"
#include "unit/options_fixture.h"

static wl_config *parse(const char *text, int n, const char *const *overrides) {
  wl_config *config = NULL;
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
  assert_int_equal(wl_map_int(outer, "steps"), 10000);
  assert_true(wl_map_real(outer, "learning_rate") == 1e-3);
  assert_true(isinf(wl_map_real(outer, "clip")));
  assert_false(wl_map_bool(outer, "nesterov"));
  assert_string_equal(wl_map_string(outer, "weights"), "sum");
  const wl_map *const top = wl_config_map(config, "", 0);
  assert_int_equal(wl_map_int(top, "seed"), 1);
  assert_string_equal(wl_map_string(top, "output"), "");
  const wl_map *const rule = wl_config_map(config, "rule", 0);
  assert_string_equal(wl_map_variant(rule), "adam");
  int count = 0;
  const double *const betas = wl_map_reals(rule, "betas", &count);
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
  assert_int_equal(wl_map_int(wl_config_map(config, "", 0), "seed"), 16);
  assert_string_equal(wl_map_string(wl_config_map(config, "", 0), "output"), "runs/a b");
  assert_int_equal(wl_config_count(config, "task"), 3);
  int count = 0;
  const wl_map *task = wl_config_map(config, "task", 0);
  assert_string_equal(wl_map_variant(task), "mlp");
  assert_string_equal(wl_map_string(task, "family"), "mlp");
  assert_int_equal(wl_map_ints(task, "hidden", &count)[1], 10);
  assert_int_equal(count, 2);
  assert_string_equal(wl_map_strings(task, "files", &count)[1], "b c");
  assert_true(wl_map_real(task, "proportion") == 3);
  assert_int_equal(wl_map_ints(wl_config_map(config, "task", 1), "hidden", &count)[0], 7);
  assert_int_equal(count, 1);
  wl_map_strings(wl_config_map(config, "task", 1), "files", &count);
  assert_int_equal(count, 0);
  assert_int_equal(wl_map_int(wl_config_map(config, "task", 2), "dimension"), 1000);
  const wl_map *const outer = wl_config_map(config, "outer", 0);
  assert_int_equal(wl_map_int(outer, "steps"), 20000);
  assert_true(wl_map_bool(outer, "nesterov"));
  assert_true(wl_map_real(outer, "learning_rate") == 3e-4);
  assert_string_equal(wl_map_string(outer, "weights"), "");
  assert_true(wl_map_reals(outer, "weights", &count)[1] == 0.5);
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
  assert_int_equal(wl_map_int(outer, "steps"), 6);
  assert_int_equal(wl_map_int(wl_config_map(config, "", 0), "seed"), 9);
  assert_int_equal(wl_map_int(wl_config_map(config, "task", 0), "dimension"), 3);
  assert_string_equal(wl_map_string(wl_config_map(config, "", 0), "output"), "");
  int count = 0;
  assert_true(wl_map_reals(wl_config_map(config, "rule", 0), "betas", &count)[0] == 0);
  assert_true(wl_map_reals(outer, "weights", &count)[0] == 0.25);
  wl_config_destroy(&config);
}

static void overrides_reach_lists_and_sections(void **state) {
  (void)state;
  const char *const overrides[] = {"task.1.dimension=4", "task.0.family=mlp"};
  wl_config *config =
      parse("task: [{family: quadratic}, {family: quadratic, dimension: 1}]\n", 2, overrides);
  assert_string_equal(wl_map_variant(wl_config_map(config, "task", 0)), "mlp");
  assert_int_equal(wl_map_int(wl_config_map(config, "task", 1), "dimension"), 4);
  wl_config_destroy(&config);

  const char *const whole[] = {"task={family: quadratic, dimension: 2}", "task.dimension=5"};
  config = parse("", 2, whole);
  assert_int_equal(wl_map_int(wl_config_map(config, "task", 0), "dimension"), 5);
  wl_config_destroy(&config);

  const char *const only[] = {"task.dimension=8"};
  config = parse("task: [{family: quadratic}]\n", 1, only);
  assert_int_equal(wl_map_int(wl_config_map(config, "task", 0), "dimension"), 8);
  wl_config_destroy(&config);
}

/* to_yaml of text, parsed and printed again, is the same text and the same configuration. */
static void assert_round_trip(const char *text) {
  wl_config *first = parse(text, 0, NULL);
  char *yaml = NULL, *again = NULL, *difference = NULL;
  assert_int_equal(wl_config_to_yaml(first, &yaml), WL_OK);
  wl_config *second = parse(yaml, 0, NULL);
  assert_int_equal(wl_config_to_yaml(second, &again), WL_OK);
  assert_string_equal(yaml, again);
  assert_int_equal(wl_config_diff(first, second, &difference), WL_OK);
  assert_string_equal(difference, "");
  const double rate = wl_map_real(wl_config_map(first, "outer", 0), "learning_rate");
  assert_true(rate == wl_map_real(wl_config_map(second, "outer", 0), "learning_rate"));
  assert_string_equal(wl_map_string(wl_config_map(first, "", 0), "output"),
                      wl_map_string(wl_config_map(second, "", 0), "output"));
  free(yaml);
  free(again);
  free(difference);
  wl_config_destroy(&first);
  wl_config_destroy(&second);
}

static void yaml_round_trips(void **state) {
  (void)state;
  assert_round_trip(quadratic);
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

/* Other YAML readers must take these texts for texts, too. */
static void doubtful_texts_are_quoted(void **state) {
  (void)state;
  static const char *const doubtful[] = {"yes", "No", "null", "12", "1e3", "~", ".inf", "y"};
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
  assert_string_equal(yaml,
                      "seed: 1\noutput: \"\"\ntask:\n  family: quadratic\n  proportion: 1.0\n"
                      "  dimension: 10\n  distribution: gaussian\nrule:\n  name: adam\n"
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
  assert_int_equal(wl_config_diff(a, b, &difference), WL_OK);
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
                                         "sum | mean | last, or list of numbers",
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
  assert_int_equal(wl_map_int(wl_config_map(config, "task", 0), "dimension"), 10);
  wl_config_destroy(&config);
  remove("job.yaml");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults_are_filled_in),
      cmocka_unit_test(values_are_read),
      cmocka_unit_test(overrides_edit_the_tree),
      cmocka_unit_test(overrides_reach_lists_and_sections),
      cmocka_unit_test(yaml_round_trips),
      cmocka_unit_test(doubtful_texts_are_quoted),
      cmocka_unit_test(yaml_has_every_key),
      cmocka_unit_test(differences_are_listed),
      cmocka_unit_test(help_lists_every_key),
      cmocka_unit_test(files_are_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
