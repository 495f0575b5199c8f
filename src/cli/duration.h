/* duration.h - durations on the command line. */
#ifndef WL_CLI_DURATION_H
#define WL_CLI_DURATION_H

#include "base/status.h"

/* Seconds from "90", "90s", "1.5h", "30m", "2d", "MM:SS", "HH:MM:SS", "D-HH", "D-HH:MM", "D-HH:MM:SS", at most
 * a hundred years. `option` is named in the
 * WL_ERR_USAGE message. */
wl_status wl_duration_parse(const char *text, const char *option, double *seconds);

#endif
