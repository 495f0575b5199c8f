/* rule_fixture.h - creates a rule or a preconditioner from one line of configuration text, for tests. */
#ifndef WL_TESTS_RULE_FIXTURE_H
#define WL_TESTS_RULE_FIXTURE_H

#include <math.h>

#include "precondition/precondition.h"
#include "rule/rule.h"

/* Parses and validates `<section>: {<text>}` with the given tables of variants. */
wl_status fixture_config(const char *section, const wl_variant *variants, const char *text,
                         wl_config **out);

/* Creates a preconditioner from `precondition: {<text>}` and `episode: {<episode>}`. The episode has 3 steps unless
 * `episode` sets another number. */
wl_status fixture_precondition(const char *text, const char *episode, const wl_layout *theta,
                               wl_precondition **out);

/* Creates a layout of three tensors with 20, 6 and n - 26 coordinates. All coordinates of block 0 belong to the first
 * tensor, and block 1 contains coordinates of all three tensors. */
wl_status fixture_theta(int64_t n, wl_layout *theta);

typedef struct rule_fixture {
  wl_layout theta;
  int64_t n, blocks;
  wl_rule *rule;
  wl_rule_ws *ws;
  wl_real *phi; /* initial meta-parameters, which wl_rule_pack has already packed */
} rule_fixture;

/* Creates a rule from a string such as "name: adam, rate: 0.1". If the string is invalid, the running test fails. */
void rule_fixture_open(rule_fixture *f, const char *text, int64_t n, int64_t episode_steps);
void rule_fixture_close(rule_fixture *f);

/* Creates the arguments of an inner step, without a horizon and without a loss. */
#define FIXTURE_STEP(...) (&(wl_inner_step){FIXTURE_STEP_(__VA_ARGS__)})
#define FIXTURE_STEP_(t, blocks, g, theta, s_in, s_out, u) \
  t, 0, NAN, blocks, g, theta, s_in, s_out, u, NULL

/* Draws out[0..count) from the normal distribution N(0, sd^2). The numbers depend only on `stream`, the number of a
 * random stream. */
void fixture_normal(uint64_t stream, int64_t count, double sd, wl_real *out);

#endif
