/* fuzz.h - declares what a fuzz target defines for the driver: the entry point of libFuzzer, words for mutations, and
 * file patterns of the seed files. */
#ifndef WL_TESTS_FUZZ_H
#define WL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Runs the target on one input. Aborts if the input reveals a fault, otherwise returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern long long wl_fuzz_accepted;        /* number of inputs that the tested code has accepted so
                                           * far */
extern const char *const wl_fuzz_words[]; /* words that mutations insert into the input */
extern const int wl_fuzz_word_count;
extern const char *const wl_fuzz_seeds[]; /* patterns of the paths of the seed files; NULL ends the
                                           * list */

#endif
