/* fuzz.h - the names that a fuzz target defines for the driver: the entry point of libFuzzer, words and seeds. */
#ifndef WL_TESTS_FUZZ_H
#define WL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Aborts if it finds a fault; otherwise returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern long long wl_fuzz_accepted; /* number of valid inputs so far; a target that refuses all inputs tests little */
extern const char *const wl_fuzz_words[]; /* words that mutations insert */
extern const int wl_fuzz_word_count;
extern const char *const wl_fuzz_seeds[]; /* file patterns relative to the source tree; the list ends with NULL */

#endif
