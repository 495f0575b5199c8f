/* json.h - what `--json FILE` asks for, the same in every subcommand. */
#ifndef WL_CLI_JSON_H
#define WL_CLI_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "base/status.h"

/* The number; null where it is not finite. */
json_t *wl_json_number(double value);
/* Where text for people goes beside JSON in `path` (NULL: none): standard error when the JSON takes
 * standard output. */
FILE *wl_json_text_stream(const char *path);
/* Writes `root`, which it takes over, to `path`; "-": standard output. */
wl_status wl_json_write(json_t *root, const char *path);

#endif
