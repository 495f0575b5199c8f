/* arrays.h - reads datasets of HDF5 files that other programs wrote, such as packed images. checkpoint.h reads
 * Warploom's files, which have a footer. */
#ifndef WL_IO_ARRAYS_H
#define WL_IO_ARRAYS_H

#include "base/field.h"

/* Reads the datasets that fields [count] name, and converts each dataset to the type of its field. Sets `shape` and
 * `data` of each field; the caller frees `data` with wl_free. On failure `data` of every field is NULL. Returns
 * WL_ERR_NO_INPUT if the file does not exist. Returns WL_ERR_DATA if it is not an HDF5 file, or if a dataset is
 * missing, is damaged or does not have field->ndim dimensions. */
wl_status wl_arrays_read(const char *path, wl_field *fields, int count);

#endif
