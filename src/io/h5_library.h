/* h5_library.h - the version of HDF5, and its printing of errors. The printing is off during calls of this library,
 * which returns errors as statuses. The program's setting is restored afterwards. */
#ifndef WL_IO_H5_LIBRARY_H
#define WL_IO_H5_LIBRARY_H

#include <stdbool.h>

typedef struct wl_h5_printing {
  bool known; /* false: the program uses HDF5's older interface, and its setting is not restored */
  void (*function)(void);
  void *data;
} wl_h5_printing;

/* Returns the version of the library in use, such as "1.10.8". */
const char *wl_h5_version(void);
/* Returns the current setting of HDF5's error printing. Not collective. */
wl_h5_printing wl_h5_save_printing(void);
void wl_h5_restore_printing(wl_h5_printing printing);

#endif
