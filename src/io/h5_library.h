/* h5_library.h - returns the version of HDF5, and saves and restores the setting that makes HDF5
 * print its errors. HDF5 prints no errors while a function of Warploom's C library runs, because
 * the library returns errors as statuses. After the call, the setting of the calling program is
 * restored. */
#ifndef WL_IO_H5_LIBRARY_H
#define WL_IO_H5_LIBRARY_H

#include <stdbool.h>

typedef struct wl_h5_printing {
  /* False if the calling program set the printing of errors with an older function of HDF5. If
   * `known` is false, the setting is not restored. */
  bool known;
  void (*function)(void);
  void *data;
} wl_h5_printing;

/* Returns the version of the HDF5 library that is loaded, such as "1.10.8". */
const char *wl_h5_version(void);
/* Returns the current setting for the printing of HDF5's errors. Not collective. */
wl_h5_printing wl_h5_save_printing(void);
void wl_h5_restore_printing(wl_h5_printing printing);

#endif
