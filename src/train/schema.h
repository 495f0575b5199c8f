/* schema.h - every section of the configuration, in one table. */
#ifndef WL_TRAIN_SCHEMA_H
#define WL_TRAIN_SCHEMA_H

#include "base/options.h"
#include "unroll/window.h"

/* All sections, ends with name NULL. Valid for the life of the process. */
const wl_section *wl_schema(void);
/* The section of that name, NULL if there is none. */
const wl_section *wl_schema_section(const char *name);

/* The `window` section as the engine's policy. The list of weights is borrowed from the configuration. */
wl_status wl_schema_window(const wl_config *config, wl_window_spec *spec);

#endif
