/* spill.h - stores rows of bytes in a scratch file of this process, because the rows do not fit in
 * memory.
 *
 * The file is unlinked as soon as it is open. The operating system therefore frees the disk space
 * of the file when the process ends, even after a crash. A row needs no disk space before it is
 * first written. The file is not an HDF5 file, because no other process reads the file and because
 * only the thread that writes checkpoints may use HDF5. If the scratch file were an HDF5 file, the
 * training would have to wait for this thread. */
#ifndef WL_TRAIN_SPILL_H
#define WL_TRAIN_SPILL_H

#include "base/status.h"

typedef struct wl_spill wl_spill;

/* Creates a scratch file in `folder` for `rows` rows of `row_bytes` bytes each. The caller closes
 * *out with wl_spill_close. Returns WL_ERR_CANNOT_CREATE or WL_ERR_PERMISSION if the file cannot be
 * created. */
wl_status wl_spill_open(const char *folder, int64_t rows, size_t row_bytes, wl_spill **out);
void wl_spill_close(wl_spill **spill);
/* wl_spill_write writes a row. wl_spill_read reads a row that was written before. The functions
 * return WL_ERR_IO if the file system reports an error, for example because the disk is full. */
wl_status wl_spill_write(wl_spill *spill, int64_t row, const void *elements);
wl_status wl_spill_read(wl_spill *spill, int64_t row, void *elements);

#endif
