/* digest.c - computes a digest with the hash function XXH3. Each name and each array is hashed,
 * with the previous digest as the seed of the hash.
 *
 *   d <- XXH3(data, XXH3(name, d))
 *
 * XXH3 also hashes the length of its input. The digest therefore changes if bytes are moved from a
 * name to its data, or from one array to the next. */
#include "base/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void wl_digest_add(wl_digest *digest, const char *name, const void *data, size_t bytes) {
  const uint64_t named = XXH3_64bits_withSeed(name, strlen(name), digest->value);
  digest->value = XXH3_64bits_withSeed(data, bytes, named);
}

void wl_digest_hex(wl_digest digest, char out[17]) {
  snprintf(out, 17, "%016" PRIx64, digest.value);
}
