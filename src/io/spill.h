/* spill.h - rows of reals that do not fit in memory, in a scratch HDF5 file of this process.
 *
 * The file's name is gone from the folder as soon as it is open, so that nothing stays behind, however the
 * process ends; its space is given back when it is closed. Rows take space when they are first written. */
#ifndef WL_IO_SPILL_H
#define WL_IO_SPILL_H

#include "base/field.h"

typedef struct wl_spill wl_spill;

/* Room in `folder` for `rows` rows of `width` elements of WL_FLOAT32 or WL_FLOAT64, or of IEEE binary16
 * (`half`), which are passed as they are stored. WL_ERR_CANNOT_CREATE, WL_ERR_PERMISSION. */
wl_status wl_spill_open(const char *folder, int64_t rows, int64_t width, wl_type type, bool half,
                        wl_spill **out);
void wl_spill_close(wl_spill **spill);
/* WL_ERR_IO: the disk is full, or failed. A row must have been written before it is read. */
wl_status wl_spill_write(wl_spill *spill, int64_t row, const void *elements);
wl_status wl_spill_read(wl_spill *spill, int64_t row, void *elements);

#endif
