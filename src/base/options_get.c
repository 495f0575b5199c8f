/* options_get.c - returns the maps of a validated configuration, and stores their values in the
 * structs of the modules. */
#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "base/options_impl.h"

static const wl_group *find_group(const wl_config *config, const char *section) {
  for (int i = 0; i < config->count; ++i)
    if (strcmp(config->groups[i].section->name, section) == 0) return &config->groups[i];
  wl_log_error("the program reads the section '%s', which is not in the table of sections", section);
  return NULL;
}

int wl_config_count(const wl_config *config, const char *section) {
  const wl_group *const group = find_group(config, section);
  return group ? group->n_drawn : 0;
}

const wl_map *wl_config_map(const wl_config *config, const char *section, int i) {
  const wl_group *const group = find_group(config, section);
  return group && i >= 0 && i < group->n_drawn ? &group->drawn[i] : NULL;
}

const char *wl_map_variant(const wl_map *map) { return map->variant ? map->variant->name : ""; }

const void *wl_map_table(const wl_map *map) { return map->variant ? map->variant->table : NULL; }

const wl_option *wl_map_options(const wl_map *map) {
  return map->variant ? map->variant->options : NULL;
}

static const wl_value *find_value(const wl_map *map, const char *key) {
  for (int i = 0; i < map->count; ++i)
    if (strcmp(map->values[i].option->key, key) == 0) return &map->values[i];
  return NULL;
}

int wl_map_combinations(const wl_map *map) { return map->combinations; }

int wl_map_entry(const wl_map *map) { return map->index; }

bool wl_map_repeated(const wl_map *map) { return map->repeated; }

static wl_draw draw_of(const wl_value *value) {
  if (value->draw == WL_DRAW_FIXED) return (wl_draw){.low = value->real, .high = value->real};
  return (wl_draw){
      value->draw, value->reals[0], value->reals[value->count - 1], {value->reals, value->count}};
}

static void store_value(const wl_value *value, unsigned char *at) {
  const wl_option *const option = value->option;
  switch (option->slot.kind) {
    case WL_SLOT_NONE: return;
    case WL_SLOT_INT: *(int64_t *)(void *)at = value->integer; return;
    case WL_SLOT_REAL: *(double *)(void *)at = value->real; return;
    case WL_SLOT_BOOL: *(bool *)(void *)at = value->boolean; return;
    case WL_SLOT_STRING: *(const char **)(void *)at = value->string; return;
    case WL_SLOT_CHOICE: {
      const int choice = (int)value->integer;
      memcpy(at, &choice, sizeof choice); /* the member is an int, or an enum of the same size */
      return;
    }
    case WL_SLOT_INTS: *(wl_ints *)(void *)at = (wl_ints){value->ints, value->count}; return;
    case WL_SLOT_REALS: *(wl_reals *)(void *)at = (wl_reals){value->reals, value->count}; return;
    case WL_SLOT_STRINGS:
      *(wl_strings *)(void *)at = (wl_strings){value->strings, value->count};
      return;
    case WL_SLOT_CHOICE_OR_REALS:
      *(wl_choice_or_reals *)(void *)at =
          (wl_choice_or_reals){(int)value->integer, value->argument, {value->reals, value->count}};
      return;
    case WL_SLOT_DRAW: *(wl_draw *)(void *)at = draw_of(value); return;
  }
}

/* Returns true if two rows declare the same key. Two tables can contain copies of a row, so two
 * rows with the same name and the same types declare the same key. */
static bool is_row(const wl_option *option, const wl_option *row) {
  return option == row || (option->type == row->type && option->slot.kind == row->slot.kind &&
                           strcmp(option->key, row->key) == 0);
}

void wl_map_read(const wl_map *map, const wl_option *table, void *out) {
  for (const wl_option *row = table; row->key; ++row)
    for (int i = 0; i < map->count; ++i)
      if (is_row(map->values[i].option, row))
        store_value(&map->values[i], (unsigned char *)out + row->slot.offset);
}

wl_status wl_map_fail(const wl_map *map, const char *key, const char *format, ...) {
  char text[2048], path[WL_PATH_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  const wl_value *value = find_value(map, key);
  if (!value && map->section->selector && strcmp(key, map->section->selector) == 0) {
    key = wl_plugin_options[0].key; /* the map has the key `plugin` instead of the selector */
    value = find_value(map, key);
  }
  return wl_location_fail(value ? value->location : map->location, wl_map_path(map, key, false, path), "%s",
                       text);
}
