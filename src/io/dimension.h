/* dimension.h - dimension scales, so that xarray and netCDF readers show named dimensions. */
#ifndef WL_IO_DIMENSION_H
#define WL_IO_DIMENSION_H

#include "io/h5_support.h"

/* Names the dimensions of a dataset that is in `file`. Call when all datasets are there, so that those
 * that hold coordinates become the scales of their dimensions. */
wl_status wl_dimensions_name(const char *path, hid_t file, const wl_field *field);

#endif
