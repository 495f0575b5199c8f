/* options_message.c - writes the parts of the messages about configuration errors: the location,
 * the accepted range and the suggested word. */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options_impl.h"
#include "base/suggest.h"

/* A positive lower bound below TINY means "greater than 0". An upper bound above HUGE_BOUND means
 * "no upper bound". In the tables of keys, the lower bound 1e-300 means "greater than 0", and the
 * upper bounds INFINITY and 1e300 mean "no upper bound". */
#define TINY 1e-99
#define HUGE_BOUND 1e99

/* Replaces each control character by '?', so that a message is always one line. */
static void make_printable(char *text) {
  for (; *text; ++text)
    if (iscntrl((unsigned char)*text)) *text = '?';
}

wl_status wl_location_fail(wl_location location, const char *path, const char *format, ...) {
  char text[3072];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  make_printable(text);
  char line[16] = "";
  if (location.line > 0) snprintf(line, sizeof line, ":%d", location.line);
  char key[WL_PATH_SIZE + 16] = "";
  if (path[0]) snprintf(key, sizeof key, "key '%.*s': ", WL_PATH_SIZE, path);
  make_printable(key);
  return WL_FAIL(WL_ERR_CONFIG, "%s%s: %s%s", location.origin, line, key, text);
}

void wl_accepted_text(const char *word, const char *const *words, int count, char *buffer,
                      size_t size) {
  const char *const near = wl_suggest(word, words, count);
  size_t used = 0;
  buffer[0] = '\0';
  if (near) used = (size_t)snprintf(buffer, size, "; did you mean '%s'?", near);
  for (int i = 0; i < count && used < size; ++i)
    used += (size_t)snprintf(buffer + used, size - used, "%s%s", i == 0 ? " (accepted: " : ", ",
                             words[i]);
  if (count > 0 && used < size) snprintf(buffer + used, size - used, ")");
}

int wl_choices_split(const char *choices, char *storage, size_t size, const char **words,
                     int capacity) {
  snprintf(storage, size, "%s", choices ? choices : "");
  int count = 0;
  char *rest = NULL;
  for (char *word = strtok_r(storage, "|", &rest); word && count < capacity;
       word = strtok_r(NULL, "|", &rest))
    words[count++] = word;
  return count;
}

const char *wl_choice_name(const char *choice, char *buffer, size_t size) {
  const char *const start = choice + (choice[0] == '{');
  snprintf(buffer, size, "%.*s", (int)strcspn(start, ":"), start);
  return buffer;
}

const char *wl_range_text(const wl_option *option, char *buffer, size_t size) {
  const double lo = option->min, hi = option->max;
  buffer[0] = '\0';
  if (lo == 0 && hi == 0) return buffer;
  const bool positive = lo > 0 && lo < TINY;
  const bool bounded = hi < HUGE_BOUND;
  if (lo <= -HUGE_BOUND && bounded) snprintf(buffer, size, "at most %.10g", hi);
  if (lo <= -HUGE_BOUND) return buffer;
  if (positive && bounded) snprintf(buffer, size, "greater than 0, at most %.10g", hi);
  else if (positive) snprintf(buffer, size, "greater than 0");
  else if (bounded) snprintf(buffer, size, "from %.10g to %.10g", lo, hi);
  else snprintf(buffer, size, "at least %.10g", lo);
  return buffer;
}

const char *wl_real_text(double x, char buffer[40]) {
  if (isinf(x)) return strcpy(buffer, x > 0 ? ".inf" : "-.inf");
  char shortest[32];
  for (int digits = 1; digits <= 17; ++digits) {
    snprintf(shortest, sizeof shortest, "%.*g", digits, x);
    if (strtod(shortest, NULL) == x) break;
  }
  /* add a decimal point, because a reader of YAML 1.1 reads "1e-05" as a string and "2" as an
   * integer */
  const int mantissa = (int)strcspn(shortest, "e");
  snprintf(buffer, 40, "%.*s%s%s", mantissa, shortest, strchr(shortest, '.') ? "" : ".0",
           shortest + mantissa);
  return buffer;
}

const char *wl_map_path(const wl_map *map, const char *key, bool with_index,
                        char path[WL_PATH_SIZE]) {
  if (map->section->name[0] == '\0') snprintf(path, WL_PATH_SIZE, "%s", key);
  else if (map->section->list && (with_index || map->siblings > 1))
    snprintf(path, WL_PATH_SIZE, "%s.%d.%s", map->section->name, map->index, key);
  else snprintf(path, WL_PATH_SIZE, "%s.%s", map->section->name, key);
  return path;
}
