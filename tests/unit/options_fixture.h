/* options_fixture.h - a small table of sections that has one of everything. */
#ifndef WL_TESTS_OPTIONS_FIXTURE_H
#define WL_TESTS_OPTIONS_FIXTURE_H

#include "base/options.h"

/* seed, output; task (a list, by family: quadratic, mlp); rule (by name: lstm, adam; default
 * adam); outer (plain). */
extern const wl_section fixture_sections[];

#endif
