/* dimension.c - a scale for each dimension of each dataset, so that readers show names.
 *
 * Dimension d of a dataset in group G is named by its field, or "dim_<length>" when it has no name.
 * The scale G/<name> is the one-dimensional dataset of that name and length when there is one (then it
 * holds the coordinates), else a scale after the netCDF-4 convention that only names the dimension.
 * Where G/<name> is taken by something else or has another length, it is "<name>_<length>". */
#include <stdio.h>
#include <string.h>

#include "io/file_impl.h"

enum { GROUP = 128, NAME = 256 };

/* One dimension of one dataset on its way to its scale. */
typedef struct dimension {
  const char *path; /* of the file, for messages */
  hid_t file;
  const wl_field *field;
  int number;
  char group[GROUP]; /* "" or "phi/" */
} dimension;

static int64_t length_of(const dimension *d) { return d->field->shape[d->number]; }

static void split_group(const char *name, char group[GROUP]) {
  const char *const slash = strrchr(name, '/');
  snprintf(group, GROUP, "%.*s", slash ? (int)(slash - name) + 1 : 0, name);
}

/* Whether a dataset is one-dimensional of this length. */
static bool has_length(hid_t dataset, int64_t length) {
  const WL_H5_SCOPED space = H5Dget_space(dataset);
  hsize_t size = 0;
  if (H5Sget_simple_extent_ndims(space) != 1) return false;
  H5Sget_simple_extent_dims(space, &size, NULL);
  return (int64_t)size == length;
}

/* A scale without coordinates: nothing is stored but its name and length. */
static wl_status create_bare_scale(const dimension *d, const char *name) {
  char label[NAME];
  const hsize_t size = (hsize_t)length_of(d);
  const WL_H5_SCOPED space = H5Screate_simple(1, &size, NULL);
  const WL_H5_SCOPED creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_obj_track_times(creation, false);
  const WL_H5_SCOPED scale =
      H5Dcreate2(d->file, name, H5T_IEEE_F32BE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  WL_TRY_H5(scale, WL_ERR_IO, d->path, "create dimension scale '%s'", name);
  snprintf(label, sizeof label, WL_BARE_SCALE "%10lld", (long long)size);
  WL_TRY_H5(H5DSset_scale(scale, label), WL_ERR_IO, d->path, "name dimension scale '%s'", name);
  return WL_OK;
}

/* Whether the object `name` may serve as the scale; *free_name when there is none of that name. */
static bool serves(const dimension *d, const char *name, bool *free_name) {
  *free_name = H5Lexists(d->file, name, H5P_DEFAULT) <= 0;
  if (*free_name) return false;
  const WL_H5_SCOPED object = H5Oopen(d->file, name, H5P_DEFAULT);
  return H5Iget_type(object) == H5I_DATASET && has_length(object, length_of(d));
}

/* Opens the scale of that name, making it when there is none; *scale is -1 when the name is taken. */
static wl_status open_scale(const dimension *d, const char *name, hid_t *scale) {
  bool free_name = false;
  *scale = -1;
  if (!serves(d, name, &free_name) && !free_name) return WL_OK;
  if (free_name) WL_TRY(create_bare_scale(d, name));
  *scale = H5Dopen2(d->file, name, H5P_DEFAULT);
  WL_TRY_H5(*scale, WL_ERR_IO, d->path, "open dimension scale '%s'", name);
  if (H5DSis_scale(*scale) > 0) return WL_OK;
  const char *const leaf = name + strlen(d->group);
  WL_TRY_H5(H5DSset_scale(*scale, leaf), WL_ERR_IO, d->path, "name dimension scale '%s'", name);
  return WL_OK;
}

/* Whether an earlier dimension of the same dataset has the same name and length: a square matrix. */
static bool is_repeated(const dimension *d) {
  for (int e = 0; e < d->number; e++)
    if (strcmp(d->field->dims[e], d->field->dims[d->number]) == 0 &&
        d->field->shape[e] == length_of(d))
      return true;
  return false;
}

/* Candidate `attempt` for the scale's name. */
static void scale_name(const dimension *d, int attempt, char name[NAME]) {
  const char *const given = d->field->dims[d->number], *const twin = is_repeated(d) ? "_again" : "";
  if (given[0] == '\0')
    snprintf(name, NAME, "%sdim_%lld%s", d->group, (long long)length_of(d), twin);
  else if (attempt == 0) snprintf(name, NAME, "%s%s%s", d->group, given, twin);
  else snprintf(name, NAME, "%s%s_%lld%s", d->group, given, (long long)length_of(d), twin);
}

static wl_status attach(const dimension *d) {
  char name[NAME];
  hid_t found = -1;
  for (int attempt = 0; attempt < 2 && found < 0; attempt++) {
    scale_name(d, attempt, name);
    WL_TRY(open_scale(d, name, &found));
  }
  const WL_H5_SCOPED scale = found;
  if (scale < 0)
    return WL_FAIL(WL_ERR_SOFTWARE, "'%s': no free name for dimension %d of '%s'", d->path,
                   d->number, d->field->name);
  if (strcmp(name, d->field->name) == 0) return WL_OK; /* coordinates of themselves */
  const WL_H5_SCOPED dataset = H5Dopen2(d->file, d->field->name, H5P_DEFAULT);
  WL_TRY_H5(H5DSattach_scale(dataset, scale, (unsigned)d->number), WL_ERR_IO, d->path,
            "attach dimension scale '%s'", name);
  return WL_OK;
}

wl_status wl_dimensions_name(const char *path, hid_t file, const wl_field *field) {
  dimension d = {.path = path, .file = file, .field = field};
  split_group(field->name, d.group);
  for (d.number = 0; d.number < field->ndim; d.number++) WL_TRY(attach(&d));
  return WL_OK;
}
