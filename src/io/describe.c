/* describe.c - describes a file or run as one JSON object, from which the text output is printed.
 *
 *   file: path, kind, bytes, attributes {}, datasets [{name, type, shape, dimensions, units, long_name}],
 *         verified, problems []
 *   run:  path, kind "run", checkpoints [{file, meta_steps, digest, bytes, valid}], newest,
 *         trajectory {records, metrics, parts}, verified, problems []
 *
 * Texts in files are untrusted input: invalid UTF-8 and control characters are shown as "?". */
#include "io/describe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/checkpoint_list.h"
#include "io/part.h"

static json_t *text_json(const char *text) {
  char *const copy = strdup(text);
  for (char *at = copy; at && *at; at++)
    if (((unsigned char)*at < ' ' && *at != '\n' && *at != '\t') || *at == 127) *at = '?';
  json_t *const value = json_string(copy ? copy : "?");
  free(copy);
  return value ? value : json_string("?");
}

/* Adds the last error to the problems of the description. */
static void add_problem(json_t *description) {
  json_t *list = json_object_get(description, "problems");
  if (!list) {
    list = json_array();
    json_object_set_new(description, "problems", list);
  }
  json_array_append_new(list, text_json(wl_last_error()));
}

/* Returns the size of the file in bytes; -1 if there is no such file. */
static json_int_t file_bytes(const char *folder, const char *name) {
  char path[WL_PATH_MAX];
  struct stat file;
  return wl_path_join(path, folder, name) == WL_OK && stat(path, &file) == 0
             ? (json_int_t)file.st_size
             : -1;
}

/* ---- attributes and datasets ---- */

static herr_t take_attribute(hid_t object, const char *name, const H5A_info_t *info, void *names) {
  enum { MOST = 1024 };
  wl_names *const list = names;
  (void)object;
  (void)info;
  return list->count < MOST && wl_names_add(list, name) == WL_OK ? 0 : -1;
}

/* Returns a root attribute as text or number; NULL for other types. */
static json_t *attribute_json(const wl_file *file, const char *name) {
  char *text = NULL;
  int64_t number = 0;
  if (wl_h5_get_integer(file->path, file->id, name, &number) == WL_OK)
    return json_integer((json_int_t)number);
  if (wl_h5_get_text(file->path, file->id, name, &text) != WL_OK) return NULL;
  json_t *const value = text_json(text);
  free(text);
  return value;
}

static json_t *attributes_json(const wl_file *file) {
  wl_names names = {0};
  json_t *const all = json_object();
  hsize_t at = 0;
  H5Aiterate2(file->id, H5_INDEX_NAME, H5_ITER_NATIVE, &at, take_attribute, &names);
  for (int i = 0; i < names.count; i++) {
    json_t *const value = attribute_json(file, names.at[i]);
    if (value) json_object_set_new(all, names.at[i], value);
  }
  wl_names_clear(&names);
  return all;
}

static json_t *dataset_json(const wl_field *f, bool half) {
  static const char *const types[] = {"float32", "float64", "int64", "uint64", "uint8"};
  json_t *const shape = json_array(), *const dimensions = json_array();
  for (int d = 0; d < f->ndim; d++) {
    json_array_append_new(shape, json_integer((json_int_t)f->shape[d]));
    json_array_append_new(dimensions, text_json(f->dims[d]));
  }
  return json_pack("{so, ss, so, so, so, so}", "name", text_json(f->name), "type",
                   half ? "float16" : types[f->type], "shape", shape, "dimensions", dimensions,
                   "units", text_json(f->units), "long_name", text_json(f->long_name));
}

static wl_status describe_datasets(const wl_file *file, json_t *list) {
  for (int i = 0; i < file->datasets.count; i++) {
    wl_field field;
    bool half = false;
    WL_TRY(wl_file_query_stored(file, file->datasets.at[i], &field, &half));
    json_array_append_new(list, dataset_json(&field, half));
  }
  return WL_OK;
}

/* ---- trajectories ---- */

/* Finds the folder of a file; "." if the path has no folder. */
static wl_status folder_of(const char *path, char folder[WL_PATH_MAX]) {
  const char *const slash = strrchr(path, '/');
  snprintf(folder, WL_PATH_MAX, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
  return WL_OK;
}

/* Describes the datasets of the index RUN/trajectory.h5, from the contents of the parts in RUN/trajectory. */
static wl_status describe_index(const char *run, json_t *list) {
  char folder[WL_PATH_MAX];
  wl_part_list parts = {0};
  wl_item *items = NULL;
  int64_t highest = 0;
  int count = 0;
  WL_TRY(wl_path_join(folder, run, WL_TRAJECTORY_FOLDER));
  wl_status status = wl_part_scan(folder, &parts, &highest);
  if (status == WL_OK) status = wl_index_items(&parts, &items, &count);
  for (int i = 0; status == WL_OK && i < count; i++)
    json_array_append_new(list, dataset_json(&items[i].field, items[i].half));
  wl_free(items);
  wl_part_list_clear(&parts);
  return status;
}

/* Verifies every byte and dataset of a file that must exist. */
static void verify_part(const char *folder, const char *name, const char *kind,
                        json_t *description) {
  char path[WL_PATH_MAX];
  wl_file *file = NULL;
  wl_status status = wl_path_join(path, folder, name);
  if (status == WL_OK) status = wl_file_open(path, kind, &file);
  if (status == WL_OK) status = wl_file_check_datasets(file);
  if (status != WL_OK) add_problem(description);
  wl_file_close(&file);
}

static bool is_part(const char *name) { return wl_part_number(name) >= 0; }

/* Verifies all parts in the folder, and that all parts that the index names exist. */
static void verify_parts(const char *run, const char *named, json_t *description) {
  char folder[WL_PATH_MAX], name[WL_PART_NAME];
  wl_names names = {0};
  if (wl_path_join(folder, run, WL_TRAJECTORY_FOLDER) != WL_OK ||
      wl_list_folder(folder, is_part, &names) != WL_OK)
    add_problem(description);
  for (int i = 0; i < names.count; i++) verify_part(folder, names.at[i], WL_KIND_PART, description);
  for (char *end; named && *named; named = end + (*end == ' ')) {
    const long long number = strtoll(named, &end, 10);
    if (end == named || number < 0) {
      (void)WL_FAIL(WL_ERR_DATA, "'%s/" WL_TRAJECTORY_INDEX "' has no list of parts", run);
      add_problem(description);
      break;
    }
    wl_part_name(number, name);
    if (file_bytes(folder, name) >= 0) continue; /* verified above */
    (void)WL_FAIL(WL_ERR_DATA, "'%s/%s', which '%s/" WL_TRAJECTORY_INDEX "' names, is missing",
                  folder, name, run);
    add_problem(description);
  }
  wl_names_clear(&names);
}

/* ---- files ---- */

static wl_status describe_open_file(const wl_file *file, bool verify, json_t *description) {
  char run[WL_PATH_MAX];
  json_t *const attributes = attributes_json(file), *const list = json_array();
  json_object_set_new(description, "attributes", attributes);
  json_object_set(description, "kind", json_object_get(attributes, "kind"));
  json_object_set_new(description, "datasets", list);
  WL_TRY(folder_of(file->path, run));
  const bool index = strcmp(file->kind, WL_KIND_INDEX) == 0;
  WL_TRY(index ? describe_index(run, list) : describe_datasets(file, list));
  if (!verify) return WL_OK;
  WL_TRY(wl_file_check_datasets(file));
  if (index)
    verify_parts(run, json_string_value(json_object_get(attributes, "parts")), description);
  return WL_OK;
}

static wl_status describe_file(const char *path, bool verify, json_t *description) {
  wl_file *file = NULL;
  struct stat there;
  if (stat(path, &there) == 0)
    json_object_set_new(description, "bytes", json_integer((json_int_t)there.st_size));
  wl_status status = wl_file_open(path, NULL, &file);
  if (status == WL_OK) status = describe_open_file(file, verify, description);
  wl_file_close(&file);
  if (status != WL_OK) add_problem(description);
  return status;
}

/* ---- run directories ---- */

/* Describes one checkpoint of a run. Damage is described and is not an error. */
static json_t *describe_checkpoint(const char *folder, const char *name, bool verify, json_t *run) {
  static const char *const wanted[] = {"meta_steps", "digest", "date", "rank_layout"};
  char path[WL_PATH_MAX];
  wl_file *file = NULL;
  json_t *const one = json_pack("{ss, sI}", "file", name, "bytes", file_bytes(folder, name));
  wl_status status = wl_path_join(path, folder, name);
  if (status == WL_OK) status = wl_file_open(path, "checkpoint", &file);
  if (status == WL_OK && verify) status = wl_file_check_datasets(file);
  if (status != WL_OK) add_problem(run);
  json_object_set_new(one, "valid", json_boolean(status == WL_OK));
  for (size_t i = 0; status == WL_OK && i < sizeof wanted / sizeof *wanted; i++) {
    json_t *const value = attribute_json(file, wanted[i]);
    if (value) json_object_set_new(one, wanted[i], value);
  }
  wl_file_close(&file);
  return one;
}

static wl_status describe_checkpoints(const char *path, bool verify, json_t *run) {
  char folder[WL_PATH_MAX];
  wl_names names = {0};
  json_t *const list = json_array();
  json_object_set_new(run, "checkpoints", list);
  WL_TRY(wl_checkpoint_list(path, folder, &names));
  for (int i = 0; i < names.count; i++) {
    json_t *const one = describe_checkpoint(folder, names.at[i], verify, run);
    json_array_append_new(list, one);
    if (json_is_true(json_object_get(one, "valid")) && !json_object_get(run, "newest"))
      json_object_set(run, "newest", json_object_get(one, "file"));
  }
  wl_names_clear(&names);
  return WL_OK;
}

/* Adds to the description of a run the numbers of records, metrics and parts. */
static void describe_trajectory(const char *path, json_t *run) {
  char folder[WL_PATH_MAX];
  wl_part_list list = {0};
  int64_t highest = 0;
  json_int_t records = 0, metrics = 0;
  if (wl_path_join(folder, path, WL_TRAJECTORY_FOLDER) != WL_OK ||
      wl_part_scan(folder, &list, &highest) != WL_OK) {
    add_problem(run);
    return;
  }
  for (int i = 0; i < list.count; i++) {
    records += (json_int_t)list.at[i].content.rows[WL_RECORDS];
    metrics += (json_int_t)list.at[i].content.rows[WL_METRICS];
  }
  if (highest > 0 || file_bytes(path, WL_TRAJECTORY_INDEX) >= 0)
    json_object_set_new(
        run, "trajectory",
        json_pack("{sI, sI, si}", "records", records, "metrics", metrics, "parts", list.count));
  wl_part_list_clear(&list);
}

static void verify_trajectory(const char *path, json_t *run) {
  char name[WL_PATH_MAX], *named = NULL;
  wl_file *file = NULL;
  verify_part(path, WL_TRAJECTORY_INDEX, WL_KIND_INDEX, run);
  if (wl_path_join(name, path, WL_TRAJECTORY_INDEX) == WL_OK &&
      wl_file_open(name, WL_KIND_INDEX, &file) == WL_OK)
    (void)wl_file_attribute(file, "parts", &named);
  verify_parts(path, named, run);
  wl_file_close(&file);
  free(named);
}

static wl_status describe_run(const char *path, bool verify, json_t *run) {
  json_object_set_new(run, "kind", json_string("run"));
  WL_TRY(describe_checkpoints(path, verify, run));
  describe_trajectory(path, run);
  const bool optimizer = file_bytes(path, "optimizer.h5") >= 0,
             trajectory = json_object_get(run, "trajectory") != NULL;
  json_object_set_new(run, "optimizer", json_boolean(optimizer));
  if (verify && trajectory) verify_trajectory(path, run);
  if (verify && optimizer) verify_part(path, "optimizer.h5", "optimizer", run);
  if (verify && file_bytes(path, "evaluation.h5") >= 0)
    verify_part(path, "evaluation.h5", "evaluation", run);
  if (json_array_size(json_object_get(run, "checkpoints")) == 0 && !trajectory && !optimizer)
    return WL_FAIL(WL_ERR_NO_INPUT,
                   "'%s' is no run directory: it holds neither checkpoints nor a trajectory", path);
  return WL_OK;
}

/* ---- either ---- */

static wl_status summarise(json_t *description, bool verify) {
  const json_t *const problems = json_object_get(description, "problems");
  json_object_set_new(description, "verified", json_boolean(verify && !problems));
  if (!problems || !verify) return WL_OK;
  return WL_FAIL(WL_ERR_DATA, "%zu problems, the first: %s", json_array_size(problems),
                 json_string_value(json_array_get(problems, 0)));
}

wl_status wl_describe(const char *path, bool verify, json_t **out) {
  struct stat there;
  *out = NULL;
  if (stat(path, &there) != 0)
    return WL_FAIL(WL_ERR_NO_INPUT, "'%s' does not exist: give a run directory or a Warploom file",
                   path);
  json_t *const description = json_object();
  if (!description) return WL_FAIL(WL_ERR_OS, "out of memory while describing '%s'", path);
  json_object_set_new(description, "path", text_json(path));
  const wl_status status = S_ISDIR(there.st_mode) ? describe_run(path, verify, description)
                                                  : describe_file(path, verify, description);
  const wl_status summary = status == WL_OK ? summarise(description, verify) : status;
  if (status == WL_ERR_NO_INPUT) json_decref(description);
  else *out = description;
  return summary;
}

const char *wl_describe_hdf5(void) { return wl_h5_version(); }
