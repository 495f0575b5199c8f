/* task.h - declares everything that a plug-in with a task family needs (docs/plugins.md). The
 * plug-in includes this header.
 *
 * A plug-in defines a structure wl_task_family (task/task.h). The family builds the loss from the
 * operators of tensor/tape.h and draws random numbers with base/rng.h. The source file ends with
 * WL_PLUGIN_TASK(family). `warploom plugin build` compiles the plug-in for float32 and for
 * float64. */
#ifndef WARPLOOM_TASK_H
#define WARPLOOM_TASK_H

#include "base/plugin.h"
#include "task/family.h"

/* Exports the structure `family` of type wl_task_family as the task family of the plug-in. */
#define WL_PLUGIN_TASK(family) WL_PLUGIN_EXPORT(task, WL_TASK_LAYOUT, family)

#endif
