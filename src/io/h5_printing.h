/* h5_printing.h - turns HDF5's printing of errors off during calls of this library, and restores the program's setting
 * afterwards. The library returns errors as statuses. */
#ifndef WL_IO_H5_PRINTING_H
#define WL_IO_H5_PRINTING_H

#include <stdbool.h>

typedef struct wl_h5_printing {
  bool known; /* false: the program uses HDF5's older interface, and its setting is not restored */
  void (*function)(void);
  void *data;
} wl_h5_printing;

/* Returns the current setting of HDF5's error printing. Not collective. */
wl_h5_printing wl_h5_save_printing(void);
void wl_h5_restore_printing(wl_h5_printing printing);

#endif
