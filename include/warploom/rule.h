/* rule.h - the header that a plug-in with an update rule includes (docs/plugins.md).
 *
 * A plug-in defines a structure wl_rule_ops (rule/rule.h). If each meta-parameter of a
 * coordinatewise rule is one number, the plug-in may define a structure wl_elementwise
 * (rule/elementwise.h) instead. The source file ends with WL_PLUGIN_RULE(ops). `warploom plugin
 * build` compiles the plug-in for float32 and for float64. */
#ifndef WARPLOOM_RULE_H
#define WARPLOOM_RULE_H

#include "base/plugin.h"
#include "rule/elementwise.h"
#include "rule/tensors.h"

/* Exports the update rule `ops`, a wl_rule_ops. WL_DEFINE_RULE(id, text, kind) defines such a rule
 * with the name wl_rule_<id>. */
#define WL_PLUGIN_RULE(ops) WL_PLUGIN_EXPORT(rule, WL_RULE_LAYOUT, ops)

#endif
