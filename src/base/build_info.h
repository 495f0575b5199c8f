/* build_info.h - version, compiler and libraries of this binary. `--version` prints them, and output files store
 * them. */
#ifndef WL_BASE_BUILD_INFO_H
#define WL_BASE_BUILD_INFO_H

const char *wl_build_version(void);   /* "0.1.0" */
const char *wl_build_revision(void);  /* git revision, with "-dirty" if files were changed; "unknown" outside git */
const char *wl_build_type(void);      /* "Release" */
const char *wl_build_compiler(void);  /* "GNU 12.2.0 -O3 ..." */
const char *wl_build_processor(void); /* model name and the instruction set chosen at run time */
const char *wl_build_hdf5(void);      /* version found at build time, such as "1.10.8" */
const char *wl_build_blas(void);      /* openblas_get_config() */

#endif
