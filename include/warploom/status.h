/* status.h - the status codes of Warploom functions. */
#ifndef WARPLOOM_STATUS_H
#define WARPLOOM_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Values are the exit codes of sysexits.h. */
typedef enum wl_status {
  WL_OK = 0,
  WL_ERR_USAGE = 64,         /* wrong command line or argument */
  WL_ERR_DATA = 65,          /* damaged or unsuitable input file */
  WL_ERR_NO_INPUT = 66,      /* input file missing or unreadable */
  WL_ERR_DIVERGED = 69,      /* the training diverged, so its meta-parameters are not usable */
  WL_ERR_SOFTWARE = 70,      /* a defect in Warploom */
  WL_ERR_OS = 71,            /* no memory, no process, MPI failure */
  WL_ERR_CANNOT_CREATE = 73, /* output cannot be created */
  WL_ERR_IO = 74,            /* reading or writing failed, disk full */
  WL_TRY_AGAIN = 75,         /* stopped early with a checkpoint: run again to resume */
  WL_ERR_PROTOCOL = 76,      /* ranks disagree */
  WL_ERR_PERMISSION = 77,    /* no permission */
  WL_ERR_CONFIG = 78         /* wrong configuration */
} wl_status;

/* Returns the last error message of the calling thread, or "" if there is none. The string is valid until the next call
 * that fails on this thread. Not collective. */
const char *wl_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
