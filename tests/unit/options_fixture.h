/* options_fixture.h - declares a small table of configuration sections with keys of every type. */
#ifndef WL_TESTS_OPTIONS_FIXTURE_H
#define WL_TESTS_OPTIONS_FIXTURE_H

#include "base/options.h"

/* The table contains `seed` and `output` at the top level and three sections. `task` is a list with the families
 * quadratic and mlp. `rule` is lstm or adam, by default adam. `outer` has no variants. */
extern const wl_section fixture_sections[];

/* The structs into which the tests read the values of some sections. */
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

/* The table row of the key `noise`, which every family of `task` has. The value of `noise` is stored in a wl_draw. */
extern const wl_option *const fixture_noise;

#endif
