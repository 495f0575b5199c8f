/* describe.c - describes a file or a run as a JSON object. `warploom info` prints the object, or
 * text that is made from the object.
 *
 * - The object of a file has path, kind, bytes, attributes {}, datasets [{name, type, shape, dimensions, units,
 *   long_name}], verified and problems [].
 * - The object of a run has path, kind ("run"), checkpoints [{file, meta_steps, digest, bytes, valid}], newest,
 *   trajectory {records, metrics, parts}, optimizer, verified and problems [].
 *
 * Strings in files are untrusted input. Control characters are therefore shown as "?", and so are
 * strings that are not valid UTF-8. */
#include "io/describe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/part.h"

static json_t *text_json(const char *text) {
  char *const copy = strdup(text);
  for (char *at = copy; at && *at; at++)
    if (((unsigned char)*at < ' ' && *at != '\n' && *at != '\t') || *at == 127) *at = '?';
  json_t *const value = json_string(copy ? copy : "?");
  free(copy);
  return value ? value : json_string("?");
}

/* Adds the message of the last error to the list "problems" of the description. */
static void add_problem(json_t *description) {
  json_t *list = json_object_get(description, "problems");
  if (!list) {
    list = json_array();
    json_object_set_new(description, "problems", list);
  }
  json_array_append_new(list, text_json(wl_last_error()));
}

/* Returns the size of the file in bytes, or -1 if there is no such file. */
static json_int_t file_bytes(const char *folder, const char *name) {
  char path[WL_PATH_MAX];
  struct stat file;
  return wl_path_join(path, folder, name) == WL_OK && stat(path, &file) == 0
             ? (json_int_t)file.st_size
             : -1;
}

/* ---- attributes and datasets ---- */

/* Returns a root attribute as a JSON string or number. Returns NULL if the attribute has another
 * type. */
static json_t *attribute_json(hid_t object, const char *name) {
  char *text = NULL;
  int64_t number = 0;
  if (wl_h5_get_integer("", object, name, &number) == WL_OK)
    return json_integer((json_int_t)number);
  if (wl_h5_get_text("", object, name, &text) != WL_OK) return NULL;
  json_t *const value = text_json(text);
  free(text);
  return value;
}

static herr_t add_attribute(hid_t object, const char *name, const H5A_info_t *info, void *all) {
  enum { MOST = 1024 };
  (void)info;
  if (json_object_size(all) == MOST) return -1;
  json_t *const value = attribute_json(object, name);
  if (value) json_object_set_new(all, name, value);
  return 0;
}

static json_t *dataset_json(const wl_field *f) {
  json_t *const shape = json_array(), *const dimensions = json_array();
  for (int d = 0; d < f->ndim; d++) {
    json_array_append_new(shape, json_integer((json_int_t)f->shape[d]));
    json_array_append_new(dimensions, text_json(f->dims[d]));
  }
  return json_pack("{so, ss, so, so, so, so}", "name", text_json(f->name), "type",
                   f->half ? "float16" : wl_type_name(f->type), "shape", shape, "dimensions",
                   dimensions, "units", text_json(f->units), "long_name", text_json(f->long_name));
}

static wl_status describe_datasets(const wl_file *file, json_t *list) {
  for (int i = 0; i < file->datasets.count; i++) {
    wl_field field;
    WL_TRY(wl_file_query(file, file->datasets.at[i], &field));
    json_array_append_new(list, dataset_json(&field));
  }
  return WL_OK;
}

/* ---- files ---- */

/* Opens a file of a folder and checks every byte. If `datasets` is true, also reads every dataset
 * through HDF5. */
static wl_status open_in(const char *folder, const char *name, const char *kind, bool datasets,
                         wl_file **file) {
  char path[WL_PATH_MAX];
  *file = NULL;
  WL_TRY(wl_path_join(path, folder, name));
  WL_TRY(wl_file_open(path, kind, file));
  return datasets ? wl_file_check_datasets(*file) : WL_OK;
}

/* Checks every byte and reads every dataset of a file. A damaged or missing file is added to the
 * problems. */
static void verify_file(const char *folder, const char *name, const char *kind,
                        json_t *description) {
  wl_file *file = NULL;
  if (open_in(folder, name, kind, true, &file) != WL_OK) add_problem(description);
  wl_file_close(&file);
}

/* ---- trajectories ---- */

/* Adds to `names` the parts that the index names but the folder does not contain. `named` contains
 * the numbers of the parts in the index, such as "1 2 5". */
static wl_status add_missing(const char *run, const char *folder, const char *named,
                             wl_names *names) {
  char name[WL_PART_NAME];
  for (char *end = NULL; *named; named = end + (*end == ' ')) {
    const long long number = strtoll(named, &end, 10);
    if (end == named || number < 0)
      return WL_FAIL(WL_ERR_DATA, "'%s/" WL_TRAJECTORY_INDEX "' has no list of the numbers of its "
                                                             "parts", run);
    wl_part_name(number, name);
    if (file_bytes(folder, name) < 0) WL_TRY(wl_names_add(names, name));
  }
  return WL_OK;
}

/* Verifies the index and all parts in the folder. Also checks that the folder contains every part
 * that the index names. */
static void verify_trajectory(const char *run, json_t *description) {
  char folder[WL_PATH_MAX], *named = NULL;
  wl_names names = {0};
  wl_file *index = NULL;
  wl_status status = open_in(run, WL_TRAJECTORY_INDEX, WL_KIND_INDEX, true, &index);
  if (status == WL_OK) status = wl_file_attribute(index, "parts", &named);
  if (status != WL_OK) add_problem(description);
  status = wl_path_join(folder, run, WL_TRAJECTORY_FOLDER);
  if (status == WL_OK) status = wl_list_numbered(folder, WL_PART_PREFIX, &names);
  if (status == WL_OK && named) status = add_missing(run, folder, named, &names);
  if (status != WL_OK) add_problem(description);
  for (int i = 0; i < names.count; i++) verify_file(folder, names.at[i], WL_KIND_PART, description);
  wl_names_clear(&names);
  wl_file_close(&index);
  free(named);
}

/* Describes the datasets of the index RUN/trajectory.h5. The shapes are computed from the parts in
 * RUN/trajectory. */
static wl_status describe_index(const char *run, json_t *list) {
  wl_parts parts;
  wl_field *fields = NULL;
  int count = 0;
  wl_status status = wl_parts_scan(run, &parts);
  if (status == WL_OK) status = wl_index_fields(&parts, &fields, &count);
  for (int i = 0; status == WL_OK && i < count; i++)
    json_array_append_new(list, dataset_json(&fields[i]));
  wl_free(fields);
  wl_parts_clear(&parts);
  return status;
}

/* ---- one file ---- */

static wl_status describe_open_file(const wl_file *file, bool verify, json_t *description) {
  char run[WL_PATH_MAX];
  json_t *const attributes = json_object(), *const list = json_array();
  hsize_t at = 0;
  H5Aiterate2(file->id, H5_INDEX_NAME, H5_ITER_NATIVE, &at, add_attribute, attributes);
  json_object_set_new(description, "attributes", attributes);
  json_object_set(description, "kind", json_object_get(attributes, "kind"));
  json_object_set_new(description, "datasets", list);
  if (strcmp(file->kind, WL_KIND_INDEX) != 0) {
    WL_TRY(describe_datasets(file, list));
    return verify ? wl_file_check_datasets(file) : WL_OK;
  }
  wl_path_folder(file->path, run);
  WL_TRY(describe_index(run, list));
  if (verify) verify_trajectory(run, description);
  return WL_OK;
}

static wl_status describe_file(const char *path, bool verify, json_t *description) {
  wl_file *file = NULL;
  wl_status status = wl_file_open(path, NULL, &file);
  if (status == WL_OK) status = describe_open_file(file, verify, description);
  wl_file_close(&file);
  if (status != WL_OK) add_problem(description);
  return status;
}

/* ---- run directories ---- */

/* Describes one checkpoint of a run. For a damaged checkpoint, the entry "valid" is false, and the
 * damage is added to the problems of the run. */
static json_t *describe_checkpoint(const char *folder, const char *name, bool verify, json_t *run) {
  static const char *const wanted[] = {"meta_steps", "digest", "date", "rank_layout"};
  wl_file *file = NULL;
  json_t *const one = json_pack("{ss, sI}", "file", name, "bytes", file_bytes(folder, name));
  const bool valid = open_in(folder, name, "checkpoint", verify, &file) == WL_OK;
  if (!valid) add_problem(run);
  json_object_set_new(one, "valid", json_boolean(valid));
  for (size_t i = 0; valid && i < sizeof wanted / sizeof *wanted; i++) {
    json_t *const value = attribute_json(file->id, wanted[i]);
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
  for (int i = names.count - 1; i >= 0; i--) {
    json_t *const one = describe_checkpoint(folder, names.at[i], verify, run);
    json_array_append_new(list, one);
    if (json_is_true(json_object_get(one, "valid")) && !json_object_get(run, "newest"))
      json_object_set(run, "newest", json_object_get(one, "file"));
  }
  wl_names_clear(&names);
  return WL_OK;
}

/* Adds to the description of a run how many records, rows of metrics and parts the trajectory
 * has. */
static void describe_trajectory(const char *path, json_t *run) {
  wl_parts parts;
  json_int_t rows[WL_ROW_KINDS] = {0};
  if (wl_parts_scan(path, &parts) != WL_OK) {
    add_problem(run);
    return;
  }
  for (int i = 0; i < parts.count; i++)
    for (int k = 0; k < WL_ROW_KINDS; k++) rows[k] += (json_int_t)parts.at[i].content.rows[k];
  if (parts.highest > 0 || file_bytes(path, WL_TRAJECTORY_INDEX) >= 0)
    json_object_set_new(run, "trajectory",
                        json_pack("{sI, sI, si}", "records", rows[WL_RECORDS], "metrics",
                                  rows[WL_METRICS], "parts", parts.count));
  wl_parts_clear(&parts);
}

static wl_status describe_run(const char *path, bool verify, json_t *run) {
  json_object_set_new(run, "kind", json_string("run"));
  WL_TRY(describe_checkpoints(path, verify, run));
  describe_trajectory(path, run);
  const bool optimizer = file_bytes(path, "optimizer.h5") >= 0,
             trajectory = json_object_get(run, "trajectory") != NULL;
  json_object_set_new(run, "optimizer", json_boolean(optimizer));
  if (verify && trajectory) verify_trajectory(path, run);
  if (verify && optimizer) verify_file(path, "optimizer.h5", "optimizer", run);
  if (verify && file_bytes(path, "evaluation.h5") >= 0)
    verify_file(path, "evaluation.h5", "evaluation", run);
  if (json_array_size(json_object_get(run, "checkpoints")) == 0 && !trajectory && !optimizer)
    return WL_FAIL(WL_ERR_NO_INPUT,
                   "'%s' is not a run directory, because it contains no checkpoints, no trajectory "
                   "and no optimizer.h5",
                   path);
  return WL_OK;
}

/* ---- either ---- */

static wl_status summarise(json_t *description, bool verify) {
  const json_t *const problems = json_object_get(description, "problems");
  json_object_set_new(description, "verified", json_boolean(verify && !problems));
  if (!problems || !verify) return WL_OK;
  return WL_FAIL(WL_ERR_DATA, "found %zu problems. The first problem is: %s", json_array_size(problems),
                 json_string_value(json_array_get(problems, 0)));
}

wl_status wl_describe(const char *path, bool verify, json_t **out) {
  struct stat there;
  *out = NULL;
  if (stat(path, &there) != 0)
    return WL_FAIL(WL_ERR_NO_INPUT, "'%s' does not exist: give a run directory or a Warploom file",
                   path);
  json_t *const description = json_object();
  if (!description) return WL_FAIL(WL_ERR_OS, "out of memory: cannot describe '%s'", path);
  json_object_set_new(description, "path", text_json(path));
  const bool folder = S_ISDIR(there.st_mode);
  if (!folder) json_object_set_new(description, "bytes", json_integer((json_int_t)there.st_size));
  const wl_status status = folder ? describe_run(path, verify, description)
                                  : describe_file(path, verify, description);
  const wl_status summary = status == WL_OK ? summarise(description, verify) : status;
  if (status == WL_ERR_NO_INPUT) json_decref(description);
  else *out = description;
  return summary;
}
