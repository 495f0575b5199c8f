/* rule.c - the table of update rules, their creation, and the calls that pass through it. */
#include "rule/rule.h"

#include <stdio.h>
#include <string.h>
#include <threads.h>

#define WL_RULE(id) extern const wl_rule_ops wl_rule_##id;
#include "rule/rules.def"
#undef WL_RULE

#define WL_RULE(id) &wl_rule_##id,
const wl_rule_ops *const wl_rules[] = {
#include "rule/rules.def"
    NULL};
#undef WL_RULE

enum { RULES = sizeof wl_rules / sizeof *wl_rules - 1 };

static wl_variant variants[RULES + 1];
static once_flag variants_once = ONCE_FLAG_INIT;

static void fill_variants(void) {
  for (int i = 0; i < RULES; i++)
    variants[i] = (wl_variant){wl_rules[i]->name, wl_rules[i]->summary, wl_rules[i]->options};
}

const wl_variant *wl_rule_variants(void) {
  call_once(&variants_once, fill_variants);
  return variants;
}

static const wl_rule_ops *find(const char *name) {
  for (int i = 0; i < RULES; i++)
    if (strcmp(wl_rules[i]->name, name) == 0) return wl_rules[i];
  return NULL;
}

wl_status wl_rule_create(const wl_map *options, const wl_rule_setting *setting, wl_rule **out) {
  *out = NULL;
  const char *name = wl_map_variant(options);
  const wl_rule_ops *ops = find(name);
  if (ops == NULL)
    return WL_FAIL(WL_ERR_CONFIG, "there is no update rule '%s'; --list rules prints them", name);
  wl_rule *rule = NULL;
  WL_TRY(WL_NEW(rule, 1));
  rule->ops = ops;
  const wl_status status = ops->create(options, setting, rule);
  if (status != WL_OK) {
    wl_rule_destroy(&rule);
    return status;
  }
  *out = rule;
  return WL_OK;
}

/* Goes through the configuration, so that the defaults are those of the table of options. */
wl_status wl_rule_create_fixed(const char *name, double rate, wl_rule **out) {
  *out = NULL;
  const wl_section sections[] = {{.name = "rule",
                                  .doc = "update rule",
                                  .selector = "name",
                                  .variants = wl_rule_variants(),
                                  .list = false},
                                 {0}};
  char text[160];
  const int length = snprintf(text, sizeof text, "rule: {name: %s, rate: %.17g}\n", name, rate);
  WL_CHECK(length > 0 && length < (int)sizeof text);
  wl_config *config = NULL;
  WL_TRY(wl_config_parse(text, "baseline rule", sections, NULL, 0, &config));
  static const wl_layout no_layout;
  const wl_rule_setting setting = {.theta = &no_layout, .episode_steps = 1, .mixture = true};
  const wl_status status = wl_rule_create(wl_config_map(config, "rule", 0), &setting, out);
  wl_config_destroy(&config);
  return status;
}

void wl_rule_destroy(wl_rule **rule) {
  if (rule == NULL || *rule == NULL) return;
  if ((*rule)->ops->destroy != NULL) (*rule)->ops->destroy(*rule);
  wl_layout_clear(&(*rule)->phi);
  wl_free(*rule);
  *rule = NULL;
}

wl_status wl_rule_ws_create(const wl_rule *rule, int64_t max_blocks, int threads,
                            wl_rule_ws **out) {
  *out = NULL;
  WL_CHECK(max_blocks >= 0 && threads >= 1);
  wl_rule_ws *ws = NULL;
  WL_TRY(WL_NEW(ws, 1));
  *ws = (wl_rule_ws){.ops = rule->ops, .max_blocks = max_blocks, .threads = threads};
  const wl_status status = rule->ops->ws_create(rule, max_blocks, threads, &ws->impl);
  if (status != WL_OK) {
    wl_free(ws);
    return status;
  }
  *out = ws;
  return WL_OK;
}

void wl_rule_ws_destroy(wl_rule_ws **ws) {
  if (ws == NULL || *ws == NULL) return;
  (*ws)->ops->ws_destroy((*ws)->impl);
  wl_free(*ws);
  *ws = NULL;
}

size_t wl_rule_ws_bytes(const wl_rule *rule, int64_t max_blocks, int threads) {
  return sizeof(wl_rule_ws) + rule->ops->ws_bytes(rule, max_blocks, threads);
}

void wl_rule_pack(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi) {
  rule->ops->pack(rule, ws, phi);
}

void wl_rule_step(const wl_rule *rule, wl_rule_ws *ws, int64_t t, int64_t blocks, const wl_real *g,
                  const wl_real *theta, const wl_real *s_in, wl_real *s_out, wl_real *u) {
  rule->ops->step(rule, ws, t, blocks, g, theta, s_in, s_out, u);
}

void wl_rule_step_taped(const wl_rule *rule, wl_rule_ws *ws, int64_t t, int64_t blocks,
                        const wl_real *g, const wl_real *theta, const wl_real *s_in, wl_real *s_out,
                        wl_real *u, wl_real *tape) {
  if (tape) rule->ops->step_taped(rule, ws, t, blocks, g, theta, s_in, s_out, u, tape);
  else rule->ops->step(rule, ws, t, blocks, g, theta, s_in, s_out, u);
}

void wl_rule_backward(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                      double *phi_grad) {
  rule->ops->backward(rule, ws, chunk, phi_grad);
}
