/* status.h - defines the status codes that Warploom's functions return. */
#ifndef WARPLOOM_STATUS_H
#define WARPLOOM_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The values are equal to the exit codes in sysexits.h. */
typedef enum wl_status {
  WL_OK = 0,
  WL_ERR_USAGE = 64,    /* a command line or an argument is wrong */
  WL_ERR_DATA = 65,     /* an input file is damaged or unsuitable */
  WL_ERR_NO_INPUT = 66, /* an input file is missing or unreadable */
  WL_ERR_DIVERGED = 69, /* the training diverged, so its meta-parameters are not usable */
  WL_ERR_SOFTWARE = 70, /* Warploom has a defect */
  /* the system could not provide memory or start a process, or MPI failed */
  WL_ERR_OS = 71,
  WL_ERR_CANNOT_CREATE = 73, /* an output file cannot be created */
  WL_ERR_IO = 74,            /* reading or writing failed, for example because the disk is full */
  /* the run stopped early and saved a checkpoint; repeat the command to resume the run */
  WL_TRY_AGAIN = 75,
  WL_ERR_PROTOCOL = 76,   /* the ranks have different data */
  WL_ERR_PERMISSION = 77, /* the user has no permission to read or to write a file */
  WL_ERR_CONFIG = 78      /* the configuration is wrong */
} wl_status;

/* Returns the last error message of the calling thread, or an empty string if no call has failed.
 * The string is valid until the next call that fails on this thread. Not collective. */
const char *wl_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
