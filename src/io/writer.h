/* writer.h - one thread that writes files while the caller goes on computing.
 *
 * One piece of work at a time: what it reads must stay as it is until wl_writer_wait has returned. All
 * of HDF5 belongs to that thread between start and wait, and to the caller otherwise: the library needs
 * no locks of its own. Scratch files (spill.h) alone are used meanwhile: each call waits for the work. The thread takes no signals. */
#ifndef WL_IO_WRITER_H
#define WL_IO_WRITER_H

#include <stdbool.h>

#include "base/status.h"

typedef struct wl_writer wl_writer;

wl_status wl_writer_create(wl_writer **out);
void wl_writer_destroy(wl_writer **writer); /* waits for what is under way; accepts NULL */

/* Starts work(data); the work before it must have been waited for. */
void wl_writer_start(wl_writer *writer, wl_status (*work)(void *data), void *data);
/* Whether work is under way; not waiting. */
bool wl_writer_is_busy(wl_writer *writer);
/* Waits for the work under way and returns what came of it, its message as the caller's last error; WL_OK
 * when there was none since the last call. */
wl_status wl_writer_wait(wl_writer *writer);
/* Seconds that the finished work has taken in all. */
double wl_writer_seconds(const wl_writer *writer);

#endif
