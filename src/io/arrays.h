/* arrays.h - reads datasets of HDF5 files that other programs wrote, such as packed images. checkpoint.h reads
 * Warploom's files, which have a footer. */
#ifndef WL_IO_ARRAYS_H
#define WL_IO_ARRAYS_H

#include "base/field.h"

/* Reads the datasets that fields [count] name, converted to each field's type. Sets shape and data, which
 * the caller frees with wl_free; all NULL on failure. WL_ERR_NO_INPUT (no such file), WL_ERR_DATA (no HDF5,
 * a dataset missing, damaged, or not of field->ndim dimensions). */
wl_status wl_arrays_read(const char *path, wl_field *fields, int count);

#endif
