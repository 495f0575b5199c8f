/* plugin_new.c - writes a new plug-in: copies an example and replaces its name. */
#include "cli/plugin_new.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/executable_dir.h"

/* An example plug-in: its kind ("task" or "rule"), its name, and a configuration that uses it. The
 * source and the configuration contain the name of the example, and put_renamed replaces this name
 * by the name of the new plug-in. */
typedef struct example {
  const char *kind, *name, *configuration;
} example;

static const example examples[] = {
    {"task", "welsch",
     "# warploom check welsch.yaml --set rule.through_inputs=true     (false omits a part of the second "
     "order)\n"
     "seed: 1\n"
     "task: {plugin: ./welsch.so}\n"
     "rule: {name: lstm, hidden: [20, 20], preprocessing: log, momentum: 0.9, rate: 0.1, output_scale: 0.1}\n"
     "episode: {steps: 100}\n"
     "window: {steps: 25, weights: {last: 5}, loss: log, order: second}\n"
     "outer: {steps: 500, units: 8, learning_rate: 1e-3}\n"
     "checkpoint: {every: 100}\n"},
    {"rule", "soft_clip",
     "seed: 1\n"
     "task: {family: quadratic}\n"
     "rule: {plugin: ./soft_clip.so, rate: 0.1, learn: [rate, bound]}\n"
     "episode: {steps: 100}\n"
     "window: {steps: 25, weights: {last: 5}, loss: log, order: second}\n"
     "outer: {steps: 200, units: 8, learning_rate: 1e-2}\n"
     "checkpoint: {every: 100}\n"},
};

/* Opens the source of an example in the source tree or in the installation. */
static wl_status open_source(const example *e, FILE **file) {
  static const char *const places[] = {"../examples/plugins", "../share/warploom/examples/plugins",
                                       "../../share/warploom/examples/plugins"};
  char self[PATH_MAX - 64], path[PATH_MAX + 64];
  WL_TRY(wl_executable_dir(self, sizeof self));
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(path, sizeof path, "%s/%s/%s.c", self, places[i], e->name);
    *file = fopen(path, "r");
    if (*file) return WL_OK;
  }
  return WL_FAIL(WL_ERR_NO_INPUT,
                 "the example %s.c is not installed with the program in %s; install the examples, or use the "
                 "source tree", e->name,
                 self);
}

/* Writes `text` to `out` and replaces every occurrence of `from` by `to`. */
static void put_renamed(const char *text, const char *from, const char *to, FILE *out) {
  for (const char *next; (next = strstr(text, from)); text = next + strlen(from)) {
    fwrite(text, 1, (size_t)(next - text), out);
    fputs(to, out);
  }
  fputs(text, out);
}

static wl_status create(const char *name, const char *suffix, FILE **out) {
  char path[300];
  snprintf(path, sizeof path, "%s%s", name, suffix);
  *out = fopen(path, "wx");
  if (*out) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE, "%s: %s", path,
                 errno == EEXIST ? "the file already exists; choose another name" : strerror(errno));
}

static wl_status close_written(FILE *out, const char *name) {
  return fclose(out) == 0 ? WL_OK : WL_FAIL(WL_ERR_IO, "%s: %s", name, strerror(errno));
}

static wl_status copy_source(const example *e, const char *name) {
  FILE *in = NULL, *out = NULL;
  char line[1024];
  WL_TRY(open_source(e, &in));
  const wl_status status = create(name, ".c", &out);
  while (status == WL_OK && fgets(line, sizeof line, in)) put_renamed(line, e->name, name, out);
  fclose(in);
  return status == WL_OK ? close_written(out, name) : status;
}

static wl_status check_name(const char *name) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  const size_t length = strlen(name);
  if (length > 0 && length < 64 && strspn(name, letters) == length &&
      !isdigit((unsigned char)name[0]))
    return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "'%s' cannot be the name of a plug-in: use fewer than 64 letters, digits and _, "
                               "and do not begin with a digit",
                 name);
}

wl_status wl_plugin_new(const char *kind, const char *name) {
  WL_TRY(check_name(name));
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
    if (strcmp(examples[i].kind, kind) != 0) continue;
    FILE *out = NULL;
    WL_TRY(copy_source(&examples[i], name));
    WL_TRY(create(name, ".yaml", &out));
    put_renamed(examples[i].configuration, examples[i].name, name, out);
    WL_TRY(close_written(out, name));
    wl_log_info("wrote %s.c and %s.yaml; change these examples, then run 'warploom plugin build %s.c'", name,
                name, name);
    return WL_OK;
  }
  return WL_FAIL(WL_ERR_USAGE, "plugin new %s: this kind is unknown; accepted are task and rule", kind);
}
