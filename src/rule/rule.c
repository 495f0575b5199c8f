/* rule.c - creates update rules, calls their functions, and contains the table of all update
 * rules. */
#include "rule/rule.h"

#include "base/plugin_open.h"
#include "rule/tensors.h"

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

static void describe_rule(const void *table, wl_variant *out) {
  const wl_rule_ops *ops = table;
  *out = (wl_variant){ops->name, ops->summary, ops->options, ops};
}

static void fill_variants(void) {
  for (int i = 0; i < RULES; i++) describe_rule(wl_rules[i], &variants[i]);
}

/* Returns the name of a function that the rule must define but does not define. If the rule defines
 * all functions, returns NULL. A rule without an adjoint needs no function `backward`. */
static const char *missing_function(const void *table) {
  const wl_rule_ops *ops = table;
  if (!ops->create) return "create";
  if (!ops->destroy) return "destroy";
  if (!ops->init) return "init";
  if (!ops->pack) return "pack";
  if (!ops->step) return "step";
  if (!ops->ws_create) return "ws_create";
  if (!ops->ws_destroy) return "ws_destroy";
  return ops->ws_bytes ? NULL : "ws_bytes";
}

const wl_plugin_kind wl_rule_plugins = {.name = "rule",
                                        .summary = "an update rule",
                                        .layout = WL_RULE_LAYOUT,
                                        .describe = describe_rule,
                                        .missing = missing_function,
                                        .built_in = wl_rule_variants,
                                        .selector = "name"};

const wl_variant *wl_rule_variants(void) {
  call_once(&variants_once, fill_variants);
  return variants;
}

wl_status wl_rule_create(const wl_map *options, const wl_rule_setting *setting, wl_rule **out) {
  *out = NULL;
  const wl_rule_ops *ops = wl_map_table(options);
  if (ops == NULL)
    return wl_map_fail(
        options, "name",
        "the update rule belongs to a plug-in that has not been loaded");
  wl_rule *rule = NULL;
  WL_TRY(WL_NEW(rule, 1));
  rule->ops = ops;
  wl_plugin_enter(ops, "create");
  wl_status status = ops->create(options, setting, rule);
  if (status == WL_OK && !ops->backward && !rule->forward_only)
    status = wl_map_fail(
        options, "name",
        "the rule has no function `backward`; define this function, or set the rule's member "
        "forward_only");
  if (status != WL_OK) {
    wl_rule_destroy(&rule);
    return status;
  }
  *out = rule;
  return WL_OK;
}

wl_status wl_rule_create_by(const wl_override *keys, int count, const wl_rule_setting *setting,
                            wl_rule **out) {
  *out = NULL;
  const wl_section sections[] = {
      {.name = "rule", .doc = "update rule", .selector = "name", .variants = wl_rule_variants()},
      {0}};
  wl_config *config = NULL;
  WL_TRY(wl_config_parse("", "built-in configuration of an update rule", sections, keys,
                         count, &config));
  const wl_status status = wl_rule_create(wl_config_map(config, "rule", 0), setting, out);
  wl_config_destroy(&config);
  return status;
}

wl_status wl_rule_create_fixed(const char *name, double rate, wl_rule **out) {
  static const wl_layout no_layout;
  const wl_rule_setting setting = {.theta = &no_layout, .episode_steps = 1, .mixture = true};
  const wl_override keys[] = {{WL_OVERRIDE_TEXT, "rule.name", .text = name},
                              {WL_OVERRIDE_REAL, "rule.rate", .real = rate}};
  return wl_rule_create_by(keys, 2, &setting, out);
}

wl_status wl_rule_create_scheduled(const char *name, double rate, const char *schedule,
                                   wl_rule **out) {
  static const wl_layout no_layout;
  const wl_rule_setting setting = {.theta = &no_layout, .episode_steps = 1, .mixture = true};
  const wl_override keys[] = {{WL_OVERRIDE_TEXT, "rule.name", .text = name},
                              {WL_OVERRIDE_REAL, "rule.rate", .real = rate},
                              {WL_OVERRIDE_TEXT, "rule.schedule", .text = schedule}};
  return wl_rule_create_by(keys, 3, &setting, out);
}

void wl_rule_destroy(wl_rule **rule) {
  if (rule == NULL || *rule == NULL) return;
  if ((*rule)->ops->destroy != NULL) (*rule)->ops->destroy(*rule);
  wl_layout_clear(&(*rule)->phi);
  wl_free(*rule);
  *rule = NULL;
}

/* ---- State ---------------------------------------------------------------------------------- */

static int64_t field_reals(const wl_state_field *field, const wl_layout *theta) {
  if (field->extent == WL_STATE_COORDINATE) return wl_pad(theta->size);
  if (field->extent == WL_STATE_WHOLE) return 1;
  if (field->extent == WL_STATE_TENSOR) return theta->count;
  int64_t reals = 0;
  for (int j = 0; j < theta->count; j++) {
    const wl_factored f = wl_factored_of(&theta->tensors[j]);
    reals += field->extent == WL_STATE_ROW ? f.rows : f.columns;
  }
  return reals;
}

int64_t wl_rule_field_offset(const wl_rule *rule, const wl_layout *theta, int field) {
  int64_t at = 0;
  for (int i = 0; i < field; i++) at += field_reals(&rule->fields[i], theta);
  return at;
}

int64_t wl_rule_state_reals(const wl_rule *rule, const wl_layout *theta) {
  if (!rule->tensorwise) return wl_pad(theta->size) * rule->state_width;
  return wl_pad(wl_rule_field_offset(rule, theta, rule->n_fields));
}

int64_t wl_rule_state_index(const wl_rule *rule, int64_t n, int64_t coordinate, int64_t j) {
  if (rule->tensorwise) return j * wl_pad(n) + coordinate;
  return (coordinate / WL_LANES * rule->state_width + j) * WL_LANES + coordinate % WL_LANES;
}

/* ---- Workspace and calls -------------------------------------------------------------------- */

wl_status wl_rule_ws_create(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads,
                            wl_rule_ws **out) {
  *out = NULL;
  WL_CHECK(theta->size >= 0 && threads >= 1);
  wl_rule_ws *ws = NULL;
  WL_TRY(WL_NEW(ws, 1));
  *ws = (wl_rule_ws){.ops = rule->ops, .theta = theta, .threads = threads};
  wl_plugin_enter(rule->ops, "ws_create");
  const wl_status status = rule->ops->ws_create(rule, theta, adjoint, threads, &ws->impl);
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

size_t wl_rule_ws_bytes(const wl_rule *rule, const wl_layout *theta, bool adjoint, int threads) {
  return sizeof(wl_rule_ws) + rule->ops->ws_bytes(rule, theta, adjoint, threads);
}

void wl_rule_pack(const wl_rule *rule, wl_rule_ws *ws, const wl_real *phi) {
  wl_plugin_enter(rule->ops, "pack");
  rule->ops->pack(rule, ws, phi);
}

void wl_rule_step(const wl_rule *rule, wl_rule_ws *ws, const wl_inner_step *step) {
  wl_plugin_enter(rule->ops, "step");
  rule->ops->step(rule, ws, step);
}

void wl_rule_backward(const wl_rule *rule, wl_rule_ws *ws, const wl_rule_chunk *chunk,
                      double *phi_grad) {
  wl_plugin_enter(rule->ops, "backward");
  rule->ops->backward(rule, ws, chunk, phi_grad);
}
