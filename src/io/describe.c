/* describe.c - a description as one JSON object, from which the text for people is printed too.
 *
 *   file: path, kind, bytes, attributes {}, datasets [{name, type, shape, dimensions, units, long_name}],
 *         verified, problems []
 *   run:  path, kind "run", checkpoints [{file, meta_steps, digest, bytes, whole}], newest,
 *         trajectory {records, metrics, segments}, verified, problems [] */
#include "io/describe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/checkpoint_list.h"
#include "io/file_impl.h"
#include "io/segment.h"

/* Remembers the last error as a problem of what is described. */
static void add_problem(json_t *description, const char *text) {
  json_t *list = json_object_get(description, "problems");
  if (!list) {
    list = json_array();
    json_object_set_new(description, "problems", list);
  }
  json_array_append_new(list, json_string(text));
}

static json_int_t file_bytes(const char *path) {
  struct stat file;
  return stat(path, &file) == 0 ? (json_int_t)file.st_size : 0;
}

/* ---- attributes and datasets ---- */

/* A root attribute as text or number; NULL for others. */
static json_t *attribute_value(const wl_file *file, const char *name) {
  const WL_H5_SCOPED attribute = H5Aopen(file->id, name, H5P_DEFAULT);
  const WL_H5_SCOPED type = H5Aget_type(attribute);
  char *text = NULL;
  int64_t number = 0;
  if (H5Tget_class(type) == H5T_INTEGER)
    return H5Aread(attribute, H5T_NATIVE_INT64, &number) < 0 ? NULL
                                                             : json_integer((json_int_t)number);
  if (wl_h5_get_text(file->path, file->id, name, &text) != WL_OK) return NULL;
  json_t *const value = json_string(text);
  free(text);
  return value;
}

static herr_t take_attribute(hid_t object, const char *name, const H5A_info_t *info, void *names) {
  (void)object;
  (void)info;
  json_array_append_new(names, json_string(name));
  return 0;
}

static json_t *describe_attributes(const wl_file *file) {
  json_t *const names = json_array(), *const all = json_object();
  hsize_t at = 0;
  size_t i = 0;
  json_t *name = NULL;
  H5Aiterate2(file->id, H5_INDEX_NAME, H5_ITER_INC, &at, take_attribute, names);
  json_array_foreach(names, i, name) {
    json_t *const value = attribute_value(file, json_string_value(name));
    if (value) json_object_set_new(all, json_string_value(name), value);
  }
  json_decref(names);
  return all;
}

static json_t *describe_dataset(const wl_file *file, const char *name) {
  static const char *const types[] = {"float32", "float64", "int64", "uint64", "uint8"};
  wl_field field = {0};
  bool half = false;
  if (wl_file_query_stored(file, name, &field, &half) != WL_OK) return NULL;
  json_t *const shape = json_array(), *const dimensions = json_array();
  for (int d = 0; d < field.ndim; d++) {
    json_array_append_new(shape, json_integer((json_int_t)field.shape[d]));
    json_array_append_new(dimensions, json_string(field.dims[d]));
  }
  return json_pack("{ss, ss, so, so, ss, ss}", "name", name, "type",
                   half ? "float16" : types[field.type], "shape", shape, "dimensions", dimensions,
                   "units", field.units, "long_name", field.long_name);
}

static wl_status describe_datasets(const wl_file *file, json_t *description) {
  char **names = NULL;
  int count = 0;
  WL_TRY(wl_h5_list(file->path, file->id, &names, &count));
  json_t *const list = json_array();
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < count; i++) {
    json_t *const one = describe_dataset(file, names[i]);
    if (one) json_array_append_new(list, one);
    else status = WL_ERR_DATA;
  }
  json_object_set_new(description, "datasets", list);
  wl_free_names(names, count);
  return status;
}

/* ---- files ---- */

/* Every byte and dataset of a file that belongs to what is described. */
static void verify_part(const char *folder, const char *name, json_t *description) {
  char path[WL_PATH_MAX];
  wl_file *file = NULL;
  wl_status status = wl_join(path, folder, name);
  if (status == WL_OK) status = wl_file_open(path, NULL, &file);
  if (status == WL_OK) status = wl_file_check_datasets(file);
  if (status != WL_OK && status != WL_ERR_NO_INPUT) add_problem(description, wl_last_error());
  wl_file_close(&file);
}

static void verify_segments(const char *folder, json_t *description) {
  char **names = NULL;
  int count = 0;
  if (wl_list_folder(folder, NULL, &names, &count) != WL_OK)
    add_problem(description, wl_last_error());
  for (int i = 0; i < count; i++)
    if (wl_segment_number(names[i]) >= 0) verify_part(folder, names[i], description);
  wl_free_names(names, count);
}

/* The folder of the segments beside RUN/trajectory.h5. */
static wl_status segment_folder(const char *master, char folder[WL_PATH_MAX]) {
  const char *const slash = strrchr(master, '/');
  char run[WL_PATH_MAX];
  snprintf(run, sizeof run, "%.*s", slash ? (int)(slash - master) : 1, slash ? master : ".");
  return wl_join(folder, run, WL_TRAJECTORY_FOLDER);
}

static wl_status describe_open_file(const wl_file *file, bool verify, json_t *description) {
  char folder[WL_PATH_MAX];
  json_t *const attributes = describe_attributes(file);
  json_object_set_new(description, "attributes", attributes);
  json_object_set(description, "kind", json_object_get(attributes, "kind"));
  WL_TRY(describe_datasets(file, description));
  if (!verify) return WL_OK;
  WL_TRY(wl_file_check_datasets(file));
  const char *const kind = json_string_value(json_object_get(attributes, "kind"));
  if (kind && strcmp(kind, "trajectory") == 0) {
    WL_TRY(segment_folder(file->path, folder));
    verify_segments(folder, description);
  }
  return WL_OK;
}

static wl_status describe_file(const char *path, bool verify, json_t *description) {
  wl_file *file = NULL;
  json_object_set_new(description, "bytes", json_integer(file_bytes(path)));
  wl_status status = wl_file_open(path, NULL, &file);
  if (status == WL_OK) status = describe_open_file(file, verify, description);
  wl_file_close(&file);
  if (status != WL_OK) add_problem(description, wl_last_error());
  return status;
}

/* ---- run directories ---- */

/* One checkpoint of a run; damage is noted, not returned. */
static json_t *describe_checkpoint(const char *folder, const char *name, bool verify, json_t *run) {
  char path[WL_PATH_MAX];
  wl_file *file = NULL;
  json_t *const one = json_object();
  json_object_set_new(one, "file", json_string(name));
  wl_status status = wl_join(path, folder, name);
  if (status == WL_OK) json_object_set_new(one, "bytes", json_integer(file_bytes(path)));
  if (status == WL_OK) status = wl_file_open(path, "checkpoint", &file);
  if (status == WL_OK && verify) status = wl_file_check_datasets(file);
  if (status != WL_OK) add_problem(run, wl_last_error());
  json_object_set_new(one, "whole", json_boolean(status == WL_OK));
  const char *const wanted[] = {"meta_steps", "digest", "date", "rank_layout"};
  for (size_t i = 0; status == WL_OK && i < sizeof wanted / sizeof *wanted; i++)
    if (H5Aexists(file->id, wanted[i]) > 0)
      json_object_set_new(one, wanted[i], attribute_value(file, wanted[i]));
  wl_file_close(&file);
  return one;
}

static wl_status describe_checkpoints(const char *path, bool verify, json_t *run) {
  char folder[WL_PATH_MAX], **names = NULL;
  int count = 0;
  json_t *const list = json_array();
  json_object_set_new(run, "checkpoints", list);
  WL_TRY(wl_checkpoint_list(path, folder, &names, &count));
  for (int i = 0; i < count; i++) {
    json_t *const one = describe_checkpoint(folder, names[i], verify, run);
    json_array_append_new(list, one);
    if (json_is_true(json_object_get(one, "whole")) && !json_object_get(run, "newest"))
      json_object_set(run, "newest", json_object_get(one, "file"));
  }
  wl_free_names(names, count);
  return WL_OK;
}

static void describe_trajectory(const char *path, bool verify, json_t *run) {
  char folder[WL_PATH_MAX];
  wl_segment_list list = {0};
  int64_t highest = 0;
  json_int_t records = 0, metrics = 0;
  if (wl_join(folder, path, WL_TRAJECTORY_FOLDER) != WL_OK) return;
  if (verify) verify_segments(folder, run);
  if (wl_segment_scan(folder, false, &list, &highest) != WL_OK) {
    add_problem(run, wl_last_error());
    return;
  }
  for (int i = 0; i < list.count; i++) {
    records += (json_int_t)list.at[i].records;
    metrics += (json_int_t)list.at[i].metrics;
  }
  if (list.count > 0)
    json_object_set_new(
        run, "trajectory",
        json_pack("{sI, sI, si}", "records", records, "metrics", metrics, "segments", list.count));
  wl_segment_list_clear(&list);
}

static wl_status describe_run(const char *path, bool verify, json_t *run) {
  char optimizer[WL_PATH_MAX];
  wl_h5_quiet();
  json_object_set_new(run, "kind", json_string("run"));
  WL_TRY(describe_checkpoints(path, verify, run));
  describe_trajectory(path, verify, run);
  if (verify) verify_part(path, WL_TRAJECTORY_MASTER, run);
  if (verify) verify_part(path, "optimizer.h5", run);
  WL_TRY(wl_join(optimizer, path, "optimizer.h5"));
  json_object_set_new(run, "optimizer", json_boolean(file_bytes(optimizer) > 0));
  if (json_array_size(json_object_get(run, "checkpoints")) == 0 &&
      !json_object_get(run, "trajectory") && file_bytes(optimizer) == 0)
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
    return WL_FAIL(WL_ERR_NO_INPUT, "there is no '%s': give a run directory or a Warploom file",
                   path);
  json_t *const description = json_object();
  if (!description) return WL_FAIL(WL_ERR_OS, "out of memory while describing '%s'", path);
  json_object_set_new(description, "path", json_string(path));
  const wl_status status = S_ISDIR(there.st_mode) ? describe_run(path, verify, description)
                                                  : describe_file(path, verify, description);
  const wl_status summary = status == WL_OK ? summarise(description, verify) : status;
  if (status == WL_ERR_NO_INPUT) json_decref(description);
  else *out = description;
  return summary;
}
