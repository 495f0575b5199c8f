/* json.h - the option `--json FILE` of all subcommands. */
#ifndef WL_CLI_JSON_H
#define WL_CLI_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "base/status.h"

/* Returns the number as JSON; null if the number is not finite. */
json_t *wl_json_number(double value);
/* Returns the stream for text output when JSON goes to `path` (NULL: no JSON): standard error if the JSON goes to
 * standard output, else standard output. */
FILE *wl_json_text_stream(const char *path);
/* Writes `root` to `path` and releases it; "-": standard output. */
wl_status wl_json_write(json_t *root, const char *path);

#endif
