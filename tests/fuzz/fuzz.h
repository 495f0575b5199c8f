/* fuzz.h - what a fuzz target gives to the driver: libFuzzer's entry point, words and seeds. */
#ifndef WL_TESTS_FUZZ_H
#define WL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Aborts on a fault; 0 otherwise. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern long long wl_fuzz_accepted; /* inputs that were valid: a target that refuses all tests little */
extern const char *const wl_fuzz_words[]; /* inserted by mutations */
extern const int wl_fuzz_word_count;
extern const char *const wl_fuzz_seeds[]; /* patterns below the source tree; ends with NULL */

#endif
