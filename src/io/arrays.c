/* arrays.c - reading foreign HDF5 files whole datasets at a time. */
#include "io/arrays.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "io/h5_support.h"

/* A damaged header must not make us allocate without bound. */
static const int64_t MOST_ELEMENTS = INT64_C(1) << 36;

static wl_status read_shape(const char *path, hid_t dataset, wl_field *f) {
  const WL_H5_SCOPED space = H5Dget_space(dataset);
  const WL_H5_SCOPED type = H5Dget_type(dataset);
  hsize_t size[H5S_MAX_RANK] = {0};
  const int ndim = H5Sget_simple_extent_dims(space, size, NULL);
  const H5T_class_t class = H5Tget_class(type);
  if (ndim != f->ndim || (class != H5T_INTEGER && class != H5T_FLOAT))
    return WL_FAIL(
        WL_ERR_DATA,
        "dataset '%s' of '%s' has %d dimensions%s, expected numbers in %d: pack the file again",
        f->name, path, ndim, class == H5T_STRING ? " of text" : "", f->ndim);
  int64_t elements = 1;
  for (int d = 0; d < ndim; d++) {
    f->shape[d] = (int64_t)size[d];
    if (size[d] < 1 || f->shape[d] > MOST_ELEMENTS / elements)
      return WL_FAIL(WL_ERR_DATA,
                     "dataset '%s' of '%s' has size %lld in dimension %d: pack the file again",
                     f->name, path, (long long)f->shape[d], d);
    elements *= f->shape[d];
  }
  return WL_OK;
}

static wl_status read_dataset(const char *path, hid_t file, wl_field *f) {
  if (H5Lexists(file, f->name, H5P_DEFAULT) <= 0)
    return WL_FAIL(WL_ERR_DATA, "'%s' has no dataset '%s': is it the packed file?", path, f->name);
  const WL_H5_SCOPED dataset = H5Dopen2(file, f->name, H5P_DEFAULT);
  WL_TRY_H5(dataset, WL_ERR_DATA, path, "open dataset '%s'", f->name);
  WL_TRY(read_shape(path, dataset, f));
  WL_TRY(wl_alloc(&f->data, (size_t)wl_field_count(f), wl_type_size(f->type)));
  const WL_H5_SCOPED memory = wl_h5_type(f->type, false);
  WL_TRY_H5(H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, f->data), WL_ERR_DATA, path,
            "read dataset '%s'", f->name);
  return WL_OK;
}

wl_status wl_arrays_read(const char *path, wl_field *fields, int count) {
  for (int i = 0; i < count; i++) fields[i].data = NULL;
  wl_h5_quiet();
  if (access(path, R_OK) != 0)
    return WL_FAIL(errno == EACCES ? WL_ERR_PERMISSION : WL_ERR_NO_INPUT, "%s: cannot be read: %s",
                   path, strerror(errno));
  const WL_H5_SCOPED access_list = wl_h5_access();
  const WL_H5_SCOPED file = H5Fopen(path, H5F_ACC_RDONLY, access_list);
  WL_TRY_H5(file, WL_ERR_DATA, path, "open the content");
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < count; i++) status = read_dataset(path, file, &fields[i]);
  for (int i = 0; status != WL_OK && i < count; i++) {
    wl_free(fields[i].data);
    fields[i].data = NULL;
  }
  return status;
}
