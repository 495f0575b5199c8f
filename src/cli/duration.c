/* duration.c - parses durations in common notations and in the notation of SLURM. */
#include "cli/duration.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Reads an integer of at most nine digits, and moves *text to the character after the integer.
 * Returns -1 if the string does not start with such an integer. */
static long take_number(const char **text) {
  long value = 0;
  int digits = 0;
  for (; isdigit((unsigned char)**text); ++*text, ++digits)
    if (digits < 9) value = 10 * value + (**text - '0');
  return digits >= 1 && digits <= 9 ? value : -1;
}

/* Reads a string of the form "a", "a:b" or "a:b:c", where a, b and c are integers. Returns the
 * number of integers. Returns 0 for any other string, or if b or c is above 59. */
static int take_fields(const char *text, long fields[3]) {
  for (int count = 1; count <= 3; ++count) {
    fields[count - 1] = take_number(&text);
    if (fields[count - 1] < 0 || (count > 1 && fields[count - 1] > 59)) return 0;
    if (*text == '\0') return count;
    if (*text++ != ':') return 0;
  }
  return 0;
}

/* Parses a duration in the form MM:SS or HH:MM:SS, or in a form of SLURM: D-HH, D-HH:MM or
 * D-HH:MM:SS. Returns false for any other string. */
static bool parse_clock(const char *text, double *seconds) {
  const char *const dash = strchr(text, '-');
  long days = 0, f[3] = {0};
  if (dash && ((days = take_number(&text)) < 0 || text != dash)) return false;
  const int count = take_fields(dash ? dash + 1 : text, f);
  if (count == 0 || (dash && f[0] > 23)) return false;
  /* number of seconds by which the first field is multiplied */
  const long unit = dash ? 3600 : count == 3 ? 3600 : 60;
  *seconds = 86400.0 * (double)days + (double)(unit * f[0]) + (double)(unit / 60 * f[1]) + (double)f[2];
  return dash || count > 1;
}

/* Parses a duration such as "90" or "1.5h": a decimal number, followed by at most one letter for
 * the unit. */
static bool parse_number(const char *text, double *seconds) {
  static const struct {
    char unit;
    double seconds;
  } units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  const size_t whole = strspn(text, "0123456789");
  const size_t length = whole + strspn(text + whole, ".");
  const size_t end = length + strspn(text + length, "0123456789");
  if (end == length - whole || length - whole > 1) return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (text[end] != units[i].unit || (text[end] && text[end + 1])) continue;
    *seconds = strtod(text, NULL) * units[i].seconds;
    return true;
  }
  return false;
}

wl_status wl_duration_parse(const char *text, const char *option, double *seconds) {
  const double longest = 36500.0 * 86400; /* a hundred years */
  const bool known = strpbrk(text, ":-") ? parse_clock(text, seconds) : parse_number(text, seconds);
  if (known && *seconds > 0 && *seconds <= longest) return WL_OK;
  return WL_FAIL(WL_ERR_USAGE,
                 "%s '%s': not a time; write a number of seconds, or a form such as 90m, 4h, 2d, MM:SS, "
                 "HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS",
                 option, text);
}
