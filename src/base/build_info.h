/* build_info.h - returns the version, the compiler and the libraries of this binary. `--version` prints this
 * information, and output files contain the information. */
#ifndef WL_BASE_BUILD_INFO_H
#define WL_BASE_BUILD_INFO_H

const char *wl_build_version(void);   /* "0.1.0" */
/* Returns the git revision, with "-dirty" if the source had uncommitted changes. Returns
 * "unknown" if the source was not in a git repository. */
const char *wl_build_revision(void);
const char *wl_build_type(void);      /* "Release" */
const char *wl_build_compiler(void);  /* "GNU 12.2.0 -O3 ..." */
/* Returns the model name of the processor and the instruction set that the program chose. */
const char *wl_build_processor(void);
const char *wl_build_hdf5(void);      /* the HDF5 version at build time, such as "1.10.8" */
/* Returns the text of openblas_get_config(). If that text names another processor core than the one
 * whose kernels are used, the name of the used core is appended. */
const char *wl_build_blas(void);

#endif
