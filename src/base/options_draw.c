/* options_draw.c - reads values that are written as {one_of: [..]}, {uniform: [a, b]} or
 * {log_uniform: [a, b]}.
 *
 * Keys with the flag WL_KEY_DRAW keep the distribution, from which a number is drawn for each
 * episode. In a section with the flag WL_KEY_ONE_OF, every other key may have a value {one_of:
 * [..]}. If a key has this value, the map of the section is replaced by several maps, one for each
 * item of the list. If several keys have such lists, there is one map for each combination of
 * items. In the order of the maps, the item of the last key changes fastest. */
#include <string.h>

#include "base/options_impl.h"

enum { MAX_COMBINATIONS = 4096 };

static const char *const draw_words[] = {[WL_DRAW_ONE_OF] = "one_of",
                                         [WL_DRAW_UNIFORM] = "uniform",
                                         [WL_DRAW_LOG_UNIFORM] = "log_uniform"};

const char *wl_draw_word(wl_draw_kind kind) { return draw_words[kind]; }

wl_draw_kind wl_node_draw(const wl_node *node) {
  if (node->kind != WL_NODE_MAP || node->count != 1) return WL_DRAW_FIXED;
  for (wl_draw_kind k = WL_DRAW_ONE_OF; k <= WL_DRAW_LOG_UNIFORM; ++k)
    if (strcmp(node->first->key, draw_words[k]) == 0) return k;
  return WL_DRAW_FIXED;
}

/* Reads the items of a distribution's list. Each item must be a valid value of the key. */
static wl_status read_choices(wl_pool *pool, const wl_node *list, const char *path,
                              wl_value *value) {
  wl_value *choices = NULL;
  WL_TRY(WL_POOL_NEW(pool, choices, list->count));
  int i = 0;
  for (const wl_entry *item = list->first; item; item = item->next, ++i) {
    choices[i] = (wl_value){.option = value->option, .location = item->node->location};
    WL_TRY(wl_value_read(pool, item->node, path, &choices[i]));
  }
  value->choices = choices;
  value->n_choices = list->count;
  return WL_OK;
}

/* Checks a uniform distribution. The distribution must have two numbers, and the key must have the
 * flag WL_KEY_DRAW. */
static wl_status check_interval(const wl_node *list, const char *path, const wl_value *value) {
  if (!(value->option->flags & WL_KEY_DRAW))
    return wl_location_fail(list->location, path,
                         "%s is not possible for this key; list the possible values: {one_of: [..]}",
                         draw_words[value->draw]);
  const double low = value->choices[0].real, high = value->choices[1].real;
  if (value->n_choices == 2 && low <= high && (value->draw == WL_DRAW_UNIFORM || low > 0.0))
    return WL_OK;
  return wl_location_fail(list->location, path, "%s needs two numbers [low, high] with low at most "
                                                "high%s",
                       draw_words[value->draw],
                       value->draw == WL_DRAW_UNIFORM ? "" : " and above 0");
}

wl_status wl_draw_read(wl_pool *pool, const wl_node *node, const char *path, wl_value *value) {
  const wl_node *list = node->first->node;
  value->draw = wl_node_draw(node);
  value->string = "";
  const int least = value->draw == WL_DRAW_ONE_OF ? 1 : 2;
  if (list->kind != WL_NODE_LIST || list->count < least)
    return wl_location_fail(node->location, path, "%s needs a list: {%s: [%s]}", draw_words[value->draw],
                         draw_words[value->draw], least == 1 ? "first, second, .." : "low, high");
  WL_TRY(read_choices(pool, list, path, value));
  if (value->draw != WL_DRAW_ONE_OF) WL_TRY(check_interval(list, path, value));
  value->real = value->choices[0].real;
  if (value->option->flags & WL_KEY_DRAW) {
    double *reals = NULL;
    WL_TRY(WL_POOL_NEW(pool, reals, value->n_choices));
    for (int i = 0; i < value->n_choices; ++i) reals[i] = value->choices[i].real;
    value->reals = reals;
    value->count = value->n_choices;
  }
  return WL_OK;
}

/* Returns true if the choices of this key are expanded to several maps. */
static bool multiplies(const wl_value *value) {
  return value->draw == WL_DRAW_ONE_OF && !(value->option->flags & WL_KEY_DRAW);
}

static wl_status count_combinations(const wl_map *map, int *count) {
  *count = 1;
  for (int i = 0; i < map->count; ++i) {
    if (!multiplies(&map->values[i])) continue;
    char path[WL_PATH_SIZE];
    if (map->values[i].n_choices > MAX_COMBINATIONS / *count)
      return wl_location_fail(
          map->values[i].location, wl_map_path(map, map->values[i].option->key, false, path),
          "the choices of this section have more than %d combinations; give fewer choices", MAX_COMBINATIONS);
    *count *= map->values[i].n_choices;
  }
  return WL_OK;
}

/* Sets `out` to the map that has combination `number` of the choices in the map `written`. */
static wl_status combine(wl_pool *pool, const wl_map *written, int combinations, int number,
                         wl_map *out) {
  wl_value *values = NULL;
  WL_TRY(WL_POOL_NEW(pool, values, written->count));
  *out = *written;
  out->values = values;
  out->combinations = combinations;
  for (int i = written->count - 1; i >= 0; --i) {
    const wl_value *const value = &written->values[i];
    values[i] = *value;
    if (!multiplies(value)) continue;
    const int choice = number % value->n_choices;
    values[i] = value->choices[choice];
    values[i].chosen = true;
    for (int k = 0; k < choice; ++k)
      out->repeated = out->repeated || wl_value_same(&value->choices[k], &values[i]);
    number /= value->n_choices;
  }
  return WL_OK;
}

wl_status wl_group_expand(wl_pool *pool, wl_group *group) {
  group->drawn = group->maps;
  group->n_drawn = 0;
  int *counts = NULL;
  WL_TRY(WL_POOL_NEW(pool, counts, group->count));
  for (int i = 0; i < group->count; ++i) {
    WL_TRY(count_combinations(&group->maps[i], &counts[i]));
    group->maps[i].combinations = counts[i];
    group->n_drawn += counts[i];
  }
  if (group->n_drawn == group->count) return WL_OK;
  WL_TRY(WL_POOL_NEW(pool, group->drawn, group->n_drawn));
  int at = 0;
  for (int i = 0; i < group->count; ++i)
    for (int k = 0; k < counts[i]; ++k)
      WL_TRY(combine(pool, &group->maps[i], counts[i], k, &group->drawn[at++]));
  return WL_OK;
}
