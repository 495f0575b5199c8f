/* options_value.c - one YAML node to one typed value, and back. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/options_impl.h"

enum { NUMBER_SIZE = 64, CHOICES = 32, CHOICES_SIZE = 512 };

static wl_status wrong_type(const wl_node *node, const char *path, const char *wanted) {
  char found[160];
  return wl_place_fail(node->place, path, "expected %s, got %s", wanted,
                       wl_node_describe(node, found, sizeof found));
}

/* Copies a plain number without its underscores; false when it cannot be a number. */
static bool number_text(const wl_node *node, char out[NUMBER_SIZE]) {
  if (node->kind != WL_NODE_SCALAR || !node->plain || node->text[0] == '\0') return false;
  size_t used = 0;
  for (const char *c = node->text; *c; ++c) {
    if (*c == '_' && c > node->text) continue;
    if (used + 1 >= NUMBER_SIZE) return false;
    out[used++] = *c;
  }
  out[used] = '\0';
  return true;
}

static bool is_infinity(const char *text, double *out) {
  const bool minus = text[0] == '-';
  if (text[0] == '-' || text[0] == '+') ++text;
  if (strcasecmp(text, ".inf") != 0 && strcasecmp(text, "inf") != 0) return false;
  *out = minus ? -INFINITY : INFINITY;
  return true;
}

/* Decimal only: strtod alone would also take hexadecimal, "nan" and "infinity". */
static bool parse_real(const wl_node *node, double *out) {
  char text[NUMBER_SIZE];
  if (!number_text(node, text)) return false;
  if (is_infinity(text, out)) return true;
  if (text[strspn(text, "0123456789+-.eE")] != '\0') return false;
  char *end = NULL;
  *out = strtod(text, &end);
  return end != text && *end == '\0' && isfinite(*out);
}

/* Digits, 0x..., or a real that is integral (1e4). */
static bool parse_int(const wl_node *node, int64_t *out) {
  char text[NUMBER_SIZE];
  if (!number_text(node, text)) return false;
  const bool sign = text[0] == '-' || text[0] == '+';
  const bool hex = strncasecmp(text + sign, "0x", 2) == 0;
  const char *const digits = hex ? "0123456789abcdefABCDEF" : "0123456789";
  const char *const start = text + sign + (hex ? 2 : 0);
  if (*start && start[strspn(start, digits)] == '\0') {
    errno = 0;
    *out = strtoll(text, NULL, hex ? 16 : 10);
    return errno == 0;
  }
  double real = 0;
  if (!parse_real(node, &real) || !(fabs(real) < 0x1p63) || real != trunc(real)) return false;
  *out = (int64_t)real;
  return true;
}

static bool parse_bool(const wl_node *node, bool *out) {
  static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
  if (node->kind != WL_NODE_SCALAR || !node->plain) return false;
  for (int i = 0; i < 6; ++i)
    if (strcasecmp(node->text, words[i]) == 0) {
      *out = i % 2 == 1;
      return true;
    }
  return false;
}

/* Infinity is for keys whose default is infinite; elsewhere it is never meant. */
static bool is_acceptable(const wl_option *option, double x) {
  if (isinf(x) && !(option->fallback && strstr(option->fallback, ".inf"))) return false;
  return (option->min == 0 && option->max == 0) || (x >= option->min && x <= option->max);
}

static wl_status check_range(const wl_option *option, const wl_node *node, const char *path,
                             double x) {
  if (is_acceptable(option, x)) return WL_OK;
  char range[96];
  wl_range_text(option, range, sizeof range);
  const bool units = option->units && strcmp(option->units, "1") != 0;
  return wl_place_fail(node->place, path, "%s is out of range; accepted: %s%s%s", node->text,
                       range[0] ? range : "finite numbers", units ? " " : "",
                       units ? option->units : "");
}

static wl_status read_int(const wl_option *option, const wl_node *node, const char *path,
                          int64_t *out) {
  if (!parse_int(node, out)) return wrong_type(node, path, "an integer");
  return check_range(option, node, path, (double)*out);
}

static wl_status read_real(const wl_option *option, const wl_node *node, const char *path,
                           double *out) {
  if (!parse_real(node, out)) return wrong_type(node, path, "a number");
  return check_range(option, node, path, *out);
}

static wl_status read_string(const wl_option *option, const wl_node *node, const char *path,
                             const char **out) {
  if (node->kind != WL_NODE_SCALAR || wl_node_is_null(node))
    return wrong_type(node, path, "a text");
  if (node->text[0] == '\0' && !option->fallback)
    return wl_place_fail(node->place, path, "must not be empty");
  *out = node->text;
  return WL_OK;
}

/* One of the choices; *out is the node's text, which lives as long as the configuration. */
static wl_status read_choice(const wl_option *option, const wl_node *node, const char *path,
                             const char **out) {
  char storage[CHOICES_SIZE];
  const char *words[CHOICES];
  const int count = wl_choices_split(option->choices, storage, sizeof storage, words, CHOICES);
  const bool scalar = node->kind == WL_NODE_SCALAR && !wl_node_is_null(node);
  for (int i = 0; scalar && i < count; ++i)
    if (strcmp(node->text, words[i]) == 0) {
      *out = node->text;
      return WL_OK;
    }
  char accepted[CHOICES_SIZE + 256], found[160];
  wl_accepted_text(scalar ? node->text : "", words, count, accepted, sizeof accepted);
  return wl_place_fail(node->place, path, "unknown choice %s%s%s",
                       wl_node_describe(node, found, sizeof found), accepted,
                       option->type == WL_OPT_CHOICE_OR_REALS ? " or a list of numbers" : "");
}

/* The i-th item of a list; a scalar is a list of one. */
static const wl_node *item(const wl_node *node, int i) {
  return node->kind == WL_NODE_LIST ? wl_node_at(node, i)->node : node;
}

/* Number of items, or a failure for a map or nothing. */
static wl_status list_count(const wl_node *node, const char *path, const char *wanted, int *count) {
  if (node->kind == WL_NODE_MAP || wl_node_is_null(node)) return wrong_type(node, path, wanted);
  *count = node->kind == WL_NODE_LIST ? node->count : 1;
  return WL_OK;
}

static wl_status read_ints(wl_pool *pool, const wl_node *node, const char *path, wl_value *value) {
  WL_TRY(list_count(node, path, "a list of integers", &value->count));
  int64_t *ints = NULL;
  WL_TRY(WL_POOL_NEW(pool, ints, value->count));
  for (int i = 0; i < value->count; ++i)
    WL_TRY(read_int(value->option, item(node, i), path, &ints[i]));
  value->ints = ints;
  value->is_list = true;
  return WL_OK;
}

static wl_status read_reals(wl_pool *pool, const wl_node *node, const char *path, wl_value *value) {
  WL_TRY(list_count(node, path, "a list of numbers", &value->count));
  double *reals = NULL;
  WL_TRY(WL_POOL_NEW(pool, reals, value->count));
  for (int i = 0; i < value->count; ++i)
    WL_TRY(read_real(value->option, item(node, i), path, &reals[i]));
  value->reals = reals;
  value->is_list = true;
  return WL_OK;
}

static wl_status read_strings(wl_pool *pool, const wl_node *node, const char *path,
                              wl_value *value) {
  WL_TRY(list_count(node, path, "a list of texts", &value->count));
  const char **strings = NULL;
  WL_TRY(WL_POOL_NEW(pool, strings, value->count));
  for (int i = 0; i < value->count; ++i) {
    const wl_node *const one = item(node, i);
    if (one->kind != WL_NODE_SCALAR || wl_node_is_null(one)) return wrong_type(one, path, "a text");
    strings[i] = one->text;
  }
  value->strings = strings;
  value->is_list = true;
  return WL_OK;
}

wl_status wl_value_read(wl_pool *pool, const wl_node *node, const char *path, wl_value *value) {
  const wl_option *const option = value->option;
  double number = 0;
  value->string = "";
  switch (option->type) {
    case WL_OPT_INT: return read_int(option, node, path, &value->integer);
    case WL_OPT_REAL: return read_real(option, node, path, &value->real);
    case WL_OPT_BOOL:
      return parse_bool(node, &value->boolean) ? WL_OK : wrong_type(node, path, "true or false");
    case WL_OPT_STRING: return read_string(option, node, path, &value->string);
    case WL_OPT_CHOICE: return read_choice(option, node, path, &value->string);
    case WL_OPT_INTS: return read_ints(pool, node, path, value);
    case WL_OPT_REALS: return read_reals(pool, node, path, value);
    case WL_OPT_STRINGS: return read_strings(pool, node, path, value);
    case WL_OPT_CHOICE_OR_REALS:
      if (node->kind == WL_NODE_LIST || parse_real(node, &number))
        return read_reals(pool, node, path, value);
      return read_choice(option, node, path, &value->string);
  }
  return WL_FAIL(WL_ERR_SOFTWARE, "key '%s' has an unknown type in its table", path);
}

const char *wl_value_text(const wl_value *value, int i, char buffer[40]) {
  if (value->is_list && value->strings) return value->strings[i];
  if (value->is_list && value->reals) return wl_real_text(value->reals[i], buffer);
  if (!value->is_list && value->option->type == WL_OPT_REAL)
    return wl_real_text(value->real, buffer);
  if (!value->is_list && value->option->type == WL_OPT_BOOL)
    return value->boolean ? "true" : "false";
  if (!value->is_list && value->option->type != WL_OPT_INT) return value->string;
  snprintf(buffer, 40, "%" PRId64, value->is_list ? value->ints[i] : value->integer);
  return buffer;
}
