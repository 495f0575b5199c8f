/* body.h - the body of a file on its way to the disk, and back.
 *
 * The large arrays are written first, and the disk gets to work. Meanwhile HDF5 describes them, and what is
 * written is read back; where there is much of it, a thread writes while that goes on:
 *
 *   start -> (the caller has HDF5 finish its part) -> finish -> end */
#ifndef WL_IO_BODY_H
#define WL_IO_BODY_H

#include "io/aside.h"
#include "io/file_image.h"

typedef struct wl_body {
  const wl_atomic_file *file; /* borrowed */
  const wl_part *direct;      /* [n_direct] what the thread writes, in order of offset; borrowed */
  int n_direct;
  wl_aside writing;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t moved;
  uint64_t reached; /* the direct parts are written up to there */
  bool over;        /* the thread writes no more */
  bool given_up;    /* it shall stop */
} wl_body;

/* Whether a body with these direct parts is written by a thread: starting one takes as long as writing a few
 * megabytes. */
bool wl_body_is_wide(const wl_part *direct, int n_direct);
/* Starts writing the direct parts, or writes them; neither they nor the file may move until wl_body_end. */
void wl_body_start(wl_body *body, const wl_atomic_file *file, const wl_part *direct, int n_direct);
/* Writes the other parts and reads all back, in order; the XXH3 of what was read. WL_ERR_DATA where that is
 * not what was to be written. */
wl_status wl_body_finish(wl_body *body, const wl_part *parts, int n_parts, uint64_t *hash);
/* Once after each start; does not wait for the disk. */
void wl_body_end(wl_body *body);

#endif
