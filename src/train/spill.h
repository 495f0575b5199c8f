/* spill.h - stores rows of bytes that do not fit in memory, in a scratch file of this process.
 *
 * The file is unlinked when it is opened, so the system frees its space in every case when the process ends. A row
 * takes no disk space before it is first written. The file is not HDF5: only the thread that writes checkpoints may use
 * HDF5, and training would have to wait for this thread. No other process reads the file. */
#ifndef WL_TRAIN_SPILL_H
#define WL_TRAIN_SPILL_H

#include "base/status.h"

typedef struct wl_spill wl_spill;

/* Creates a file in `folder` for `rows` rows of `row_bytes` bytes. Returns WL_ERR_CANNOT_CREATE or WL_ERR_PERMISSION if
 * the file cannot be created. */
wl_status wl_spill_open(const char *folder, int64_t rows, size_t row_bytes, wl_spill **out);
void wl_spill_close(wl_spill **spill);
/* wl_spill_write writes a row, which must happen before the row is read. Returns WL_ERR_IO if the disk is full or has
 * failed. */
wl_status wl_spill_write(wl_spill *spill, int64_t row, const void *elements);
wl_status wl_spill_read(wl_spill *spill, int64_t row, void *elements);

#endif
