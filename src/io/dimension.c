/* dimension.c - attaches dimension scales to all datasets. The scales let xarray and netCDF readers show the names of
 * dimensions.
 *
 * The field of a dataset in group G names each dimension. A dimension without a name gets the name "dim_<length>". If a
 * one-dimensional dataset G/<name> has that length, this dataset is the scale and contains the coordinates. If there is
 * no such dataset, the scale follows the netCDF-4 convention for scales that only name a dimension. If G/<name> is
 * another object or has another length, the scale is "<name>_<length>". */
#include <stdio.h>
#include <string.h>

#include "io/file_impl.h"

enum { NAME = 256 };

/* Writes candidate number `attempt` for the name of a dimension's scale. The two dimensions of a square matrix need
 * different names. */
static void scale_name(const wl_field *f, int d, int attempt, char name[NAME]) {
  const char *const slash = strrchr(f->name, '/'), *again = "";
  const int group = slash ? (int)(slash - f->name) + 1 : 0;
  const long long length = f->shape[d];
  for (int e = 0; e < d; e++)
    if (strcmp(f->dims[e], f->dims[d]) == 0 && f->shape[e] == f->shape[d]) again = "_again";
  if (f->dims[d][0] == '\0') snprintf(name, NAME, "%.*sdim_%lld%s", group, f->name, length, again);
  else if (attempt == 0) snprintf(name, NAME, "%.*s%s%s", group, f->name, f->dims[d], again);
  else snprintf(name, NAME, "%.*s%s_%lld%s", group, f->name, f->dims[d], length, again);
}

/* Creates a scale without coordinates, which stores only its name and length. */
static wl_status create_bare_scale(const char *path, hid_t file, const char *name, hsize_t length) {
  char label[NAME];
  const WL_H5_SCOPED space = H5Screate_simple(1, &length, NULL);
  const WL_H5_SCOPED creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_obj_track_times(creation, false);
  const WL_H5_SCOPED scale =
      H5Dcreate2(file, name, H5T_IEEE_F32BE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  WL_TRY_H5(scale, WL_ERR_IO, path, "create dimension scale '%s'", name);
  snprintf(label, sizeof label, WL_BARE_SCALE "%10lld", (long long)length);
  WL_TRY_H5(H5DSset_scale(scale, label), WL_ERR_IO, path, "name dimension scale '%s'", name);
  return WL_OK;
}

/* Returns true if the object is a one-dimensional dataset of this length. */
static bool fits(hid_t object, hsize_t length) {
  if (H5Iget_type(object) != H5I_DATASET) return false;
  const WL_H5_SCOPED space = H5Dget_space(object);
  return H5Sget_simple_extent_ndims(space) == 1 &&
         H5Sget_simple_extent_npoints(space) == (hssize_t)length;
}

/* Attaches the scale of that name. Creates the scale if it does not exist. Sets *taken if another object has the
 * name. */
static wl_status attach(const char *path, hid_t file, const wl_field *f, int d, const char *name,
                        bool *taken) {
  const hsize_t length = (hsize_t)f->shape[d];
  const char *const slash = strrchr(name, '/');
  if (H5Lexists(file, name, H5P_DEFAULT) <= 0) WL_TRY(create_bare_scale(path, file, name, length));
  const WL_H5_SCOPED scale = H5Oopen(file, name, H5P_DEFAULT);
  *taken = !fits(scale, length);
  if (*taken) return WL_OK;
  if (H5DSis_scale(scale) <= 0)
    WL_TRY_H5(H5DSset_scale(scale, slash ? slash + 1 : name), WL_ERR_IO, path,
              "name dimension scale '%s'", name);
  if (strcmp(name, f->name) == 0) return WL_OK; /* the dataset itself is the scale */
  const WL_H5_SCOPED dataset = H5Dopen2(file, f->name, H5P_DEFAULT);
  WL_TRY_H5(H5DSattach_scale(dataset, scale, (unsigned)d), WL_ERR_IO, path,
            "attach dimension scale '%s'", name);
  return WL_OK;
}

wl_status wl_dimensions_name(const char *path, hid_t file, const wl_field *field) {
  for (int d = 0; d < field->ndim; d++) {
    char name[NAME];
    bool taken = true;
    for (int attempt = 0; attempt < 2 && taken; attempt++) {
      scale_name(field, d, attempt, name);
      WL_TRY(attach(path, file, field, d, name, &taken));
    }
    if (taken)
      return WL_FAIL(WL_ERR_SOFTWARE, "'%s': no free name for dimension %d of '%s'", path, d,
                     field->name);
  }
  return WL_OK;
}
