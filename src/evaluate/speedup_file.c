/* speedup_file.c - writes and reads the curves of baselines as an HDF5 file of kind "baselines".
 * The file has a group for each task, and the group of a task has a group for each baseline. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "base/real.h"
#include "evaluate/speedup_impl.h"
#include "io/checkpoint.h"
#include "task/task.h"

enum { FIELDS_OF_CURVE = 3 };

static wl_field field(const wl_suite_task *t, const char *rule, const char *name, wl_type type,
                      void *data) {
  wl_field f = {.type = type, .ndim = 1, .data = data, .units = "1"};
  snprintf(f.name, sizeof f.name, "%.48s/%.40s%s%s", t->name, rule, rule[0] ? "/" : "", name);
  return f;
}

static void describe(wl_field *f, int ndim, int64_t a, int64_t b, const char *dims,
                     const char *meaning) {
  f->ndim = ndim;
  f->shape[0] = a;
  f->shape[1] = b;
  snprintf(f->dims[0], sizeof f->dims[0], "%s", dims);
  if (ndim > 1) snprintf(f->dims[1], sizeof f->dims[1], "point");
  snprintf(f->long_name, sizeof f->long_name, "%s", meaning);
}

static wl_field definition_field(const wl_suite_task *t) {
  wl_field f = field(t, "", "definition", WL_UINT8, t->definition);
  describe(&f, 1, (int64_t)strlen(t->definition), 0, "character",
           "YAML text that defines the task and how losses are measured");
  return f;
}

static void curve_fields(const wl_suite_task *t, wl_baseline_curve *c,
                         wl_field out[FIELDS_OF_CURVE]) {
  out[0] = field(t, c->baseline.name, "steps", WL_INT64, c->steps);
  describe(&out[0], 1, c->points, 0, "point", "inner steps at which the loss was measured");
  out[1] = field(t, c->baseline.name, "loss", WL_FLOAT64, c->loss);
  describe(&out[1], 2, WL_SPEEDUP_RATES, c->points, "rate",
           "mean loss over the runs of each rate, without smoothing; NaN if a run diverged");
  out[2] = field(t, c->baseline.name, "diverged", WL_INT64, c->diverged);
  describe(&out[2], 1, WL_SPEEDUP_RATES, 0, "rate", "number of runs whose loss became non-finite");
}

/* Returns the length of the line at `text`, without its newline. */
static size_t line_length(const char *text) { return strcspn(text, "\n"); }

static bool has_line(const char *text, const char *line, size_t length) {
  for (; *text; text += line_length(text), text += *text == '\n')
    if (line_length(text) == length && memcmp(text, line, length) == 0) return true;
  return false;
}

static bool is_default_of(const wl_option *options, const char *key, const char *value) {
  for (; options && options->key; options++)
    if (strcmp(options->key, key) == 0) {
      char *end_a, *end_b;
      const char *const fallback = options->fallback ? options->fallback : "";
      const double a = strtod(fallback, &end_a), b = strtod(value, &end_b);
      return strcmp(fallback, value) == 0 || (*fallback && *value && !*end_a && !*end_b && a == b);
    }
  return false;
}

/* Returns true if the line "key: value" of the task's definition sets the key to its default. */
static bool is_default(const wl_suite_task *t, const char *line, size_t length) {
  char key[64], value[256];
  line += strspn(line, " -");
  const size_t name = strcspn(line, ":");
  if (name >= sizeof key || length >= sizeof value || strncmp(line + name, ": ", 2) != 0)
    return false;
  snprintf(key, sizeof key, "%.*s", (int)name, line);
  snprintf(value, sizeof value, "%.*s", (int)line_length(line + name + 2), line + name + 2);
  return is_default_of(wl_task_common_options, key, value) ||
         is_default_of(wl_map_options(t->map), key, value) ||
         is_default_of(wl_suite_keys, key, value) || is_default_of(wl_suite_task_keys, key, value);
}

/* Returns true if the line "key: value" of a definition sets a key that does not change the stored losses. A key such as
 * `horizons` determines only the length of new curves. */
static bool is_ignored(const char *line, size_t length) {
  static const char *const keys[] = {"suite",
                                     "reach",
                                     "smoothing",
                                     "  horizons",
                                     "  proportion",
                                     "  reference_steps",
                                     "  reference_losses"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const size_t n = strlen(keys[i]);
    if (n < length && memcmp(line, keys[i], n) == 0 && line[n] == ':') return true;
  }
  return false;
}

/* Returns true if the definition `stored` in a file is valid for the task. Lines of keys that do not change the stored
 * losses are ignored. Every other line of `stored` must be in the definition of the task. The definition of the task
 * may have more lines, because keys may have been added after the file was written. All additional lines must set keys
 * to their defaults. */
static bool same_definition(const wl_suite_task *t, const char *stored) {
  const char *line;
  for (line = stored; *line; line += line_length(line), line += *line == '\n') {
    const size_t length = line_length(line);
    if (!is_ignored(line, length) && !has_line(t->definition, line, length)) return false;
  }
  for (line = t->definition; *line; line += line_length(line), line += *line == '\n') {
    const size_t length = line_length(line);
    if (!is_ignored(line, length) && !has_line(stored, line, length) &&
        !is_default(t, line, length))
      return false;
  }
  return true;
}

static wl_status same_task(const wl_file *file, const wl_suite_task *t, bool *same) {
  wl_field f = definition_field(t), stored;
  char *text = NULL;
  *same = false;
  if (!wl_file_has(file, f.name)) return WL_OK;
  WL_TRY(wl_file_query(file, f.name, &stored));
  if (stored.type != WL_UINT8 || stored.ndim != 1 || stored.shape[0] < 0) return WL_OK;
  f.shape[0] = stored.shape[0];
  WL_TRY(WL_NEW(text, f.shape[0] + 1));
  f.data = text;
  const wl_status status = wl_file_read(file, &f);
  *same = status == WL_OK && same_definition(t, text);
  wl_free(text);
  return status;
}

static wl_status read_curve(const wl_file *file, const wl_suite_task *t, wl_baseline_curve *c) {
  wl_field fields[FIELDS_OF_CURVE], stored;
  curve_fields(t, c, fields);
  WL_TRY(wl_file_query(file, fields[0].name, &stored));
  if (stored.ndim != 1 || stored.shape[0] < 1 || stored.shape[0] > 100000000)
    return WL_FAIL(WL_ERR_DATA, "the dataset '%s' of the file of curves is not a list of steps; remove the "
                                "file and compute the curves again", fields[0].name);
  c->points = stored.shape[0];
  WL_TRY(WL_NEW(c->steps, c->points));
  WL_TRY(WL_NEW(c->loss, WL_SPEEDUP_RATES * c->points));
  WL_TRY(WL_NEW(c->diverged, WL_SPEEDUP_RATES));
  WL_TRY(WL_NEW(c->best, c->points));
  curve_fields(t, c, fields);
  for (int i = 0; i < FIELDS_OF_CURVE; i++) WL_TRY(wl_file_read(file, &fields[i]));
  for (int64_t k = 1; k < c->points; k++)
    if (c->steps[k] <= c->steps[k - 1])
      return WL_FAIL(WL_ERR_DATA, "the steps in the dataset '%s' of the file of curves are not in rising "
                                  "order; remove the file and compute the curves again", fields[0].name);
  return WL_OK;
}

wl_baseline_curve *wl_curve_find(wl_task_curves *curves, const char *name) {
  for (int i = 0; i < curves->count; i++)
    if (strcmp(curves->curve[i].baseline.name, name) == 0) return &curves->curve[i];
  return NULL;
}

/* ---- Reading -------------------------------------------------------------------------------- */

static wl_status read_task(const wl_file *file, const wl_suite_task *t, wl_task_curves *out) {
  wl_baseline all[WL_MAX_BASELINES];
  const int count = wl_baselines(all);
  bool same;
  WL_TRY(same_task(file, t, &same));
  for (int i = 0; same && i < count; i++) {
    wl_field f = field(t, all[i].name, "steps", WL_INT64, NULL);
    if (!wl_file_has(file, f.name) || wl_curve_find(out, all[i].name)) continue;
    wl_baseline_curve *c = &out->curve[out->count++];
    *c = (wl_baseline_curve){.baseline = all[i]};
    WL_TRY(read_curve(file, t, c));
  }
  return WL_OK;
}

static wl_status load_file(const char *path, const wl_suite *suite, wl_task_curves *curves) {
  wl_file *file = NULL;
  if (access(path, F_OK) != 0) return WL_OK;
  WL_TRY(wl_file_open(path, "baselines", &file));
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < suite->count; i++)
    status = read_task(file, &suite->tasks[i], &curves[i]);
  wl_file_close(&file);
  return status;
}

wl_status wl_speedup_load(const char *paths, const wl_suite *suite, wl_task_curves *curves) {
  char path[PATH_MAX];
  for (const char *rest = paths; *rest;) {
    const size_t length = strcspn(rest, ",");
    snprintf(path, sizeof path, "%.*s", (int)length, rest);
    WL_TRY(load_file(path, suite, curves));
    rest += length + (rest[length] == ',');
  }
  return WL_OK;
}

/* ---- Writing -------------------------------------------------------------------------------- */

/* The datasets of a new file. The data of the datasets with the index `first_read` and above were read from the earlier
 * file and belong to this struct. */
typedef struct content {
  wl_field *fields;
  int count, first_read;
  bool superseded; /* true if the earlier file has curves that the new file does not contain */
} content;

static void clear_content(content *c) {
  for (int i = c->first_read; i < c->count; i++) wl_free(c->fields[i].data);
  wl_free(c->fields);
}

/* Returns the index of the task that has this dataset, or -1 if the suite does not have the task. */
static int task_of(const wl_suite *suite, const char *dataset) {
  const size_t n = strcspn(dataset, "/");
  for (int i = 0; i < suite->count; i++)
    if (strlen(suite->tasks[i].name) == n && memcmp(suite->tasks[i].name, dataset, n) == 0)
      return i;
  return -1;
}

/* Reads a dataset into memory that the caller frees with wl_free(out->data). */
static wl_status read_dataset(const wl_file *file, const char *name, wl_field *out) {
  WL_TRY(wl_file_query(file, name, out));
  WL_TRY(wl_alloc(&out->data, (size_t)wl_field_count(out) + 1, wl_type_size(out->type)));
  const wl_status status = wl_file_read(file, out);
  if (status != WL_OK) wl_free(out->data);
  return status;
}

/* Sets *replaces to true if the curve `c` has all results of the stored curve whose steps are the dataset `name`. */
static wl_status compare_steps(const wl_file *file, const char *name, const wl_baseline_curve *c,
                               bool *replaces) {
  wl_field f;
  WL_TRY(read_dataset(file, name, &f));
  const int64_t *const steps = f.data, n = wl_field_count(&f);
  *replaces = f.type == WL_INT64;
  if (*replaces && n > 0 && strcmp(c->baseline.schedule, "constant") == 0)
    *replaces = wl_curve_covers(c, steps[n - 1]);
  else
    for (int64_t i = 0; *replaces && i < n; i++) *replaces = wl_curve_covers(c, steps[i]);
  wl_free(f.data);
  return WL_OK;
}

/* Decides whether the new file contains the dataset `name` of the earlier file. The dataset is omitted if the new file
 * has another dataset of this name, or if the task has new curves and its definition was changed. */
static wl_status decide(const wl_file *file, const char *name, const wl_suite_task *t,
                        wl_task_curves *curves, content *out, bool *keep) {
  char rule[64];
  bool same, replaces = true;
  const char *const rest = name + strcspn(name, "/") + 1;
  *keep = curves->count == 0;
  if (*keep) return WL_OK;
  WL_TRY(same_task(file, t, &same));
  out->superseded |= !same;
  if (!same || strcmp(rest, "definition") == 0) return WL_OK;
  snprintf(rule, sizeof rule, "%.*s", (int)strcspn(rest, "/"), rest);
  const wl_baseline_curve *const ours = wl_curve_find(curves, rule);
  *keep = ours == NULL;
  if (ours && strcmp(rest + strlen(rule), "/steps") == 0)
    WL_TRY(compare_steps(file, name, ours, &replaces));
  out->superseded |= !replaces;
  return WL_OK;
}

/* Adds the datasets of the earlier file to `out` that the new file must contain. */
static wl_status add_earlier(const wl_file *file, const wl_suite *suite, wl_task_curves *curves,
                             content *out) {
  const char *name;
  for (int i = 0; (name = wl_file_dataset(file, i)); i++) {
    const int task = task_of(suite, name);
    bool keep = true;
    if (task >= 0) WL_TRY(decide(file, name, &suite->tasks[task], &curves[task], out, &keep));
    if (!keep) continue;
    WL_TRY(read_dataset(file, name, &out->fields[out->count]));
    out->count++;
  }
  return WL_OK;
}

/* Fills `out` with the datasets of the curves, followed by the datasets of the earlier file `file` that must be kept.
 * `file` is NULL if there is no earlier file. */
static wl_status collect(const wl_file *file, const wl_suite *suite, wl_task_curves *curves,
                         content *out) {
  int most = suite->count * (1 + WL_MAX_BASELINES * FIELDS_OF_CURVE);
  for (int i = 0; file && wl_file_dataset(file, i); i++) most++;
  WL_TRY(WL_NEW(out->fields, most + 1));
  for (int i = 0; i < suite->count; i++) {
    if (curves[i].count > 0) out->fields[out->count++] = definition_field(&suite->tasks[i]);
    for (int j = 0; j < curves[i].count; j++, out->count += FIELDS_OF_CURVE)
      curve_fields(&suite->tasks[i], &curves[i].curve[j], out->fields + out->count);
  }
  out->first_read = out->count;
  return file ? add_earlier(file, suite, curves, out) : WL_OK;
}

static wl_status write_content(const char *path, const wl_suite *suite, const content *c) {
  char kept[WL_PATH_MAX], *text = NULL;
  WL_TRY(wl_config_to_yaml(suite->config, &text));
  const wl_attribute attributes[] = {
      {"configuration", text}, {"suite", suite->name}, {"precision", WL_REAL_NAME}};
  wl_status status = c->superseded ? wl_keep_previous(path, kept) : WL_OK;
  if (status == WL_OK && c->superseded)
    wl_log_warning(
        "%s has curves of tasks that were changed in the suite; the file was renamed to %s, and "
        "the curves that are still valid were copied to the new file %s",
        path, kept, path);
  if (status == WL_OK)
    status = wl_file_write(path, "baselines", c->fields, c->count, attributes, 3);
  free(text);
  return status;
}

wl_status wl_speedup_save(const char *paths, const wl_suite *suite, wl_task_curves *curves) {
  char path[WL_PATH_MAX];
  wl_file *file = NULL;
  content c = {0};
  snprintf(path, sizeof path, "%.*s", (int)strcspn(paths, ","), paths);
  wl_status status = access(path, F_OK) == 0 ? wl_file_open(path, "baselines", &file) : WL_OK;
  if (status == WL_OK) status = collect(file, suite, curves, &c);
  wl_file_close(&file);
  if (status == WL_OK) status = write_content(path, suite, &c);
  clear_content(&c);
  return status;
}
