/* plugin.h - declares what a plug-in exports. A plug-in is a shared object that adds a task family
 * or an update rule.
 *
 * A plug-in exports one or more of the symbols warploom_task_float32, warploom_task_float64,
 * warploom_rule_float32 and warploom_rule_float64. Each symbol has the type wl_plugin. The macros
 * WL_PLUGIN_TASK and WL_PLUGIN_RULE (warploom/task.h, warploom/rule.h) define the symbol of the
 * precision for which the source is compiled. A plug-in may call functions of Warploom. The called
 * functions are undefined symbols of the shared object, and the program that loads the plug-in
 * defines these symbols. */
#ifndef WL_BASE_PLUGIN_H
#define WL_BASE_PLUGIN_H

#include <stdint.h>

#include "base/layout.h"
#include "base/options.h"
#include "base/rng.h"

/* Version of the interface between the program and its plug-ins. A developer increases this number
 * when a struct, an enumerator or the meaning of a function in the installed headers changes. */
enum { WL_PLUGIN_ABI = 1 };

/* A number that depends on the sizes of the structs of src/base that plug-ins use. Each kind of
 * plug-in combines this number with the sizes of further structs. */
#define WL_SHARED_LAYOUT                                                                 \
  (((uint32_t)sizeof(wl_option) * 251 + (uint32_t)sizeof(wl_tensor_entry)) * 251 * 251 + \
   (uint32_t)(sizeof(wl_stream) + sizeof(wl_layout)) * 251 + (uint32_t)WL_FOR_COUNT)

typedef struct wl_plugin {
  /* WL_PLUGIN_ABI of the headers; this member is the first one in every version of the struct */
  uint32_t abi;
  uint32_t
      /* A number that depends on the sizes of the structs that the program and the plug-in share.
       * The number reveals a changed struct even if WL_PLUGIN_ABI is unchanged. */
      layout;
  const void *table; /* address of the wl_task_family or wl_rule_ops that the plug-in defines */
} wl_plugin;

#ifdef WL_DOUBLE
#define WL_PLUGIN_SYMBOL(kind) warploom_##kind##_float64
#else
#define WL_PLUGIN_SYMBOL(kind) warploom_##kind##_float32
#endif

#define WL_PLUGIN_EXPORT(kind, struct_sizes, object)                                \
  extern const wl_plugin WL_PLUGIN_SYMBOL(kind);                                    \
  __attribute__((visibility("default"))) const wl_plugin WL_PLUGIN_SYMBOL(kind) = { \
      WL_PLUGIN_ABI, (struct_sizes), &(object)}

#endif
