/* build_info.c - returns the version, the revision and the compiler from the header that the build
 * generates. The names of the processor and of the BLAS library are found at run time. */
#include "base/build_info.h"

#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/isa.h"
#include "wl_build.h"

enum { TEXT_SIZE = 256 };

static char processor[TEXT_SIZE];
static char blas[TEXT_SIZE];

const char *wl_build_version(void) { return WL_BUILD_VERSION; }
const char *wl_build_revision(void) { return WL_BUILD_REVISION; }
const char *wl_build_type(void) { return WL_BUILD_TYPE; }
const char *wl_build_compiler(void) { return WL_BUILD_COMPILER; }
const char *wl_build_hdf5(void) { return WL_BUILD_HDF5; }

/* Reads the value of the first "model name" line of /proc/cpuinfo. If the file has no such line,
 * the result is "". */
static void read_model_name(char *out, size_t size) {
  out[0] = '\0';
  FILE *const file = fopen("/proc/cpuinfo", "r");
  if (!file) return;
  char line[TEXT_SIZE];
  while (fgets(line, sizeof line, file)) {
    const char *const colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
    out[strcspn(out, "\n")] = '\0';
    break;
  }
  fclose(file);
}

static void describe_processor(void) {
  char model[TEXT_SIZE - 32];
  read_model_name(model, sizeof model);
  snprintf(processor, sizeof processor, "%s (%s)", model[0] ? model : "unknown processor",
           wl_isa_name(wl_isa_choose()));
}

/* Describes OpenBLAS. The configuration text of OpenBLAS ends with the name of the processor core
 * for which OpenBLAS was built. If OpenBLAS chose the kernels of another core at run time, the name
 * of that core is appended. */
static void describe_blas(void) {
  const char *const config = openblas_get_config();
  const char *const core = openblas_get_corename();
  const int length = snprintf(blas, sizeof blas, "%s", config);
  if (!strstr(config, core) && length >= 0 && (size_t)length < sizeof blas)
    snprintf(blas + length, sizeof blas - (size_t)length, " (core %s)", core);
}

const char *wl_build_processor(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, describe_processor);
  return processor;
}

const char *wl_build_blas(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, describe_blas);
  return blas;
}
