/* duration.h - durations on the command line. */
#ifndef WL_CLI_DURATION_H
#define WL_CLI_DURATION_H

#include "base/status.h"

/* Parses a duration and returns it in seconds. The notations are "90", "90s", "1.5h", "30m", "2d", "MM:SS", "HH:MM:SS",
 * "D-HH", "D-HH:MM" and "D-HH:MM:SS". Returns WL_ERR_USAGE for any other text and for more than a hundred years. The
 * message names `option`. */
wl_status wl_duration_parse(const char *text, const char *option, double *seconds);

#endif
