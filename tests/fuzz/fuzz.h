/* fuzz.h - what a fuzz target defines for the driver: libFuzzer's entry point, words and seeds. */
#ifndef WL_TESTS_FUZZ_H
#define WL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Aborts if it finds a fault; otherwise returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern long long wl_fuzz_accepted; /* number of valid inputs: a target that refuses all inputs tests little */
extern const char *const wl_fuzz_words[]; /* inserted by mutations */
extern const int wl_fuzz_word_count;
extern const char *const wl_fuzz_seeds[]; /* patterns below the source tree; ends with NULL */

#endif
