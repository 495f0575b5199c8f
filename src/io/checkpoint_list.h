/* checkpoint_list.h - the list of a run's checkpoints, used to open, remove and describe checkpoints. */
#ifndef WL_IO_CHECKPOINT_LIST_H
#define WL_IO_CHECKPOINT_LIST_H

#include "io/atomic_file.h"

/* Lists the file names, newest first, and their folder. The caller frees the names with wl_names_clear. */
wl_status wl_checkpoint_list(const char *run, char folder[WL_PATH_MAX], wl_names *names);

#endif
