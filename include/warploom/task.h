/* task.h - header for plug-ins that add a task family (docs/plugins.md).
 *
 * A plug-in defines a wl_task_family (task/task.h). The family builds the loss from the operators of tensor/tape.h and
 * draws random numbers with base/rng.h. The source ends with WL_PLUGIN_TASK(family). `warploom plugin build` compiles
 * the plug-in for both precisions. */
#ifndef WARPLOOM_TASK_H
#define WARPLOOM_TASK_H

#include "base/plugin.h"
#include "task/family.h"

/* Exports the wl_task_family `family`. */
#define WL_PLUGIN_TASK(family) WL_PLUGIN_EXPORT(task, WL_TASK_LAYOUT, family)

#endif
