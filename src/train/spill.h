/* spill.h - stores rows of bytes that do not fit in memory in a scratch file of this process.
 *
 * The file is unlinked when it is opened, so the system frees the file's space however the process ends. A row needs
 * no disk space before the row is first written. The file is not HDF5: only the thread that writes checkpoints may use
 * HDF5, and training would wait for that thread. No other process reads the file. */
#ifndef WL_TRAIN_SPILL_H
#define WL_TRAIN_SPILL_H

#include "base/status.h"

typedef struct wl_spill wl_spill;

/* Creates a file in `folder` for `rows` rows of `row_bytes` bytes. WL_ERR_CANNOT_CREATE, WL_ERR_PERMISSION. */
wl_status wl_spill_open(const char *folder, int64_t rows, size_t row_bytes, wl_spill **out);
void wl_spill_close(wl_spill **spill);
/* Writes a row. WL_ERR_IO: the disk is full or has failed. A row must be written before it is read. */
wl_status wl_spill_write(wl_spill *spill, int64_t row, const void *elements);
wl_status wl_spill_read(wl_spill *spill, int64_t row, void *elements);

#endif
