/* options_override.c - applies overrides, such as `--set outer.steps=5`, to the tree of a
 * configuration before validation.
 *
 * A path consists of keys joined by dots. A number selects a map of a list section, for example
 * "task.0.dimension". A section that is a single map is treated as a list of one map. For a key of
 * type WL_OPT_STRING, the value of --set is used literally if the value has no YAML quotes. For
 * other keys, a value that begins like a list, a map or a quoted string is parsed as YAML. Any
 * other value is a plain YAML scalar. */
#include <stdlib.h>
#include <string.h>

#include "base/options_impl.h"

/* The state of an override that is being applied. */
typedef struct edit {
  wl_pool *pool;
  wl_location location;   /* `origin` is a string such as "--set outer.steps=5", and `line` is 0 */
  const char *path; /* "outer.steps" */
} edit;

/* The value at a path, and the list or map that contains the value. */
typedef struct spot {
  wl_node *node;
  wl_node *holder; /* the list or map that contains `entry` */
  wl_entry *entry; /* the entry of `node` in `holder`, or NULL if the node is the root */
  bool item;       /* true: the last part of the path is the number of an item */
} spot;

/* If a path component is a number, returns this number, which is an index. If the component is a
 * key, returns -1. */
static int component_index(const char *component) {
  if (component[0] == '\0' || strlen(component) > 6 ||
      component[strspn(component, "0123456789")] != '\0')
    return -1;
  return atoi(component);
}

static void move_to(spot *s, wl_entry *entry, bool item) {
  *s = (spot){.node = entry->node, .holder = s->node, .entry = entry, .item = item};
}

/* Moves the current position to an item of a list. The component is the number of the item, but a
 * path may omit this number if the list has one item. *used is true if the component was the
 * number. */
static wl_status enter_list(const edit *e, spot *s, const char *component, bool *used) {
  const int index = component_index(component);
  *used = index >= 0;
  if (index < 0 && s->node->count != 1)
    return wl_location_fail(e->location, e->path,
                         "the value is a list of %d maps: write the number of the map (from 0) before '%s'",
                         s->node->count, component);
  wl_entry *const entry = wl_node_at(s->node, index < 0 ? 0 : index);
  if (!entry)
    return wl_location_fail(e->location, e->path,
                            "there is no item %d: the list has %d items, and counting starts at 0",
                            index, s->node->count);
  move_to(s, entry, true);
  return WL_OK;
}

/* Replaces a null value by an empty map, so that overrides can set keys in an absent or empty
 * section. Returns an error if the value is a scalar or a list. */
static wl_status want_map(const edit *e, wl_node *node, const char *component) {
  if (wl_node_is_null(node)) *node = (wl_node){.kind = WL_NODE_MAP, .text = "", .location = e->location};
  if (node->kind == WL_NODE_MAP) return WL_OK;
  char found[160];
  return wl_location_fail(e->location, e->path,
                          "'%s' cannot be set, because the value that should contain it is %s",
                          component, wl_node_describe(node, found, sizeof found));
}

static wl_status new_node(const edit *e, wl_node_kind kind, const char *text, bool plain,
                          wl_node **out) {
  WL_TRY(WL_POOL_NEW(e->pool, *out, 1));
  **out = (wl_node){.kind = kind, .location = e->location, .text = text, .plain = plain};
  return WL_OK;
}

/* Moves the current position to a key's entry in a map. Creates an empty entry if the map has no entry for the key. */
static wl_status enter_map(const edit *e, spot *s, const char *key) {
  wl_entry *entry = wl_node_find(s->node, key);
  if (!entry) {
    wl_node *child = NULL;
    WL_TRY(new_node(e, WL_NODE_SCALAR, "", true, &child));
    WL_TRY(wl_node_append(e->pool, s->node, key, e->location, child));
    entry = s->node->last;
  }
  move_to(s, entry, false);
  return WL_OK;
}

/* Moves the current position to the item or the key that one component of the path names. */
static wl_status descend(const edit *e, spot *s, const char *component) {
  if (s->node->kind == WL_NODE_LIST) {
    bool used = false;
    WL_TRY(enter_list(e, s, component, &used));
    if (used) return WL_OK;
  }
  WL_TRY(want_map(e, s->node, component));
  if (component_index(component) != 0 || wl_node_find(s->node, component))
    return enter_map(e, s, component);
  s->item = true; /* the index 0 names this map itself, as if the map were in a list */
  return WL_OK;
}

/* Finds the value at the edit's path, from the root of the tree. */
static wl_status follow_path(const edit *e, wl_node *root, spot *s) {
  *s = (spot){.node = root};
  for (const char *component = e->path; component;) {
    const char *const dot = strchr(component, '.');
    const char *key = NULL;
    const size_t length = dot ? (size_t)(dot - component) : strlen(component);
    WL_TRY(wl_pool_text(e->pool, component, length, &key));
    if (key[0] == '\0')
      return wl_location_fail(e->location, "", "the key '%s' has an empty part: write one dot "
                                               "between two parts", e->path);
    WL_TRY(descend(e, s, key));
    component = dot ? dot + 1 : NULL;
  }
  return WL_OK;
}

/* Returns false if a value begins with [, {, " or ' and does not end with the matching character.
 * Returns true for every other value. The parser would silently drop the characters after the value
 * if these characters were a comment. */
static bool ends_as_it_begins(const char *text, size_t length) {
  static const char begin[] = "[{\"'", end[] = "]}\"'";
  const char *const kind = strchr(begin, text[0]);
  return !kind || text[length - 1] == end[kind - begin];
}

/* Parses a value as YAML. The value begins like a list, a map, a quoted string, a tag, an anchor or
 * an alias. */
static wl_status parse_value(const edit *e, const char *text, wl_node **out) {
  if (!ends_as_it_begins(text, strlen(text)))
    return wl_location_fail(e->location, e->path, "the value begins like a list, a map or a quoted "
                                                  "text, but does not end like one; correct the "
                                                  "value: %s", text);
  return wl_tree_parse(e->pool, text, e->location.origin, false, out);
}

/* Makes a node from the string after the '=' of --set. The node contains the YAML value. The member
 * `given` of the node contains the value for a key of type WL_OPT_STRING. This value is the string
 * after the '=', without its quotes if the user wrote quotes. */
static wl_status read_line_value(const edit *e, const char *given, wl_node **out) {
  const char *kept = NULL, *text = given + strspn(given, " \t");
  size_t length = strlen(text);
  while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) --length;
  WL_TRY(wl_pool_text(e->pool, given, strlen(given), &kept));
  WL_TRY(wl_pool_text(e->pool, text, length, &text));
  /* if nothing follows the '=', the value is the empty string and not null */
  WL_TRY(new_node(e, WL_NODE_SCALAR, text, length > 0, out));
  const char *problem = NULL;
  if (length > 0 && strchr("[{\"'!&*", text[0])) {
    wl_node *parsed = NULL;
    const wl_status status = parse_value(e, text, &parsed);
    if (status != WL_OK && status != WL_ERR_CONFIG) return status;
    if (status == WL_OK) *out = parsed;
    else WL_TRY(wl_pool_text(e->pool, wl_last_error(), strlen(wl_last_error()), &problem));
  }
  const bool quoted = text[0] == '"' || text[0] == '\'';
  (*out)->given = quoted && !problem ? (*out)->text : kept;
  (*out)->problem = problem;
  return WL_OK;
}

/* Splits the argument of --set at its first '='. Sets the path of the edit to the string before the
 * '=', and the origin of the edit to the whole argument. */
static wl_status open_line(const char *line, edit *e, wl_node **value) {
  const char *const equals = strchr(line, '=');
  const wl_location bare = {"--set", 0};
  if (!equals || equals == line || equals - line >= WL_PATH_SIZE)
    return wl_location_fail(bare, "",
                            "'%s' is not of the form key=value, for example outer.steps=100", line);
  char origin[512];
  const int length = snprintf(origin, sizeof origin, "--set %s", line);
  const size_t kept = length < (int)sizeof origin ? (size_t)length : sizeof origin - 1;
  WL_TRY(wl_pool_text(e->pool, origin, kept, &e->location.origin));
  WL_TRY(wl_pool_text(e->pool, line, (size_t)(equals - line), &e->path));
  return read_line_value(e, equals + 1, value);
}

static wl_status real_node(const edit *e, double x, wl_node **out) {
  char buffer[40];
  const char *text = NULL;
  wl_real_text(x, buffer);
  WL_TRY(wl_pool_text(e->pool, buffer, strlen(buffer), &text));
  return new_node(e, WL_NODE_SCALAR, text, true, out);
}

static wl_status ints_node(const edit *e, wl_ints ints, wl_node **out) {
  WL_TRY(new_node(e, WL_NODE_LIST, "", false, out));
  for (int i = 0; i < ints.count; ++i) {
    char buffer[24];
    const char *text = NULL;
    wl_node *item = NULL;
    const int length = snprintf(buffer, sizeof buffer, "%lld", (long long)ints.at[i]);
    WL_TRY(wl_pool_text(e->pool, buffer, (size_t)length, &text));
    WL_TRY(new_node(e, WL_NODE_SCALAR, text, true, &item));
    WL_TRY(wl_node_append(e->pool, *out, "", e->location, item));
  }
  return WL_OK;
}

/* Sets the path of the edit and its new value from an override. *value is NULL if the override
 * removes a value. */
static wl_status open_edit(const wl_override *override, edit *e, wl_node **value) {
  const char *text = NULL;
  *value = NULL;
  e->path = override->path;
  e->location = (wl_location){"a setting that the program makes", 0};
  switch (override->kind) {
    case WL_OVERRIDE_LINE: return open_line(override->text, e, value);
    case WL_OVERRIDE_TEXT:
      WL_TRY(wl_pool_text(e->pool, override->text, strlen(override->text), &text));
      return new_node(e, WL_NODE_SCALAR, text, false, value);
    case WL_OVERRIDE_REAL: return real_node(e, override->real, value);
    case WL_OVERRIDE_INTS: return ints_node(e, override->ints, value);
    case WL_OVERRIDE_ABSENT:
    case WL_OVERRIDE_ANY_HASH: return WL_OK;
  }
  return WL_FAIL(WL_ERR_SOFTWARE, "an override has an unknown kind");
}

/* Removes the value at the path. A list that becomes empty is replaced by null. */
static void take_out(const spot *s) {
  if (!s->entry) return;
  wl_node_remove(s->holder, s->entry);
  if (s->holder->kind == WL_NODE_LIST && s->holder->count == 0)
    *s->holder =
        (wl_node){.kind = WL_NODE_SCALAR, .location = s->holder->location, .text = "", .plain = true};
}

wl_status wl_tree_override(wl_pool *pool, wl_node *root, const wl_override *override) {
  edit e = {.pool = pool};
  wl_node *value = NULL;
  spot s;
  WL_TRY(open_edit(override, &e, &value));
  WL_TRY(follow_path(&e, root, &s));
  if (override->kind == WL_OVERRIDE_ABSENT) {
    take_out(&s);
    return WL_OK;
  }
  if (!s.entry || s.item)
    return wl_location_fail(e.location, e.path, "an item of a list cannot be set as a whole; set "
                                                "the keys of the item: %s.key=value",
                         e.path);
  s.entry->node = value;
  s.entry->location = e.location;
  return WL_OK;
}
