/* driver.c - runs a fuzz target on mutated seed files, for compilers that do not have libFuzzer.
 *
 *   fuzz_config [-runs=N] [-seed=S] [-file=F] [SEED FILES]
 *
 * With -file, the program runs the target once, on the file F. The mutations depend only on the seed S and the seed
 * files. The program fails in two cases: a run takes more than 5 seconds, or the process needs more than 1 GiB in
 * addition to its memory at the start. At the end, the program prints the number of runs, the longest time of a run,
 * and the peak memory. With clang, link the target with -fsanitize=fuzzer instead of this file. */
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "fuzz/fuzz.h"

enum { MOST_SEEDS = 64, MOST_BYTES = 1 << 18, LONGEST_SECONDS = 5, MOST_MIB = 1024 };

typedef struct bytes {
  uint8_t *at;
  size_t size;
} bytes;

typedef struct fuzzer {
  uint64_t random;
  bytes seed[MOST_SEEDS];
  int seeds;
  bytes now; /* buffer of MOST_BYTES bytes that contains the mutated input */
} fuzzer;

static uint64_t draw(fuzzer *f) { /* xorshift64* */
  f->random ^= f->random >> 12;
  f->random ^= f->random << 25;
  f->random ^= f->random >> 27;
  return f->random * 0x2545F4914F6CDD1DULL;
}

static size_t below(fuzzer *f, size_t n) { return n ? (size_t)(draw(f) % n) : 0; }

/* Replaces `length` bytes at position `at` by `size` other bytes. A result of more than MOST_BYTES bytes is cut off
 * at MOST_BYTES. */
static void replace(fuzzer *f, size_t at, size_t length, const uint8_t *with, size_t size) {
  bytes *b = &f->now;
  if (size > MOST_BYTES - at) size = MOST_BYTES - at;
  size_t tail = b->size - at - length;
  if (tail > MOST_BYTES - at - size) tail = MOST_BYTES - at - size;
  memmove(b->at + at + size, b->at + at + length, tail);
  memmove(b->at + at, with, size);
  b->size = at + size + tail;
}

/* Repeats a part of the input up to thousands of times, to create deeply nested and long inputs. */
static void repeat(fuzzer *f) {
  uint8_t span[64];
  const size_t at = below(f, f->now.size);
  size_t length = 1 + below(f, sizeof span - 1);
  if (length > f->now.size - at) length = f->now.size - at;
  memcpy(span, f->now.at + at, length);
  for (size_t n = (size_t)1 << below(f, 13); n > 0 && f->now.size < MOST_BYTES; n--)
    replace(f, at, 0, span, length);
}

static void splice(fuzzer *f) {
  const bytes *from = &f->seed[below(f, (size_t)f->seeds)];
  const size_t at = below(f, f->now.size + 1), start = below(f, from->size);
  size_t length = below(f, 200);
  if (length > from->size - start) length = from->size - start;
  replace(f, at, below(f, 2) ? 0 : below(f, f->now.size - at + 1), from->at + start, length);
}

static void insert_word(fuzzer *f) {
  const char *const word = wl_fuzz_words[below(f, (size_t)wl_fuzz_word_count)];
  const size_t at = below(f, f->now.size + 1);
  replace(f, at, 0, (const uint8_t *)word, strlen(word));
}

static void mutate_once(fuzzer *f) {
  bytes *b = &f->now;
  const size_t at = below(f, b->size);
  switch (below(f, 8)) {
    case 0:
      if (b->size) b->at[at] ^= (uint8_t)(1u << below(f, 8));
      return;
    case 1:
      if (b->size) b->at[at] = (uint8_t)draw(f);
      return;
    case 2: replace(f, at, b->size ? 1 + below(f, b->size - at) / 4 : 0, b->at, 0); return;
    case 3: replace(f, at, 0, &(uint8_t){(uint8_t)draw(f)}, 1); return;
    case 4: splice(f); return;
    case 5:
      if (below(f, 16) == 0 && b->size) repeat(f);
      return;
    default: insert_word(f); return;
  }
}

static void mutate(fuzzer *f) {
  const bytes *from = &f->seed[below(f, (size_t)f->seeds)];
  memcpy(f->now.at, from->at, from->size);
  f->now.size = from->size;
  for (size_t n = 1 + below(f, 6); n > 0; n--) mutate_once(f);
}

static int read_file(const char *path, bytes *out) {
  FILE *const file = fopen(path, "rb");
  out->at = malloc(MOST_BYTES);
  if (!file || !out->at) return 0;
  out->size = fread(out->at, 1, MOST_BYTES, file);
  fclose(file);
  return 1;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak_mib(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_maxrss / 1024;
}

static int run(fuzzer *f, long long runs) {
  double longest = 0;
  const double memory = peak_mib();
  for (long long i = 0; i < runs; i++) {
    mutate(f);
    const double start = now();
    LLVMFuzzerTestOneInput(f->now.at, f->now.size);
    const double took = now() - start;
    if (took > longest) longest = took;
    if (!(took <= LONGEST_SECONDS) || !(peak_mib() - memory <= MOST_MIB)) {
      FILE *const file = fopen("slow-or-large.input", "wb");
      if (file) fwrite(f->now.at, 1, f->now.size, file);
      if (file) fclose(file);
      fprintf(stderr, "run %lld: %.2f s, %.0f MiB: see slow-or-large.input\n", i, took, peak_mib());
      return EXIT_FAILURE;
    }
  }
  printf(
      "%lld runs on %d seeds, %lld accepted: longest %.4f s, peak %.0f MiB of which %.0f at the start\n",
      runs, f->seeds, wl_fuzz_accepted, longest, peak_mib(), memory);
  return EXIT_SUCCESS;
}

static void add_seed(fuzzer *f, const char *path) {
  if (f->seeds < MOST_SEEDS && read_file(path, &f->seed[f->seeds])) f->seeds++;
}

/* Adds the target's default seed files from the source tree to the list of seed files. */
static void add_own_seeds(fuzzer *f) {
  const char *const source = getenv("WL_SOURCE");
  for (int i = 0; source && wl_fuzz_seeds[i]; i++) {
    char pattern[4096];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s", source, wl_fuzz_seeds[i]);
    if (glob(pattern, 0, NULL, &found) != 0) continue;
    for (size_t k = 0; k < found.gl_pathc; k++) add_seed(f, found.gl_pathv[k]);
    globfree(&found);
  }
}

int main(int argc, char **argv) {
  static fuzzer f = {.random = 0x9E3779B97F4A7C15ULL};
  long long runs = 3000;
  for (int i = 1; i < argc; i++) {
    bytes one;
    if (strncmp(argv[i], "-runs=", 6) == 0) runs = atoll(argv[i] + 6);
    else if (strncmp(argv[i], "-seed=", 6) == 0) f.random ^= (uint64_t)atoll(argv[i] + 6) << 20;
    else if (strncmp(argv[i], "-file=", 6) == 0)
      return read_file(argv[i] + 6, &one) ? LLVMFuzzerTestOneInput(one.at, one.size) : EXIT_FAILURE;
    else add_seed(&f, argv[i]);
  }
  if (f.seeds == 0) add_own_seeds(&f);
  f.now.at = malloc(MOST_BYTES);
  if (f.seeds == 0 || !f.now.at) {
    fprintf(stderr, "no seeds: name files, or set WL_SOURCE\n");
    return EXIT_FAILURE;
  }
  return run(&f, runs);
}
