/* options_path.c - replaces environment variables in paths such as ~/runs, $SCRATCH/data and
 * runs/${USER}.
 *
 * The code expands ~ and ~/ at the beginning, ${NAME} anywhere, and $NAME if NAME has only capital
 * letters. Every other '$' and '~' is part of a file name. If a variable is not set, the functions
 * return an error and do not create a folder with a name such as '$SCRATCH'. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options_impl.h"

static bool is_name(char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

/* Finds the name of the environment variable at the start of a string. Returns the number of
 * characters of the variable, including its '$' and braces. Returns 0 if the string does not start
 * with a variable. */
static size_t variable_at(const char *text, const char **name, size_t *length) {
  if (text[0] != '$') return 0;
  const bool braces = text[1] == '{';
  *name = text + 1 + braces;
  *length = 0;
  if (braces) {
    *length = strcspn(*name, "{}/$");
    return *length > 0 && (*name)[*length] == '}' ? *length + 3 : 0;
  }
  if (**name >= '0' && **name <= '9') return 0;
  while (is_name((*name)[*length])) ++*length;
  return *length > 0 ? *length + 1 : 0;
}

static wl_status put_variable(wl_location location, const char *path, const char *name, size_t length,
                              FILE *out) {
  char key[256];
  snprintf(key, sizeof key, "%.*s", (int)length, name);
  const char *const value = length < sizeof key ? getenv(key) : NULL;
  if (!value || !*value)
    return wl_location_fail(location, path, "the environment variable '%.80s' is not set or is "
                                            "empty; set it, or write the full path", key);
  fputs(value, out);
  return WL_OK;
}

static wl_status expand(const char *text, wl_location location, const char *path, FILE *out) {
  if (text[0] == '~' && (text[1] == '/' || text[1] == '\0')) {
    WL_TRY(put_variable(location, path, "HOME", 4, out));
    ++text;
  } else if (text[0] == '~') {
    return wl_location_fail(location, path,
                         "the path '%.80s' names the home folder of another user, which is not "
                         "expanded; write the full path",
                         text);
  }
  while (*text) {
    const char *name;
    size_t length;
    const size_t taken = variable_at(text, &name, &length);
    if (taken > 0) WL_TRY(put_variable(location, path, name, length, out));
    else fputc(*text, out);
    text += taken > 0 ? taken : 1;
  }
  return WL_OK;
}

wl_status wl_path_expand(wl_pool *pool, const char *text, wl_location location, const char *path,
                         const char **out) {
  *out = text;
  if (!strpbrk(text, "~$")) return WL_OK;
  char *expanded = NULL;
  size_t size = 0;
  FILE *const stream = open_memstream(&expanded, &size);
  if (!stream) return WL_FAIL(WL_ERR_OS, "out of memory: cannot expand a path");
  wl_status status = expand(text, location, path, stream);
  if (fclose(stream) != 0 && status == WL_OK)
    status = WL_FAIL(WL_ERR_OS, "out of memory: cannot expand a path");
  if (status == WL_OK) status = wl_pool_text(pool, expanded, strlen(expanded), out);
  free(expanded);
  return status;
}

/* If `location` has a line number, the path was read from a configuration file. A relative path is
 * then resolved from the folder of that file. */
wl_status wl_path_beside(wl_pool *pool, const char *text, wl_location location, const char **out) {
  *out = text;
  if (text[0] == '/' || text[0] == '\0') return WL_OK;
  while (strncmp(text, "./", 2) == 0) text += 2;
  const char *const slash = location.line > 0 ? strrchr(location.origin, '/') : NULL;
  const int folder = slash ? (int)(slash - location.origin) + 1 : 0;
  const bool absolute = folder > 0 && location.origin[0] == '/';
  char *const current = absolute ? NULL : getcwd(NULL, 0);
  char *full = NULL;
  size_t size = 0;
  FILE *const stream = open_memstream(&full, &size);
  if (!stream || (!absolute && !current)) {
    free(current);
    return WL_FAIL(WL_ERR_OS, "cannot make the path '%s' absolute: the current folder is unknown "
                              "or memory is exhausted", text);
  }
  fprintf(stream, "%s%s%.*s%s", current ? current : "", current ? "/" : "", folder, location.origin, text);
  fclose(stream);
  const wl_status status = wl_pool_text(pool, full, strlen(full), out);
  free(current);
  free(full);
  return status;
}
