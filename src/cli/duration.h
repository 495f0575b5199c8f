/* duration.h - parses a duration that the user gives on the command line. */
#ifndef WL_CLI_DURATION_H
#define WL_CLI_DURATION_H

#include "base/status.h"

/* Parses a duration and writes the number of seconds to *seconds. The notations are "90", "90s",
 * "1.5h", "30m", "2d", "MM:SS", "HH:MM:SS", "D-HH", "D-HH:MM" and "D-HH:MM:SS". Returns
 * WL_ERR_USAGE for any other string, for 0, and for a duration above a hundred years. The error
 * message begins with the string `option`, such as "--time-limit". */
wl_status wl_duration_parse(const char *text, const char *option, double *seconds);

#endif
