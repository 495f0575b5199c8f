/* json.h - the option `--json FILE` of all subcommands. */
#ifndef WL_CLI_JSON_H
#define WL_CLI_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "base/status.h"

/* Returns the number as JSON, or null if the number is not finite. */
json_t *wl_json_number(double value);
/* Returns the stream for text output if JSON is written to `path`, which is NULL if there is no JSON. The stream is
 * standard error if the JSON goes to standard output, and standard output otherwise. */
FILE *wl_json_text_stream(const char *path);
/* Writes `root` to `path`, or to standard output if `path` is "-". Releases `root`. */
wl_status wl_json_write(json_t *root, const char *path);

#endif
