/* rule.h - for plug-ins: an update rule in a shared object (docs/plugins.md).
 *
 * A plug-in fills a wl_rule_ops (rule/rule.h), or for a coordinatewise rule with scalar parameters a wl_elementwise
 * (rule/elementwise.h), and ends with WL_PLUGIN_RULE(ops). `warploom plugin build` compiles the plug-in for both
 * precisions. */
#ifndef WARPLOOM_RULE_H
#define WARPLOOM_RULE_H

#include "base/plugin.h"
#include "rule/elementwise.h"
#include "rule/tensors.h"

/* Exports the wl_rule_ops `ops`; WL_DEFINE_RULE(id, text, kind) defines wl_rule_<id>. */
#define WL_PLUGIN_RULE(ops) WL_PLUGIN_EXPORT(rule, WL_RULE_LAYOUT, ops)

#endif
