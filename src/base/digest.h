/* digest.h - computes a 64-bit digest (XXH3) of named arrays. Two states with
 * the same digest are equal, unless there is a collision of the hash function. */
#ifndef WL_BASE_DIGEST_H
#define WL_BASE_DIGEST_H

#include "base/status.h"

typedef struct wl_digest {
  uint64_t value;
} wl_digest; /* zeroed: empty */

/* Adds a name and `bytes` bytes of data to the digest. The digest depends on the order of the
 * calls. */
void wl_digest_add(wl_digest *digest, const char *name, const void *data, size_t bytes);
/* Writes the digest as 16 lower-case hex digits and a terminating zero. */
void wl_digest_hex(wl_digest digest, char out[17]);

#endif
