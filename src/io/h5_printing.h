/* h5_printing.h - what HDF5 prints of errors belongs to the program: this library turns it off for its own
 * calls (their errors come back as statuses), and inside another program puts it back. */
#ifndef WL_IO_H5_PRINTING_H
#define WL_IO_H5_PRINTING_H

#include <stdbool.h>

typedef struct wl_h5_printing {
  bool known; /* false: it is set by HDF5's older interface, and stays as we set it */
  void (*function)(void);
  void *data;
} wl_h5_printing;

/* How HDF5 prints errors now. Not collective. */
wl_h5_printing wl_h5_save_printing(void);
void wl_h5_restore_printing(wl_h5_printing printing);

#endif
