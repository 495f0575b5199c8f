/* seal.h - the last lines of every file: what it holds, and a checksum of every byte before them.
 *
 * HDF5 ignores what follows its own data, so any reader opens a sealed file. A truncated, unfinished
 * or changed file is told apart before HDF5 parses it, and the damaged dataset is named without HDF5.
 *
 *   warploom seal 1
 *   <offset> <bytes> <XXH3> <name>                         a line for each stretch of a dataset
 *   end <body bytes> <XXH3 of body> <bytes of the lines above> <XXH3 of all lines up to here> */
#ifndef WL_IO_SEAL_H
#define WL_IO_SEAL_H

#include <stdbool.h>

#include "base/status.h"

/* Where bytes of a dataset lie in the file, and their XXH3. The name is borrowed. */
typedef struct wl_stretch {
  const char *name;
  uint64_t offset, bytes, hash;
  bool whole; /* they are the dataset, and the hash its checksum */
} wl_stretch;

/* The seal of a file whose body has this length and XXH3; *text is malloc'ed. */
wl_status wl_seal_make(uint64_t body_bytes, uint64_t body_hash, const wl_stretch *stretches,
                       int count, char **text, size_t *text_bytes);
/* WL_OK when every byte is as it was written. WL_ERR_NO_INPUT, WL_ERR_DATA (names the datasets). */
wl_status wl_seal_check(const char *path);
/* The same without the body, which has been read already and is so long, with this XXH3. */
wl_status wl_seal_check_lines(const char *path, uint64_t body_bytes, uint64_t body_hash);

#endif
