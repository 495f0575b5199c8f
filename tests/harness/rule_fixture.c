/* rule_fixture.c - see rule_fixture.h. */
#include "harness/rule_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

wl_status fixture_config(const char *section, const wl_variant *variants, const char *text,
                         wl_config **out) {
  static wl_section sections[2]; /* the configuration keeps pointers to these sections, so they must remain valid */
  sections[0] =
      (wl_section){.name = section, .doc = "under test", .selector = "name", .variants = variants};
  char yaml[512];
  snprintf(yaml, sizeof yaml, "%s: {%s}\n", section, text);
  return wl_config_parse(yaml, "test.yaml", sections, NULL, 0, out);
}

wl_status fixture_precondition(const char *text, const char *episode, const wl_layout *theta,
                               wl_precondition **out) {
  const wl_section sections[] = {
      {.name = "precondition",
       .doc = "under test",
       .selector = "name",
       .variants = wl_precondition_variants()},
      {.name = "episode", .doc = "its run", .options = wl_episode_options},
      {0}};
  char yaml[512];
  wl_config *config = NULL;
  snprintf(yaml, sizeof yaml, "precondition: {%s}\nepisode: {%s}\n", text, episode);
  wl_status status = wl_config_parse(yaml, "test.yaml", sections, NULL, 0, &config);
  if (status == WL_OK) status = wl_precondition_create(config, theta, out);
  wl_config_destroy(&config);
  return status;
}

wl_status fixture_theta(int64_t n, wl_layout *theta) {
  *theta = (wl_layout){0};
  WL_TRY(wl_layout_add(theta, "", "a", 1, (int64_t[]){20}, NULL));
  WL_TRY(wl_layout_add(theta, "", "b", 2, (int64_t[]){2, 3}, NULL));
  return wl_layout_add(theta, "", "c", 1, (int64_t[]){n - 26}, NULL);
}

void rule_fixture_open(rule_fixture *f, const char *text, int64_t n, int64_t episode_steps) {
  *f = (rule_fixture){.n = n, .blocks = wl_blocks(n)};
  assert_int_equal(fixture_theta(n, &f->theta), WL_OK);
  wl_config *config = NULL;
  if (fixture_config("rule", wl_rule_variants(), text, &config) != WL_OK)
    fail_msg("%s", wl_last_error());
  const wl_rule_setting setting = {.theta = &f->theta, .episode_steps = episode_steps};
  if (wl_rule_create(wl_config_map(config, "rule", 0), &setting, &f->rule) != WL_OK)
    fail_msg("%s", wl_last_error());
  wl_config_destroy(&config);
  assert_int_equal(wl_rule_ws_create(f->rule, &f->theta, true, 1, &f->ws), WL_OK);
  assert_int_equal(WL_NEW(f->phi, f->rule->phi.size + 1), WL_OK);
  f->rule->ops->init(f->rule, 1, f->phi);
  wl_rule_pack(f->rule, f->ws, f->phi);
}

void rule_fixture_close(rule_fixture *f) {
  wl_rule_ws_destroy(&f->ws);
  wl_rule_destroy(&f->rule);
  wl_layout_clear(&f->theta);
  wl_free(f->phi);
}

void fixture_normal(uint64_t stream, int64_t count, double sd, wl_real *out) {
  wl_rng_normal((wl_stream){.seed = 7, .purpose = WL_FOR_PROBE, .index = stream}, 0, count, sd,
                out);
}
