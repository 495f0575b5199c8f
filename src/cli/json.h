/* json.h - implements the option `--json FILE` of the subcommands. */
#ifndef WL_CLI_JSON_H
#define WL_CLI_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "base/status.h"

/* Returns the number as a JSON value. The value is null if the number is not finite. */
json_t *wl_json_number(double value);
/* Returns the stream on which a subcommand prints its text. If `path` is "-", the JSON is written
 * to standard output, and the stream is standard error. If `path` is another path, or NULL because
 * no JSON is written, the stream is standard output. */
FILE *wl_json_text_stream(const char *path);
/* Writes `root` to `path`, or to standard output if `path` is "-". Releases `root`. */
wl_status wl_json_write(json_t *root, const char *path);

#endif
