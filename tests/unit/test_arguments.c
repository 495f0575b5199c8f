/* test_arguments.c - tests the parsing of command-line options from a table. */
#include <string.h>

#include "cli/arguments.h"
#include "unit/cmocka_all.h"

static const wl_argument table[] = {{"resume", NULL, "continue"},
                                    {"set", "KEY=VALUE", "override"},
                                    {"stop-after", "N", "stop early"},
                                    {0}};

/* Parses a command line that consists of "train" and up to seven more words. */
static wl_status parse(const char *const *words, wl_arguments *out, char **argv, int *operands) {
  int argc = 1;
  argv[0] = "train";
  for (; words[argc - 1]; ++argc) argv[argc] = (char *)words[argc - 1];
  argv[argc] = NULL;
  return wl_arguments_parse(table, argc, argv, out, operands);
}

static void options_and_operands_in_any_order(void **state) {
  (void)state;
  wl_arguments arguments;
  char *argv[9];
  int operands = 0;
  const char *const words[] = {"job.yaml", "--set", "a=1", "--resume", "--set=b=2", NULL};
  assert_int_equal(parse(words, &arguments, argv, &operands), WL_OK);
  assert_string_equal(argv[operands], "job.yaml");
  assert_int_equal(operands, 5);
  assert_true(wl_argument_given(&arguments, "resume"));
  assert_false(wl_argument_given(&arguments, "stop-after"));
  const char *values[WL_ARGUMENTS_MAX];
  assert_int_equal(wl_argument_all(&arguments, "set", values), 2);
  assert_string_equal(values[0], "a=1");
  assert_string_equal(values[1], "b=2");
  assert_string_equal(wl_argument_text(&arguments, "set", ""), "b=2");
  assert_string_equal(wl_argument_text(&arguments, "stop-after", "none"), "none");
}

static void assert_usage_error(const char *const *words, const char *part) {
  wl_arguments arguments;
  char *argv[9];
  int operands = 0;
  assert_int_equal(parse(words, &arguments, argv, &operands), WL_ERR_USAGE);
  if (!strstr(wl_last_error(), part)) fail_msg("no '%s' in '%s'", part, wl_last_error());
}

static void usage_errors(void **state) {
  (void)state;
  assert_usage_error((const char *[]){"--resum3", NULL},
                     "unknown option '--resum3'; did you mean '--resume'?");
  assert_usage_error((const char *[]){"--what=1", "x", NULL}, "unknown option '--what'; 'warploom");
  assert_usage_error((const char *[]){"-x", NULL}, "unknown option '-x'");
  assert_usage_error((const char *[]){"x", "--stop-after", NULL}, "--stop-after needs a value");
  assert_usage_error((const char *[]){"--resume=1", NULL}, "--resume does not accept a value");
}

static void numbers(void **state) {
  (void)state;
  wl_arguments arguments;
  char *argv[9];
  int operands = 0;
  int64_t n = 5;
  double x = 0;
  assert_int_equal(parse((const char *[]){NULL}, &arguments, argv, &operands), WL_OK);
  assert_int_equal(wl_argument_int(&arguments, "stop-after", 0, 100, &n), WL_OK);
  assert_int_equal(n, 5);
  assert_int_equal(parse((const char *[]){"--stop-after", "12", NULL}, &arguments, argv, &operands),
                   WL_OK);
  assert_int_equal(wl_argument_int(&arguments, "stop-after", 0, 100, &n), WL_OK);
  assert_int_equal(n, 12);
  assert_int_equal(wl_argument_int(&arguments, "stop-after", 0, 10, &n), WL_ERR_USAGE);
  assert_int_equal(wl_argument_real(&arguments, "stop-after", 0, 100, &x), WL_OK);
  assert_true(x == 12);
  assert_int_equal(parse((const char *[]){"--stop-after=1x", NULL}, &arguments, argv, &operands),
                   WL_OK);
  assert_int_equal(wl_argument_int(&arguments, "stop-after", 0, 100, &n), WL_ERR_USAGE);
  assert_int_equal(wl_argument_real(&arguments, "stop-after", 0, 100, &x), WL_ERR_USAGE);
  assert_int_equal(n, 12);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(options_and_operands_in_any_order),
                                     cmocka_unit_test(usage_errors), cmocka_unit_test(numbers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
