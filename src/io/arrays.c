/* arrays.c - reads whole datasets from HDF5 files that other programs wrote. */
#include "io/arrays.h"

#include <string.h>

#include "io/gate.h"

/* HDF5 calls this function for a value that the requested type cannot represent. The returned value
 * makes the read fail. Without this function, HDF5 would replace the value by the nearest value
 * that the type can represent. */
static H5T_conv_ret_t refuse_value(H5T_conv_except_t what, hid_t from, hid_t to, void *source,
                                   void *target, void *context) {
  (void)what, (void)from, (void)to, (void)source, (void)target, (void)context;
  return H5T_CONV_ABORT;
}

static wl_status read_dataset(const char *path, hid_t file, wl_field *f) {
  wl_stored stored;
  WL_TRY(wl_gate_open_dataset(path, file, f->name, true, f->ndim, &stored));
  const WL_H5_SCOPED dataset = stored.id;
  memcpy(f->shape, stored.field.shape, sizeof f->shape);
  WL_TRY(wl_alloc(&f->data, (size_t)wl_field_count(f), wl_type_size(f->type)));
  const WL_H5_SCOPED memory = wl_h5_type(f->type, false);
  const WL_H5_SCOPED transfer = H5Pcreate(H5P_DATASET_XFER);
  H5Pset_type_conv_cb(transfer, refuse_value, NULL);
  WL_TRY_H5(H5Dread(dataset, memory, H5S_ALL, H5S_ALL, transfer, f->data), WL_ERR_DATA, path,
            "read dataset '%s' (perhaps a value is out of range)", f->name);
  return WL_OK;
}

wl_status wl_arrays_read(const char *path, wl_field *fields, int count) {
  hid_t opened = H5I_INVALID_HID;
  for (int i = 0; i < count; i++) fields[i].data = NULL;
  WL_TRY(wl_gate_open_file(path, &opened));
  const WL_H5_SCOPED file = opened;
  wl_status status = WL_OK;
  for (int i = 0; status == WL_OK && i < count; i++) status = read_dataset(path, file, &fields[i]);
  for (int i = 0; status != WL_OK && i < count; i++) {
    wl_free(fields[i].data);
    fields[i].data = NULL;
  }
  return status;
}
