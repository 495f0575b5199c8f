/* options_validate.c - checks a tree of nodes against the table of sections. Unknown keys and
 * missing required keys are errors. Every other missing key has its default value. */
#include <string.h>

#include "base/options_impl.h"

enum { ACCEPTED_SIZE = 2048 };

/* The keys that a map may have, in the order of the tables. */
typedef struct key_table {
  const wl_option *options[WL_SECTION_KEYS];
  const char *names[WL_SECTION_KEYS];
  int count;
} key_table;

static bool table_has(const key_table *table, const char *key) {
  for (int i = 0; i < table->count; ++i)
    if (strcmp(table->names[i], key) == 0) return true;
  return false;
}

static void table_add(key_table *table, const wl_option *options) {
  for (; options && options->key && table->count < WL_SECTION_KEYS; ++options) {
    if (table_has(table, options->key)) continue;
    table->options[table->count] = options;
    table->names[table->count++] = options->key;
  }
}

static const wl_variant *find_variant(const wl_section *section, const char *name) {
  for (const wl_variant *v = section->variants; v && v->name; ++v)
    if (strcmp(v->name, name) == 0) return v;
  return NULL;
}

static int variant_names(const wl_section *section, const char *names[WL_SECTION_KEYS]) {
  int count = 0;
  for (const wl_variant *v = section->variants; v && v->name && count < WL_SECTION_KEYS; ++v)
    names[count++] = v->name;
  return count;
}

/* Finds the variant that the selector names, or the section's default variant if the selector is not given. */
static wl_status choose_variant(const wl_section *section, const wl_node *node, wl_map *map) {
  const wl_entry *const entry = wl_node_find(node, section->selector);
  const char *const name = entry ? entry->node->text : section->fallback_variant;
  char path[WL_PATH_SIZE], accepted[ACCEPTED_SIZE];
  wl_map_path(map, section->selector, false, path);
  const char *names[WL_SECTION_KEYS];
  const int count = variant_names(section, names);
  map->variant = name ? find_variant(section, name) : NULL;
  if (map->variant && (!entry || entry->node->kind == WL_NODE_SCALAR)) return WL_OK;
  wl_accepted_text(name ? name : "", names, count, accepted, sizeof accepted);
  if (!entry) return wl_location_fail(map->location, path, "this key is missing and has no "
                                                           "default%s", accepted);
  if (section->flags & WL_KEY_ONE_OF && wl_node_draw(entry->node) != WL_DRAW_FIXED)
    return wl_location_fail(entry->node->location, path,
                         "this key cannot be drawn: give `%s` a list of maps, with one map for "
                         "each %s",
                         section->name, section->selector);
  char found[160];
  return wl_location_fail(entry->node->location, path, "unknown %s %s%s", section->selector,
                       wl_node_describe(entry->node, found, sizeof found), accepted);
}

/* Makes a row of the options table for the section's selector. */
static wl_status selector_option(wl_pool *pool, const wl_section *section, wl_option **out) {
  wl_option *option = NULL;
  WL_TRY(WL_POOL_NEW(pool, option, 1));
  *option = (wl_option){.key = section->selector,
                        .type = WL_OPT_STRING,
                        .fallback = section->fallback_variant,
                        .units = "1",
                        .doc = section->doc};
  *out = option;
  return WL_OK;
}

/* Finds a variant of the section that has this key. Returns NULL if no variant has this key. */
static const wl_variant *owner_of(const wl_section *section, const char *key) {
  for (const wl_variant *v = section->variants; v && v->name; ++v)
    for (const wl_option *o = v->options; o && o->key; ++o)
      if (strcmp(o->key, key) == 0) return v;
  return NULL;
}

static wl_status unknown_key(const wl_map *map, const wl_entry *entry, const key_table *table) {
  char path[WL_PATH_SIZE], accepted[ACCEPTED_SIZE];
  wl_map_path(map, entry->key, false, path);
  const wl_variant *const owner = owner_of(map->section, entry->key);
  if (owner && map->variant) {
    wl_accepted_text("", table->names, table->count, accepted, sizeof accepted);
    return wl_location_fail(entry->location, path, "unknown key for %s '%s', because the key "
                                                   "belongs to '%s'%s",
                         map->section->selector, map->variant->name, owner->name, accepted);
  }
  wl_accepted_text(entry->key, table->names, table->count, accepted, sizeof accepted);
  return wl_location_fail(entry->location, path, "unknown key%s", accepted);
}

/* Most defaults are plain scalars, which are read without the YAML parser. The default "" is the
 * empty string and not null. */
wl_status wl_fallback_read(wl_pool *pool, const wl_option *option, const char *path,
                           wl_value *value) {
  wl_node scalar = {.kind = WL_NODE_SCALAR,
                    .location = {"default value", 0},
                    .text = option->fallback,
                    .plain = option->fallback[0] != '\0'};
  wl_node *fallback = &scalar;
  if (strpbrk(option->fallback, "[{'\""))
    WL_TRY(wl_tree_parse(pool, option->fallback, "default value", false, &fallback));
  return wl_value_read(pool, fallback, path, value);
}

/* Sets the value of one key to the value in the node, or to the default if the node does not have
 * the key. */
static wl_status fill_value(wl_config *config, const wl_map *map, const wl_node *node,
                            wl_value *value) {
  const wl_option *const option = value->option;
  const wl_entry *const entry = wl_node_find(node, option->key);
  char path[WL_PATH_SIZE];
  wl_map_path(map, option->key, false, path);
  value->location = entry ? entry->node->location : map->location;
  const bool drawn =
      entry && map->section->flags & WL_KEY_ONE_OF && wl_node_draw(entry->node) != WL_DRAW_FIXED;
  if (drawn && option->flags & WL_KEY_FIXED)
    return wl_location_fail(entry->node->location, path, "this key cannot be drawn: give a single "
                                                         "value");
  if (drawn) return wl_draw_read(&config->pool, entry->node, path, value);
  if (entry) return wl_value_read(&config->pool, entry->node, path, value);
  if (!option->fallback)
    return wl_location_fail(map->location, path, "this key is missing and has no default (%s)",
                         option->doc ? option->doc : "required");
  return wl_fallback_read(&config->pool, option, path, value);
}

/* Checks the keys of a map and sets the values of the map. The function check_root checks the keys
 * of the root. */
static wl_status fill_map(wl_config *config, const wl_node *node, wl_map *map) {
  const wl_section *const section = map->section;
  key_table table = {.count = 0};
  const bool plugin = section->plugins && wl_node_find(node, wl_plugin_options[0].key);
  if (plugin) {
    WL_TRY(wl_choose_plugin(config, node, map));
    table_add(&table, wl_plugin_options);
  } else if (section->selector) {
    WL_TRY(choose_variant(section, node, map));
    wl_option *selector = NULL;
    WL_TRY(selector_option(&config->pool, section, &selector));
    table.options[0] = selector;
    table.names[0] = selector->key;
    table.count = 1;
  }
  table_add(&table, section->options);
  if (map->variant) table_add(&table, map->variant->options);
  const bool any_key = section->name[0] == '\0' || (plugin && !map->variant->table);
  for (const wl_entry *entry = node->first; entry && !any_key; entry = entry->next)
    if (!table_has(&table, entry->key)) return unknown_key(map, entry, &table);

  WL_TRY(WL_POOL_NEW(&config->pool, map->values, table.count));
  map->count = table.count;
  for (int i = 0; i < table.count; ++i) {
    map->values[i].option = table.options[i];
    WL_TRY(fill_value(config, map, node, &map->values[i]));
    if (!(table.options[i]->flags & WL_KEY_HASH)) continue;
    char path[WL_PATH_SIZE];
    wl_map_path(map, table.options[i]->key, false, path);
    WL_TRY(wl_check_hash(config, &config->pool, &map->values[i - 1], path, &map->values[i]));
  }
  return WL_OK;
}

/* Reads one map of a section from a node. The node must be a map or null. */
static wl_status fill_from(wl_config *config, wl_group *group, int index, const wl_node *node) {
  const wl_node empty = {.kind = WL_NODE_MAP, .location = node->location, .text = ""};
  wl_map *const map = &group->maps[index];
  *map = (wl_map){
      .section = group->section, .index = index, .siblings = group->count, .location = node->location};
  if (wl_node_is_null(node)) return fill_map(config, &empty, map);
  if (node->kind == WL_NODE_MAP) return fill_map(config, node, map);
  if (node->problem) return WL_FAIL(WL_ERR_CONFIG, "%s", node->problem);
  char found[160];
  return wl_location_fail(node->location, group->section->name, "expected keys and values%s, got %s",
                       group->section->list ? " (or a list of such maps)" : "",
                       wl_node_describe(node, found, sizeof found));
}

/* Reads all maps of a section. If a required section is missing, the error names the section's
 * missing selector or key. */
static wl_status fill_group(wl_config *config, const wl_node *root, const char *source,
                            wl_group *group) {
  const wl_section *const section = group->section;
  const wl_node absent = {.kind = WL_NODE_MAP, .location = {source, 0}, .text = ""};
  const wl_entry *const entry = section->name[0] ? wl_node_find(root, section->name) : NULL;
  const wl_node *const node = section->name[0] == '\0' ? root : entry ? entry->node : &absent;
  const bool list = section->list && node->kind == WL_NODE_LIST;
  if (list && node->count == 0)
    return wl_location_fail(node->location, section->name, "the list is empty; give at least one map");
  group->count = list ? node->count : 1;
  WL_TRY(WL_POOL_NEW(&config->pool, group->maps, group->count));
  const wl_entry *item = list ? node->first : NULL;
  for (int i = 0; i < group->count; ++i, item = item ? item->next : NULL)
    WL_TRY(fill_from(config, group, i, item ? item->node : node));
  return wl_group_expand(&config->pool, group);
}

/* Finds the section that has a key of this name. The error message suggests this section if the user omitted the
 * section's name. */
static const char *section_of(const wl_section *sections, const char *key) {
  for (const wl_section *s = sections; s->name; ++s)
    for (const wl_option *o = s->name[0] ? s->options : NULL; o && o->key; ++o)
      if (strcmp(o->key, key) == 0) return s->name;
  return NULL;
}

/* Returns an error if a key of the root is neither a section nor a top-level key such as `seed`. */
static wl_status check_root(const wl_section *sections, const wl_node *root) {
  key_table table = {.count = 0};
  for (const wl_section *s = sections; s->name; ++s) {
    if (s->name[0] == '\0') table_add(&table, s->options);
    else if (table.count < WL_SECTION_KEYS) table.names[table.count++] = s->name;
  }
  for (const wl_entry *entry = root->first; entry; entry = entry->next) {
    if (table_has(&table, entry->key)) continue;
    char accepted[ACCEPTED_SIZE];
    const char *const section = section_of(sections, entry->key);
    wl_accepted_text(section ? "" : entry->key, table.names, table.count, accepted,
                     sizeof accepted);
    if (section)
      return wl_location_fail(entry->location, entry->key,
                           "unknown key at the top level; did you mean '%s.%s'?%s", section,
                           entry->key, accepted);
    return wl_location_fail(entry->location, entry->key, "unknown key%s", accepted);
  }
  return WL_OK;
}

wl_status wl_config_validate(wl_config *config, const wl_node *root, const char *source) {
  const wl_section *const sections = config->sections;
  WL_TRY(check_root(sections, root));
  while (sections[config->count].name) config->count++;
  WL_TRY(WL_POOL_NEW(&config->pool, config->groups, config->count));
  for (int i = 0; i < config->count; ++i) {
    config->groups[i].section = &sections[i];
    WL_TRY(fill_group(config, root, source, &config->groups[i]));
  }
  return WL_OK;
}
