/* test_options_errors.c - tests the error messages for invalid configurations. */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "unit/cmocka_all.h"
#include "unit/options_fixture.h"

/* Contains a configuration, an override or NULL, and up to three strings that the error message must contain. */
typedef struct bad_case {
  const char *text, *override;
  const char *parts[3];
} bad_case;

#define TASK "task: {family: quadratic, dimension: 10}\n"

static const bad_case cases[] = {
    /* keys */
    {TASK "outer:\n  stepps: 5\n",
     NULL,
     {"job.yaml:3: key 'outer.stepps': unknown key; did you mean 'steps'? (accepted: steps, "
      "learning_rate"}},
    {TASK "outter: {steps: 5}\n",
     NULL,
     {"job.yaml:2: key 'outter': unknown key; did you mean 'outer'?",
      "accepted: seed, output, task"}},
    {TASK "steps: 5\n", NULL, {"job.yaml:2: key 'steps'", "did you mean 'outer.steps'?"}},
    {TASK "outer: {steps: 5, steps: 6}\n",
     NULL,
     {"job.yaml:2: key 'outer.steps': the key is given twice", "line 2"}},
    {TASK "seed: 1\n\nseed: 2\n", NULL, {"job.yaml:4: key 'seed': the key is given twice", "line 2"}},
    {"task: {family: mlp, dimension: 10}\n",
     NULL,
     {"key 'task.dimension': unknown key for family 'mlp', because the key belongs to 'quadratic'"}},
    {"task: [{family: mlp}, {family: mlp, hiden: 3}]\n",
     NULL,
     {"job.yaml:1: key 'task.1.hiden': unknown key; did you mean 'hidden'?"}},
    {TASK "? [a, b]\n: 1\n", NULL, {"job.yaml:2: a key must be a word, not a list"}},
    /* variants */
    {"task: {family: quadratc, dimension: 10}\n",
     NULL,
     {"job.yaml:1: key 'task.family': unknown family 'quadratc'; did you mean 'quadratic'?",
      "(accepted: quadratic, mlp)"}},
    {"task: {family: [mlp]}\n", NULL, {"key 'task.family': unknown family a list"}},
    {"task:\n  dimension: 10\n",
     NULL,
     {"job.yaml:2: key 'task.family': this key is missing", "(accepted: quadratic, mlp)"}},
    {"seed: 1\n", NULL, {"job.yaml: key 'task.family': this key is missing"}},
    {"task:\n  family: quadratic\n",
     NULL,
     {"job.yaml:2: key 'task.dimension': this key is missing and has no default (number of parameters)"}},
    /* types */
    {TASK "outer: {steps: many}\n",
     NULL,
     {"job.yaml:2: key 'outer.steps': expected an integer, got 'many'"}},
    {TASK "outer: {steps: 1.5}\n", NULL, {"expected an integer, got '1.5'"}},
    {TASK "outer: {steps: \"5\"}\n", NULL, {"expected an integer, got the text \"5\""}},
    {TASK "outer: {steps: [5]}\n", NULL, {"expected an integer, got a list"}},
    {TASK "outer: {steps: }\n", NULL, {"expected an integer, got nothing"}},
    {TASK "outer: {steps: 99999999999999999999}\n", NULL, {"expected an integer"}},
    {TASK "outer: {learning_rate: fast}\n", NULL, {"expected a number, got 'fast'"}},
    {TASK "outer: {learning_rate: nan}\n", NULL, {"expected a number, got 'nan'"}},
    {TASK "outer: {learning_rate: 0x1p-3}\n", NULL, {"expected a number"}},
    {TASK "outer: {nesterov: 1}\n", NULL, {"expected true or false, got '1'"}},
    {TASK "output: [a]\n", NULL, {"key 'output': expected a text, got a list"}},
    {TASK "output: ~\n", NULL, {"key 'output': expected a text, got nothing"}},
    {"task: {family: mlp, hidden: {one_of: 5}}\n",
     NULL,
     {"job.yaml:1: key 'task.hidden': one_of needs a list: {one_of: [first, second, ..]}"}},
    {"task: {family: mlp, hidden: {one_of: []}}\n", NULL, {"one_of needs a list"}},
    {"task: {family: mlp, hidden: {one_of: [[3], [0]]}}\n",
     NULL,
     {"'task.hidden': 0 is out of range"}},
    {"task: {family: mlp, proportion: {uniform: [1, 2]}}\n",
     NULL,
     {"uniform is not possible for this key; list the possible values: {one_of: [..]}"}},
    {"task: {family: mlp, noise: {log_uniform: [0, 2]}}\n",
     NULL,
     {"log_uniform needs two numbers [low, high] with low at most high and above 0"}},
    {"task: {family: mlp, noise: {uniform: [3, 2]}}\n", NULL, {"uniform needs two numbers [low, high]"}},
    {"task: {family: mlp, noise: {uniform: [3]}}\n", NULL, {"{uniform: [low, high]}"}},
    {"task: {family: mlp, noise: {uniform: [3, 4, 5]}}\n", NULL, {"uniform needs two numbers [low, high]"}},
    {"task: {family: mlp, noise: {one_of: [3, 200]}}\n", NULL, {"200 is out of range"}},
    {TASK "outer: {steps: {one_of: [3]}}\n", NULL, {"expected an integer, got a map"}},
    {"task: {family: {one_of: [mlp]}}\n", NULL, {"key 'task.family'"}},
    {"task: {family: mlp, hidden: {a: 1}}\n", NULL, {"expected a list of integers, got a map"}},
    {"task: {family: mlp, hidden: [3, x]}\n", NULL, {"expected an integer, got 'x'"}},
    {TASK "outer: 5\n", NULL, {"key 'outer': expected keys and values, got '5'"}},
    {TASK "outer: [{steps: 5}]\n", NULL, {"key 'outer': expected keys and values, got a list"}},
    {"task: []\n", NULL, {"key 'task': the list is empty"}},
    {"task: quadratic\n", NULL, {"key 'task': expected keys and values (or a list of such maps)"}},
    {"[1, 2]\n", NULL, {"job.yaml:1: expected keys and values, got a list"}},
    /* invalid ranges and choices of values */
    {TASK "outer: {steps: 0}\n",
     NULL,
     {"key 'outer.steps': 0 is out of range; accepted: ", "1 to 1e+15 steps"}},
    {TASK "outer: {learning_rate: 0}\n", NULL, {"0 is out of range; accepted: greater than 0"}},
    {TASK "outer: {learning_rate: .inf}\n", NULL, {"'outer.learning_rate': .inf is out of range"}},
    {TASK "rule: {name: adam, betas: [0.9, 1.5]}\n",
     NULL,
     {"key 'rule.betas': 1.5 is out of range; accepted: from 0 to 1"}},
    {"task: {family: quadratic, dimension: 1, distribution: gausian}\n",
     NULL,
     {"unknown choice 'gausian'; did you mean 'gaussian'? (accepted: gaussian, uniform)"}},
    {TASK "outer: {weights: some}\n", NULL, {"unknown choice 'some'", "or a list of numbers"}},
    /* YAML itself */
    {TASK "outer: {steps: 5\n", NULL, {"job.yaml:3: key 'outer': not valid YAML"}},
    {TASK "\toutput: x\n", NULL, {"job.yaml:2: not valid YAML"}},
    {TASK "---\n" TASK, NULL, {"job.yaml:2: the text contains a second YAML document"}},
    {TASK "outer: {steps: !!str 4}\n",
     NULL,
     {"job.yaml:2: key 'outer.steps': expected an integer, got the text \"4\""}},
    {TASK "outer:\n  steps: !pair 4\n",
     NULL,
     {"job.yaml:3: key 'outer.steps': the tag '!pair' has no meaning here"}},
    {TASK "outer: {steps: *unknown}\n",
     NULL,
     {"job.yaml:2: key 'outer.steps': there is no anchor '&unknown'"}},
    {TASK "outer: {steps: 010}\n", NULL, {"expected an integer, got '010'"}},
    {TASK "outer: {steps: 1__0}\n", NULL, {"expected an integer"}},
    {TASK "outer: {steps: 10_}\n", NULL, {"expected an integer"}},
    {TASK "outer: {steps: -0x10}\n", NULL, {"expected an integer"}},
    {TASK "outer: {steps: 1e-400}\n", NULL, {"expected an integer, got '1e-400'"}},
    {TASK "outer: {learning_rate: 1e-400}\n", NULL, {"expected a number, got '1e-400'"}},
    {TASK "outer: {learning_rate: 1e3_0}\n", NULL, {"expected a number"}},
    {TASK "outer: {learning_rate: 1e}\n", NULL, {"expected a number"}},
    {TASK "outer: {learning_rate: ._5}\n", NULL, {"expected a number"}},
    {TASK "outer: {clip: inf}\n", NULL, {"expected a number, got 'inf'"}},
    {TASK "outer: {weights: {last: 0}}\n", NULL, {"key 'outer.weights': unknown choice a map"}},
    {TASK "outer: {weights: {sum: 2}}\n", NULL, {"unknown choice a map", "{last: N}"}},
    {TASK "outer: {weights: {last: 2, sum: 2}}\n", NULL, {"unknown choice a map"}},
    {TASK "\"a\\nb\": 1\n", NULL, {"key 'a?b': unknown key"}},
    {TASK
     "files: {a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: {m: {n: {o: {p: 1}}}}}}}}}}}}}}}}\n",
     NULL,
     {"nested more than 16 deep"}},
    {"%TAG !a! b\n%TAG !b! b\n%TAG !c! b\n%TAG !d! b\n%TAG !e! b\n%TAG !f! b\n%TAG !g! b\n%TAG !h! "
     "b\n%TAG !i! b\n---\n" TASK,
     NULL,
     {"more than 8 lines that begin with %"}},
    {"task: &t\n  family: *t\n",
     NULL,
     {"job.yaml:2: key 'task.family': '*t' is inside the value that '&t'"}},
    /* overrides */
    {TASK,
     "outer.stepps=5",
     {"--set outer.stepps=5: key 'outer.stepps': unknown key; did you mean 'steps'?"}},
    {TASK,
     "outer.steps=x",
     {"--set outer.steps=x: key 'outer.steps': expected an integer, got 'x'"}},
    {TASK, "outer.steps=", {"expected an integer"}},
    {TASK, "outer.steps", {"--set: 'outer.steps' is not of the form key=value"}},
    {TASK, "=5", {"is not of the form key=value"}},
    {TASK, "outer..steps=5", {"empty part"}},
    {TASK, "outer.steps.more=5", {"--set outer.steps.more=5"}},
    {TASK, "seed.more=5", {"--set seed.more=5"}},
    {TASK, "task.1.dimension=5", {"--set task.1.dimension=5"}},
    {"task: [{family: mlp}, {family: mlp}]\n",
     "task.hidden=5",
     {"key 'task.hidden': the value is a list of 2 maps"}},
    {"task: [{family: mlp}, {family: mlp}]\n", "task.2.hidden=5", {"there is no item 2: the list has 2"}},
    {"task: [{family: mlp}, {family: mlp}]\n", "task.1=5", {"task.1.key=value"}},
    {TASK, "outer.steps=5 # five", {"expected an integer, got '5 # five'"}},
    {TASK, "outer.weights=[1, 2] # two", {"but does not end like one"}},
    {TASK, "outer={steps: [}", {"--set outer={steps: [}: not valid YAML"}},
};

static void every_message(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    wl_config *config = NULL;
    const wl_override override = {WL_OVERRIDE_LINE, .text = cases[i].override};
    const wl_status status = wl_config_parse(cases[i].text, "job.yaml", fixture_sections, &override,
                                             cases[i].override != NULL, &config);
    if (status != WL_ERR_CONFIG)
      fail_msg("status %d for:\n%s%s", status, cases[i].text,
               cases[i].override ? cases[i].override : "");
    assert_null(config);
    for (int p = 0; p < 3 && cases[i].parts[p]; ++p)
      if (!strstr(wl_last_error(), cases[i].parts[p]))
        fail_msg("no '%s' in '%s'", cases[i].parts[p], wl_last_error());
  }
}

static void modules_name_the_place(void **state) {
  (void)state;
  wl_config *config = NULL;
  const wl_override override = {WL_OVERRIDE_LINE, .text = "outer.clip=3"};
  assert_int_equal(wl_config_parse(TASK "outer:\n  steps: 5\n", "job.yaml", fixture_sections,
                                   &override, 1, &config),
                   WL_OK);
  const wl_map *const outer = wl_config_map(config, "outer", 0);
  assert_int_equal(wl_map_fail(outer, "steps", "%d is odd", 5), WL_ERR_CONFIG);
  assert_string_equal(wl_last_error(), "job.yaml:3: key 'outer.steps': 5 is odd");
  wl_map_fail(outer, "clip", "no");
  assert_string_equal(wl_last_error(), "--set outer.clip=3: key 'outer.clip': no");
  wl_config_destroy(&config);
}

/* Makes each allocation of a parse fail in turn, in a new parse for each allocation. The parser must report each
 * failure without a leak or a crash. */
static void allocations_may_fail(void **state) {
  (void)state;
  wl_status status = WL_ERR_OS;
  long long k = 1;
  for (; status == WL_ERR_OS && k < 2000; ++k) {
    wl_config *config = NULL;
    wl_fault_request(WL_FAULT_ALLOC, k);
    status = wl_config_parse(TASK, "job.yaml", fixture_sections, NULL, 0, &config);
    wl_fault_request(WL_FAULT_ALLOC, 0);
    if (status != WL_OK) assert_null(config);
    wl_config_destroy(&config);
  }
  assert_int_equal(status, WL_OK);
  assert_true(k > 30);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(allocations_may_fail),
      cmocka_unit_test(every_message),
      cmocka_unit_test(modules_name_the_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
