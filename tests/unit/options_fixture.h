/* options_fixture.h - a small table of sections that has one of everything. */
#ifndef WL_TESTS_OPTIONS_FIXTURE_H
#define WL_TESTS_OPTIONS_FIXTURE_H

#include "base/options.h"

/* seed, output; task (a list, by family: quadratic, mlp); rule (by name: lstm, adam; default
 * adam); outer (plain). */
extern const wl_section fixture_sections[];

/* What some of the tables are read into. */
typedef struct fixture_outer {
  int64_t steps;
  double learning_rate, clip;
  bool nesterov;
  wl_choice_or_reals weights;
} fixture_outer;
typedef struct fixture_quadratic {
  int64_t dimension;
  enum { FIXTURE_GAUSSIAN, FIXTURE_UNIFORM } distribution;
} fixture_quadratic;
typedef struct fixture_mlp {
  wl_ints hidden;
  wl_strings files;
} fixture_mlp;
extern const wl_option fixture_outer_options[], fixture_quadratic_options[], fixture_mlp_options[];

/* The rows of the key `noise` of every task, read into a wl_draw. */
extern const wl_option *const fixture_noise;

#endif
