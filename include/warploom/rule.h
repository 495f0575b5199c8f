/* rule.h - declares everything that a plug-in with an update rule needs (docs/plugins.md). The
 * plug-in includes this header.
 *
 * A plug-in defines a structure wl_rule_ops (rule/rule.h). For a coordinatewise rule whose
 * meta-parameters are single numbers, the plug-in may define a structure wl_elementwise
 * (rule/elementwise.h) instead. The source file ends with WL_PLUGIN_RULE(ops). `warploom plugin
 * build` compiles the plug-in for float32 and for float64. */
#ifndef WARPLOOM_RULE_H
#define WARPLOOM_RULE_H

#include "base/plugin.h"
#include "rule/elementwise.h"
#include "rule/tensors.h"

/* Exports the structure `ops` of type wl_rule_ops as the update rule of the plug-in. The macro
 * WL_DEFINE_RULE(id, text, elementwise) defines a wl_rule_ops with the name wl_rule_<id>. The macro
 * needs a structure wl_elementwise with the name `<id>_rule` and a table of options with the name
 * `<id>_options`. */
#define WL_PLUGIN_RULE(ops) WL_PLUGIN_EXPORT(rule, WL_RULE_LAYOUT, ops)

#endif
