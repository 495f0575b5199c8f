/* arrays.h - reads datasets of HDF5 files that other programs wrote, such as packed images. checkpoint.h reads
 * Warploom's files, which have a footer. */
#ifndef WL_IO_ARRAYS_H
#define WL_IO_ARRAYS_H

#include "base/field.h"

/* Reads the datasets that fields [count] name, and converts each to the field's type. Sets shape and data; the caller
 * frees each data with wl_free. All data are NULL on failure. WL_ERR_NO_INPUT (no such file), WL_ERR_DATA (no HDF5
 * file; or a dataset is missing, damaged, or not of field->ndim dimensions). */
wl_status wl_arrays_read(const char *path, wl_field *fields, int count);

#endif
