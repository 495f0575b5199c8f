/* dimension.c - attaches HDF5 dimension scales to the dimensions of a dataset. With these scales,
 * xarray and netCDF readers show the names of the dimensions.
 *
 * The field of a dataset contains the names of its dimensions. A dimension without a name is named "dim_<length>". Let
 * G be the HDF5 group that contains the dataset. If G has a one-dimensional dataset with the name and the length of the
 * dimension, this dataset is the scale and contains the coordinates. If G has no object of this name, a scale without
 * coordinates is created according to the netCDF-4 convention. If G has another object of this name, the scale is named
 * "<name>_<length>". */
#include <stdio.h>
#include <string.h>

#include "io/file_impl.h"

enum { NAME = 256 };

/* Writes a possible name for the scale of dimension d. If the name of attempt 0 belongs to another
 * object, attempt 1 is used. If two dimensions have the same name and length, as in a square
 * matrix, "_again" is appended to the second name. */
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

/* Creates a scale without coordinates, which has only a name and a length. */
static wl_status create_bare_scale(const char *path, hid_t file, const char *name, hsize_t length) {
  char label[NAME];
  const WL_H5_SCOPED space = H5Screate_simple(1, &length, NULL);
  const WL_H5_SCOPED creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_obj_track_times(creation, false);
  const WL_H5_SCOPED scale =
      H5Dcreate2(file, name, H5T_IEEE_F32BE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  WL_TRY_H5(scale, WL_ERR_IO, path, "create the dimension scale '%s'", name);
  snprintf(label, sizeof label, WL_BARE_SCALE "%10lld", (long long)length);
  WL_TRY_H5(H5DSset_scale(scale, label), WL_ERR_IO, path, "name dimension scale '%s'", name);
  return WL_OK;
}

/* Returns true if the object is a one-dimensional dataset with `length` elements. */
static bool fits(hid_t object, hsize_t length) {
  if (H5Iget_type(object) != H5I_DATASET) return false;
  const WL_H5_SCOPED space = H5Dget_space(object);
  return H5Sget_simple_extent_ndims(space) == 1 &&
         H5Sget_simple_extent_npoints(space) == (hssize_t)length;
}

/* Attaches the scale with this name to dimension d. Creates the scale if it does not exist. *taken
 * is true if the name belongs to an object that cannot be the scale. */
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
  if (strcmp(name, f->name) == 0) return WL_OK; /* the dataset itself is the scale of this
                                                 * dimension */
  const WL_H5_SCOPED dataset = H5Dopen2(file, f->name, H5P_DEFAULT);
  WL_TRY_H5(H5DSattach_scale(dataset, scale, (unsigned)d), WL_ERR_IO, path,
            "attach the dimension scale '%s'", name);
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
      return WL_FAIL(WL_ERR_SOFTWARE, "'%s': no unused name was found for dimension %d of the "
                                      "dataset '%s'", path, d,
                     field->name);
  }
  return WL_OK;
}
