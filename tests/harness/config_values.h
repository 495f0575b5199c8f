/* config_values.h - returns values of a configuration by key, for tests of the options. */
#ifndef WL_TESTS_HARNESS_CONFIG_VALUES_H
#define WL_TESTS_HARNESS_CONFIG_VALUES_H

#include <stdlib.h>
#include <string.h>

#include "base/options_impl.h"

static inline const wl_value *config_value(const wl_map *map, const char *key) {
  for (int i = 0; i < map->count; i++)
    if (strcmp(map->values[i].option->key, key) == 0) return &map->values[i];
  abort(); /* the table of keys does not contain the key */
}

static inline int64_t config_int(const wl_map *map, const char *key) {
  return config_value(map, key)->integer;
}
static inline double config_real(const wl_map *map, const char *key) {
  const wl_value *const value = config_value(map, key);
  return value->option->type == WL_OPT_INT ? (double)value->integer : value->real;
}
static inline bool config_bool(const wl_map *map, const char *key) {
  return config_value(map, key)->boolean;
}
/* Returns the value of a key whose type is string or choice. Returns "" if the value is a list. */
static inline const char *config_string(const wl_map *map, const char *key) {
  return config_value(map, key)->string;
}
static inline const int64_t *config_ints(const wl_map *map, const char *key, int *count) {
  const wl_value *const value = config_value(map, key);
  *count = value->ints ? value->count : 0;
  return value->ints;
}
static inline const double *config_reals(const wl_map *map, const char *key, int *count) {
  const wl_value *const value = config_value(map, key);
  *count = value->reals ? value->count : 0;
  return value->reals;
}
static inline const char *const *config_strings(const wl_map *map, const char *key, int *count) {
  const wl_value *const value = config_value(map, key);
  *count = value->strings ? value->count : 0;
  return value->strings;
}
#endif
