/* json.h - the option `--json FILE` of all subcommands. */
#ifndef WL_CLI_JSON_H
#define WL_CLI_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "base/status.h"

/* The number; null where it is not finite. */
json_t *wl_json_number(double value);
/* The stream for text output with JSON in `path` (NULL: none): standard error if the JSON goes to standard output. */
FILE *wl_json_text_stream(const char *path);
/* Writes `root` to `path` and releases it; "-": standard output. */
wl_status wl_json_write(json_t *root, const char *path);

#endif
