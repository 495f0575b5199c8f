/* test_duration.c - tests the parsing of durations in several notations and in the notation of SLURM. Strings that are
 * not durations must be rejected. */
#include <string.h>

#include "cli/duration.h"
#include "unit/cmocka_all.h"

static void test_forms(void **state) {
  (void)state;
  static const struct {
    const char *text;
    double seconds;
  } forms[] = {{"90", 90},          {"90s", 90},           {"1.5h", 5400},        {".5m", 30},
               {"30m", 1800},       {"2d", 172800},        {"2:03", 123},         {"90:00", 5400},
               {"1:02:03", 3723},   {"0-00:01", 60},       {"1-00:00", 86400},    {"2-12", 216000},
               {"2-12:30", 217800}, {"1-02:03:04", 93784}, {"36500d", 3153600000}};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    double seconds = 0;
    assert_int_equal(wl_duration_parse(forms[i].text, "--t", &seconds), WL_OK);
    assert_true(seconds == forms[i].seconds);
  }
}

static void test_no_times(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",     ":",   "1:",  ":1",  "-1",   "-1:00", "1:-30",   "1h30",  "1:60",       "1-24", "1-",
      "-",    "nan", "inf", "0",   "0:00", "0x10",  "1e3",     "1.5.5", "1:2:3:4",    "5 ",   " 5",
      "1-2-3:00:00", ".",   "h",   "1.5:00", "36501d", "99999999999:00", "soon", "+5"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    double seconds = 0;
    if (wl_duration_parse(texts[i], "--t", &seconds) != WL_ERR_USAGE) fail_msg("'%s' is not refused", texts[i]);
    assert_non_null(strstr(wl_last_error(), texts[i]));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_no_times)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
