/* json_schema.h - the table of keys as a JSON Schema. */
#ifndef WL_CLI_JSON_SCHEMA_H
#define WL_CLI_JSON_SCHEMA_H

#include <jansson.h>

#include "base/options.h"

/* Returns the JSON Schema of a configuration (draft 2020-12), with types, choices, ranges, defaults and descriptions.
 * The names x-unit, x-identity and x-resume-may-change describe properties that JSON Schema does not have. The caller
 * owns the new reference. Returns NULL if memory is exhausted. */
json_t *wl_json_schema(const wl_section *sections);

#endif
