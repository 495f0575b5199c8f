/* options_override.c - "--set path=value": one edit of the tree before it is validated.
 *
 * A path is keys joined by dots; a number picks a map of a list section ("task.0.dimension"). A
 * section that is a plain map counts as a list of one. The value is YAML in flow style. */
#include <stdlib.h>
#include <string.h>

#include "base/options_impl.h"

/* One override being applied. */
typedef struct edit {
  wl_pool *pool;
  wl_place place;   /* "--set outer.steps=5", without a line */
  const char *path; /* "outer.steps" */
} edit;

/* The index that a path component spells; -1 when it is a key. */
static int component_index(const char *component) {
  if (component[0] == '\0' || strlen(component) > 6 ||
      component[strspn(component, "0123456789")] != '\0')
    return -1;
  return atoi(component);
}

/* The item of a list that a component names or, in a list of one, goes without saying; *used tells
 * whether the component was the item's number. */
static wl_status list_item(const edit *e, const wl_node *list, const char *component, wl_node **out,
                           bool *used) {
  const int index = component_index(component);
  *used = index >= 0;
  if (index < 0 && list->count != 1)
    return wl_place_fail(e->place, e->path,
                         "a list of %d maps: say which, with its number (from 0) before '%s'",
                         list->count, component);
  const wl_entry *const entry = wl_node_at(list, index < 0 ? 0 : index);
  if (!entry)
    return wl_place_fail(e->place, e->path, "no item %d: the list has %d, counted from 0", index,
                         list->count);
  *out = entry->node;
  return WL_OK;
}

/* Turns nothing into an empty map, so that overrides can fill an absent or empty section. */
static wl_status want_map(const edit *e, wl_node *node, const char *component) {
  if (wl_node_is_null(node)) {
    node->kind = WL_NODE_MAP;
    node->text = "";
    node->place = e->place;
  }
  if (node->kind == WL_NODE_MAP) return WL_OK;
  char found[160];
  return wl_place_fail(e->place, e->path, "there is no '%s' to set: the value above it is %s",
                       component, wl_node_describe(node, found, sizeof found));
}

/* The entry of a map for a key, created empty where absent. */
static wl_status map_entry(const edit *e, wl_node *map, const char *key, wl_entry **out) {
  *out = wl_node_find(map, key);
  if (*out) return WL_OK;
  wl_node *child = NULL;
  WL_TRY(WL_POOL_NEW(e->pool, child, 1));
  *child = (wl_node){.kind = WL_NODE_SCALAR, .place = e->place, .text = "", .plain = true};
  WL_TRY(wl_node_append(e->pool, map, key, e->place, child));
  *out = wl_node_find(map, key);
  return WL_OK;
}

/* Goes one component down from *node; *slot is where a replacement of the new node goes. */
static wl_status descend(const edit *e, wl_node **node, const char *component, wl_entry **slot) {
  if ((*node)->kind == WL_NODE_LIST) {
    bool used = false;
    WL_TRY(list_item(e, *node, component, node, &used));
    if (used) return WL_OK;
  }
  WL_TRY(want_map(e, *node, component));
  if (component_index(component) == 0 && !wl_node_find(*node, component))
    return WL_OK; /* a list of one */
  wl_entry *entry = NULL;
  WL_TRY(map_entry(e, *node, component, &entry));
  *slot = entry;
  *node = entry->node;
  return WL_OK;
}

/* Parses the value. Nothing after the '=' is the empty text. */
static wl_status parse_value(const edit *e, const char *text, wl_node **out) {
  WL_TRY(wl_tree_parse(e->pool, text, e->place.origin, false, out));
  if (text[strspn(text, " \t")] == '\0') (*out)->plain = false;
  return WL_OK;
}

/* Splits "path=value" and names the edit after it. */
static wl_status open_edit(wl_pool *pool, const char *override, edit *e, const char **value) {
  const char *const equals = strchr(override, '=');
  const wl_place bare = {"--set", 0};
  if (!equals || equals == override || equals - override >= WL_PATH_SIZE)
    return wl_place_fail(bare, "", "'%s' is not of the form key=value, such as outer.steps=100",
                         override);
  char origin[512];
  const int length = snprintf(origin, sizeof origin, "--set %s", override);
  const size_t kept = length < (int)sizeof origin ? (size_t)length : sizeof origin - 1;
  e->pool = pool;
  WL_TRY(wl_pool_text(pool, origin, kept, &e->place.origin));
  *value = equals + 1;
  return wl_pool_text(pool, override, (size_t)(equals - override), &e->path);
}

wl_status wl_tree_override(wl_pool *pool, wl_node *root, const char *override) {
  edit e = {0};
  const char *text = NULL;
  WL_TRY(open_edit(pool, override, &e, &text));
  wl_node *value = NULL;
  WL_TRY(parse_value(&e, text, &value));

  wl_node *node = root;
  wl_entry *slot = NULL;
  const char *component = e.path;
  while (component) {
    const char *const dot = strchr(component, '.');
    const char *key = NULL;
    WL_TRY(
        wl_pool_text(pool, component, dot ? (size_t)(dot - component) : strlen(component), &key));
    if (key[0] == '\0')
      return wl_place_fail(e.place, "", "'%s' has an empty part between its dots", e.path);
    WL_TRY(descend(&e, &node, key, &slot));
    component = dot ? dot + 1 : NULL;
  }
  if (!slot || slot->node != node)
    return wl_place_fail(e.place, e.path, "set the keys of one item, not the item: %s.key=value",
                         e.path);
  slot->node = value;
  slot->place = e.place;
  return WL_OK;
}
