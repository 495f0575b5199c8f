/* json_schema.h - converts the table of configuration keys to a JSON Schema. */
#ifndef WL_CLI_JSON_SCHEMA_H
#define WL_CLI_JSON_SCHEMA_H

#include <jansson.h>

#include "base/options.h"

/* Returns the JSON Schema (draft 2020-12) that a configuration must satisfy. The schema has the
 * type, choices, range, default and description of each key. Three names are not part of JSON
 * Schema. The name x-unit contains the unit of a key. The name x-identity says whether the key is
 * part of the identity of a run. The name x-resume-may-change says whether a resumed run may change
 * the key. The caller owns the new reference. Returns NULL if there is not enough memory. */
json_t *wl_json_schema(const wl_section *sections);

#endif
