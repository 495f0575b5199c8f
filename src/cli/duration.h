/* duration.h - durations on the command line. */
#ifndef WL_CLI_DURATION_H
#define WL_CLI_DURATION_H

#include "base/status.h"

/* Parses seconds from "90", "90s", "1.5h", "30m", "2d", "MM:SS", "HH:MM:SS", "D-HH", "D-HH:MM" or "D-HH:MM:SS", at most
 * a hundred years. The WL_ERR_USAGE message names `option`. */
wl_status wl_duration_parse(const char *text, const char *option, double *seconds);

#endif
