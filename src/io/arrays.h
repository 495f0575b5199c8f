/* arrays.h - datasets of HDF5 files that others made, such as packed images. Warploom's own files are
 * read through checkpoint.h, which knows their footer. */
#ifndef WL_IO_ARRAYS_H
#define WL_IO_ARRAYS_H

#include "base/field.h"

/* Reads the datasets that fields [count] name, converted to each field's type. Sets shape and data, which
 * the caller frees with wl_free; all NULL on failure. WL_ERR_NO_INPUT (no such file), WL_ERR_DATA (no HDF5,
 * a dataset missing, damaged, or not of field->ndim dimensions). */
wl_status wl_arrays_read(const char *path, wl_field *fields, int count);

#endif
