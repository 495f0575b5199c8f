/* duration.c - times as people and SLURM write them. */
#include "cli/duration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* [D-]HH:MM:SS or MM:SS. */
static int parse_clock(const char *text, double *seconds) {
  int days = 0, a, b, c, used = 0;
  const char *rest = strchr(text, '-');
  if (rest && (sscanf(text, "%d%n", &days, &used) != 1 || text + used != rest)) return 0;
  rest = rest ? rest + 1 : text;
  if (sscanf(rest, "%d:%d:%d%n", &a, &b, &c, &used) == 3 && !rest[used])
    *seconds = 3600.0 * a + 60.0 * b + c;
  else if (sscanf(rest, "%d:%d%n", &a, &b, &used) == 2 && !rest[used]) *seconds = 60.0 * a + b;
  else return 0;
  *seconds += 86400.0 * days;
  return 1;
}

static int parse_number(const char *text, double *seconds) {
  static const struct {
    char unit;
    double seconds;
  } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  char *end;
  *seconds = strtod(text, &end);
  if (end == text) return 0;
  if (!*end) return 1;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (end[0] == units[i].unit && !end[1]) {
      *seconds *= units[i].seconds;
      return 1;
    }
  return 0;
}

wl_status wl_duration_parse(const char *text, const char *option, double *seconds) {
  const int known = strchr(text, ':') ? parse_clock(text, seconds) : parse_number(text, seconds);
  if (known && isfinite(*seconds) && *seconds > 0) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE, "%s %s: not a time; write seconds, or 90m, 4h, 2d, or [D-]HH:MM:SS",
                 option, text);
}
