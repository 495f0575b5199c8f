/* task.h - for plug-ins: a task family in a shared object (docs/plugins.md).
 *
 * A plug-in fills a wl_task_family (task/task.h), builds the loss from the operators of tensor/tape.h, draws random
 * numbers with base/rng.h, and ends with WL_PLUGIN_TASK(family). `warploom plugin build` compiles the plug-in for both
 * precisions. */
#ifndef WARPLOOM_TASK_H
#define WARPLOOM_TASK_H

#include "base/plugin.h"
#include "task/family.h"

/* Exports the wl_task_family `family`. */
#define WL_PLUGIN_TASK(family) WL_PLUGIN_EXPORT(task, WL_TASK_LAYOUT, family)

#endif
