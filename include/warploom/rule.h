/* rule.h - header for plug-ins that add an update rule (docs/plugins.md).
 *
 * A plug-in defines a wl_rule_ops (rule/rule.h). For a coordinatewise rule with scalar parameters, the plug-in may
 * define a wl_elementwise (rule/elementwise.h) instead. The source ends with WL_PLUGIN_RULE(ops). `warploom plugin
 * build` compiles the plug-in for both precisions. */
#ifndef WARPLOOM_RULE_H
#define WARPLOOM_RULE_H

#include "base/plugin.h"
#include "rule/elementwise.h"
#include "rule/tensors.h"

/* Exports the wl_rule_ops `ops`; WL_DEFINE_RULE(id, text, kind) defines wl_rule_<id>. */
#define WL_PLUGIN_RULE(ops) WL_PLUGIN_EXPORT(rule, WL_RULE_LAYOUT, ops)

#endif
