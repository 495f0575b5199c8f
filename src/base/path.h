/* path.h - what a path leads to. */
#ifndef WL_BASE_PATH_H
#define WL_BASE_PATH_H

#include <stdbool.h>

/* A folder that is there. */
bool wl_is_directory(const char *path);

#endif
