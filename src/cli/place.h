/* place.h - where this program lies, to find what was installed beside it. */
#ifndef WL_CLI_PLACE_H
#define WL_CLI_PLACE_H

#include <stddef.h>

#include "base/status.h"

/* The folder of this binary. */
wl_status wl_own_folder(char *folder, size_t size);

#endif
