/* arrays.h - reads datasets of HDF5 files that other programs wrote, such as packed images. The functions of
 * checkpoint.h read Warploom's files, which have a footer. */
#ifndef WL_IO_ARRAYS_H
#define WL_IO_ARRAYS_H

#include "base/field.h"

/* Reads the dataset that each of the `count` fields names, and converts the values to the type of
 * the field. Sets `shape` and `data` of each field. The caller frees `data` with wl_free. After a
 * failure, `data` of every field is NULL. Returns WL_ERR_NO_INPUT if the file does not exist.
 * Returns WL_ERR_DATA if the file is not an HDF5 file. Also returns WL_ERR_DATA if a dataset is
 * missing or damaged, or if the number of its dimensions is not field->ndim. */
wl_status wl_arrays_read(const char *path, wl_field *fields, int count);

#endif
