/* json_schema.h - the table of keys as a JSON Schema. */
#ifndef WL_CLI_JSON_SCHEMA_H
#define WL_CLI_JSON_SCHEMA_H

#include <jansson.h>

#include "base/options.h"

/* Returns the schema of a configuration (draft 2020-12): types, choices, ranges, defaults, descriptions. x-unit,
 * x-identity and x-resume-may-change add properties that JSON Schema does not have. The caller owns the new reference;
 * NULL if out of memory. */
json_t *wl_json_schema(const wl_section *sections);

#endif
