/* options_value.c - converts a YAML node to a typed value, and a value to a string. */
#define _GNU_SOURCE /* strtold_l */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <threads.h>

#include "base/options_impl.h"

enum { NUMBER_SIZE = 64, CHOICES = 32, CHOICES_SIZE = 512 };

static wl_status wrong_type(const wl_node *node, const char *path, const char *wanted) {
  char found[160];
  if (node->problem) return WL_FAIL(WL_ERR_CONFIG, "%s", node->problem);
  return wl_location_fail(node->location, path, "expected %s, got %s", wanted,
                       wl_node_describe(node, found, sizeof found));
}

/* ---- numbers: the syntax of YAML 1.2 with underscores between digits ---- */

/* Copies digits without the underscores between them. Returns the number of digits. Returns -1 if
 * an underscore is not between two digits, or if the number is too long. */
static int take_digits(const char **from, char *out, size_t *used) {
  int count = 0;
  for (; isdigit((unsigned char)**from) || **from == '_'; ++*from) {
    if (**from == '_') {
      if (count == 0 || !isdigit((unsigned char)(*from)[1])) return -1;
      continue;
    }
    if (*used + 1 >= NUMBER_SIZE) return -1;
    out[(*used)++] = **from;
    ++count;
  }
  return count;
}

/* Copies a decimal number without its underscores. Returns false for a number that starts with 0
 * and another digit, because YAML 1.1 reads 010 as eight. */
static bool number_text(const char *at, char out[NUMBER_SIZE]) {
  size_t used = 0;
  if (*at == '-' || *at == '+') out[used++] = *at++;
  if (at[0] == '0' && (isdigit((unsigned char)at[1]) || at[1] == '_')) return false;
  const int whole = take_digits(&at, out, &used);
  int fraction = 0;
  if (*at == '.' && used + 1 < NUMBER_SIZE) {
    out[used++] = *at++;
    fraction = take_digits(&at, out, &used);
  }
  if (whole < 0 || fraction < 0 || whole + fraction == 0) return false;
  if ((*at == 'e' || *at == 'E') && used + 2 < NUMBER_SIZE) {
    out[used++] = *at++;
    if (*at == '-' || *at == '+') out[used++] = *at++;
    if (!isdigit((unsigned char)*at) || strchr(at, '_') || take_digits(&at, out, &used) < 1)
      return false;
  }
  out[used] = '\0';
  return *at == '\0';
}

static bool is_plain(const wl_node *node) {
  return node->kind == WL_NODE_SCALAR && node->plain && !node->problem;
}

static bool is_infinity(const char *text, double *out) {
  static const char *const words[] = {".inf", ".Inf", ".INF"};
  const bool minus = text[0] == '-';
  if (text[0] == '-' || text[0] == '+') ++text;
  for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
    if (strcmp(text, words[i]) == 0) {
      *out = minus ? -INFINITY : INFINITY;
      return true;
    }
  return false;
}

static locale_t c_locale;
static once_flag c_locale_once = ONCE_FLAG_INIT;
static void make_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* Converts a string to a number. The decimal separator is a point, whatever the locale of the
 * program is. */
static long double to_real(const char *text) {
  call_once(&c_locale_once, make_c_locale);
  return c_locale ? strtold_l(text, NULL, c_locale) : strtold(text, NULL);
}

/* Parses a real number. Returns false if the number overflows or underflows: 1e-400 is an error and
 * not zero. */
static bool parse_real(const wl_node *node, double *out) {
  char text[NUMBER_SIZE];
  if (!is_plain(node)) return false;
  if (is_infinity(node->text, out)) return true;
  if (!number_text(node->text, text)) return false;
  const long double value = to_real(text);
  *out = (double)value;
  const bool zero = strcspn(text, "123456789") >= strcspn(text, "eE");
  return isfinite(*out) && (zero || fabs(*out) >= DBL_MIN);
}

/* Parses an integer, which is written in decimal, in hexadecimal (0x10), or as a real number
 * without a fraction (1e4). */
static bool parse_int(const wl_node *node, int64_t *out) {
  char text[NUMBER_SIZE];
  if (!is_plain(node)) return false;
  if (strncmp(node->text, "0x", 2) == 0) {
    const char *const digits = node->text + 2;
    errno = 0;
    *out = strtoll(digits, NULL, 16);
    return *digits && digits[strspn(digits, "0123456789abcdefABCDEF")] == '\0' && errno == 0;
  }
  if (!number_text(node->text, text)) return false;
  const long double value = to_real(text);
  if (!(fabsl(value) < 0x1p63L) || value != truncl(value)) return false;
  *out = (int64_t)value;
  return value != 0 || strcspn(text, "123456789") >= strcspn(text, "eE");
}

static bool parse_bool(const wl_node *node, bool *out) {
  static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
  if (!is_plain(node)) return false;
  for (int i = 0; i < 6; ++i)
    if (strcasecmp(node->text, words[i]) == 0) {
      *out = i % 2 == 1;
      return true;
    }
  return false;
}

/* Returns true if the option accepts the number. An option accepts infinity only if its default is
 * infinite. */
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
  return wl_location_fail(node->location, path, "%.60s is out of range; accepted: %s%s%s", node->text,
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

static wl_status read_string(wl_pool *pool, const wl_option *option, const wl_node *node,
                             const char *path, const char **out) {
  if (!node->given && (node->kind != WL_NODE_SCALAR || wl_node_is_null(node)))
    return wrong_type(node, path, "a text");
  *out = node->given ? node->given : node->text;
  if ((*out)[0] == '\0' && !option->fallback)
    return wl_location_fail(node->location, path, "this text must not be empty");
  if (option->flags & WL_KEY_PATH) WL_TRY(wl_path_expand(pool, *out, node->location, path, out));
  return option->flags & WL_KEY_BESIDE ? wl_path_beside(pool, *out, node->location, out) : WL_OK;
}

/* Returns true if a node is {name: N} for the choice "{name: N}". */
static bool is_counted(const wl_node *node, const char *choice, int64_t *argument) {
  char name[64];
  if (choice[0] != '{' || node->kind != WL_NODE_MAP || node->count != 1) return false;
  return strcmp(node->first->key, wl_choice_name(choice, name, sizeof name)) == 0 &&
         parse_int(node->first->node, argument) && *argument >= 1;
}

/* Reads one of the choices. The member value->integer receives the index of the choice. */
static wl_status read_choice(const wl_node *node, const char *path, wl_value *value) {
  const wl_option *const option = value->option;
  char storage[CHOICES_SIZE];
  const char *words[CHOICES];
  const int count = wl_choices_split(option->choices, storage, sizeof storage, words, CHOICES);
  const bool scalar = node->kind == WL_NODE_SCALAR && !wl_node_is_null(node);
  for (int i = 0; i < count; ++i) {
    const bool counted = is_counted(node, words[i], &value->argument);
    if (!counted && !(scalar && strcmp(node->text, words[i]) == 0 && words[i][0] != '{')) continue;
    value->integer = i;
    if (scalar) value->string = node->text;
    return WL_OK;
  }
  if (node->problem) return wrong_type(node, path, "");
  char accepted[CHOICES_SIZE + 256], found[160];
  wl_accepted_text(scalar ? node->text : "", words, count, accepted, sizeof accepted);
  return wl_location_fail(node->location, path, "unknown choice %s%s%s",
                       wl_node_describe(node, found, sizeof found), accepted,
                       option->type == WL_OPT_CHOICE_OR_REALS ? " or a list of numbers" : "");
}

/* Returns the first item of a list, and sets *next to the entry of this item. The function
 * next_item returns the following items. A scalar is treated as a list of one item. */
static const wl_node *first_item(const wl_node *node, const wl_entry **next) {
  *next = node->kind == WL_NODE_LIST ? node->first : NULL;
  return *next ? (*next)->node : node;
}

static const wl_node *next_item(const wl_entry **next) {
  *next = *next ? (*next)->next : NULL;
  return *next ? (*next)->node : NULL;
}

/* Counts the items of a list. Returns an error for a map or a null value. */
static wl_status list_count(const wl_node *node, const char *path, const char *wanted, int *count) {
  if (node->kind == WL_NODE_MAP || wl_node_is_null(node) || node->problem)
    return wrong_type(node, path, wanted);
  *count = node->kind == WL_NODE_LIST ? node->count : 1;
  return WL_OK;
}

static wl_status read_ints(wl_pool *pool, const wl_node *node, const char *path, wl_value *value) {
  WL_TRY(list_count(node, path, "a list of integers", &value->count));
  int64_t *ints = NULL;
  WL_TRY(WL_POOL_NEW(pool, ints, value->count));
  const wl_entry *next;
  const wl_node *item = first_item(node, &next);
  for (int i = 0; i < value->count; ++i, item = next_item(&next))
    WL_TRY(read_int(value->option, item, path, &ints[i]));
  value->ints = ints;
  value->is_list = true;
  return WL_OK;
}

static wl_status read_reals(wl_pool *pool, const wl_node *node, const char *path, wl_value *value) {
  WL_TRY(list_count(node, path, "a list of numbers", &value->count));
  double *reals = NULL;
  WL_TRY(WL_POOL_NEW(pool, reals, value->count));
  const wl_entry *next;
  const wl_node *item = first_item(node, &next);
  for (int i = 0; i < value->count; ++i, item = next_item(&next))
    WL_TRY(read_real(value->option, item, path, &reals[i]));
  value->reals = reals;
  value->is_list = true;
  return WL_OK;
}

static wl_status read_strings(wl_pool *pool, const wl_node *node, const char *path,
                              wl_value *value) {
  WL_TRY(list_count(node, path, "a list of texts", &value->count));
  const char **strings = NULL;
  WL_TRY(WL_POOL_NEW(pool, strings, value->count));
  const wl_entry *next;
  const wl_node *item = first_item(node, &next);
  for (int i = 0; i < value->count; ++i, item = next_item(&next)) {
    if (item->kind != WL_NODE_SCALAR || wl_node_is_null(item) || item->problem)
      return wrong_type(item, path, "a text");
    strings[i] = item->text;
  }
  value->strings = strings;
  value->is_list = true;
  return WL_OK;
}

static int count_choices(const wl_option *option) {
  char storage[CHOICES_SIZE];
  const char *words[CHOICES];
  return wl_choices_split(option->choices, storage, sizeof storage, words, CHOICES);
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
    case WL_OPT_STRING: return read_string(pool, option, node, path, &value->string);
    case WL_OPT_CHOICE: return read_choice(node, path, value);
    case WL_OPT_INTS: return read_ints(pool, node, path, value);
    case WL_OPT_REALS: return read_reals(pool, node, path, value);
    case WL_OPT_STRINGS: return read_strings(pool, node, path, value);
    case WL_OPT_CHOICE_OR_REALS:
      if (node->kind == WL_NODE_LIST || parse_real(node, &number)) {
        value->integer = count_choices(option);
        return read_reals(pool, node, path, value);
      }
      return read_choice(node, path, value);
  }
  return WL_FAIL(WL_ERR_SOFTWARE, "the table of keys has an unknown type for the key '%s'", path);
}

/* Writes a choice with its number, as in "{last: 6}". */
static void choice_text(const wl_value *value, char buffer[40]) {
  char storage[CHOICES_SIZE], name[24];
  const char *words[CHOICES];
  wl_choices_split(value->option->choices, storage, sizeof storage, words, CHOICES);
  wl_choice_name(words[value->integer], name, sizeof name);
  snprintf(buffer, 40, "{%.14s: %" PRId64 "}", name, value->argument);
}

const char *wl_value_text(const wl_value *value, int i, char buffer[40]) {
  if (value->is_list && value->strings) return value->strings[i];
  if (value->is_list && value->reals) return wl_real_text(value->reals[i], buffer);
  if (!value->is_list && value->option->type == WL_OPT_REAL)
    return wl_real_text(value->real, buffer);
  if (!value->is_list && value->option->type == WL_OPT_BOOL)
    return value->boolean ? "true" : "false";
  if (value->argument > 0) {
    choice_text(value, buffer);
    return buffer;
  }
  if (!value->is_list && value->option->type != WL_OPT_INT) return value->string;
  snprintf(buffer, 40, "%" PRId64, value->is_list ? value->ints[i] : value->integer);
  return buffer;
}
