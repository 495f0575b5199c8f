/* spill.h - rows of bytes that do not fit in memory, in a scratch file of this process.
 *
 * The file's name is gone from the folder as soon as it is open, so that nothing stays behind, however the
 * process ends; its space is given back when it is closed. Rows take space when they are first written.
 * Nobody else ever reads it, so it is no HDF5: HDF5 belongs to the thread that writes checkpoints, and the
 * training would wait for that. */
#ifndef WL_TRAIN_SPILL_H
#define WL_TRAIN_SPILL_H

#include "base/status.h"

typedef struct wl_spill wl_spill;

/* Room in `folder` for `rows` rows of `row_bytes` bytes. WL_ERR_CANNOT_CREATE, WL_ERR_PERMISSION. */
wl_status wl_spill_open(const char *folder, int64_t rows, size_t row_bytes, wl_spill **out);
void wl_spill_close(wl_spill **spill);
/* WL_ERR_IO: the disk is full, or failed. A row must have been written before it is read. */
wl_status wl_spill_write(wl_spill *spill, int64_t row, const void *elements);
wl_status wl_spill_read(wl_spill *spill, int64_t row, void *elements);

#endif
