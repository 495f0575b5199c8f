/* json.c - writes the output of a subcommand as JSON for scripts. */
#include "cli/json.h"

#include <math.h>
#include <string.h>

static int is_standard_output(const char *path) { return path && strcmp(path, "-") == 0; }

json_t *wl_json_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

FILE *wl_json_text_stream(const char *path) { return is_standard_output(path) ? stderr : stdout; }

wl_status wl_json_write(json_t *root, const char *path) {
  const int standard = is_standard_output(path);
  const int failed = standard ? json_dumpf(root, stdout, JSON_INDENT(2))
                              : json_dump_file(root, path, JSON_INDENT(2));
  if (standard) putchar('\n');
  json_decref(root);
  if (!failed) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE,
                 "%s: the JSON file could not be written; check that its folder exists and is writable", path);
}
