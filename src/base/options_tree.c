/* options_tree.c - builds a tree of nodes from the events of the YAML parser libyaml. Each node
 * stores its line number.
 *
 * The code does not use libyaml's documents for two reasons. The time to build a document is
 * quadratic in the depth and width of its collections. A libyaml document also does not distinguish
 * a plain scalar from a string with the tag !!str. The code bounds the depth, and the numbers of
 * keys, values and anchors. Time and memory are therefore linear in the length of the text. */
#include <string.h>
#include <yaml.h>

#include "base/options_impl.h"

enum {
  /* largest depth of nested lists and maps; configurations have at most four levels */
  MAX_DEPTH = 16,
  MAX_KEYS = 256,     /* largest number of keys of a map */
  /* largest number of nodes; without a bound, nested aliases could multiply the nodes */
  MAX_NODES = 250000,
  MAX_ANCHORS = 64,
  /* largest number of lines that begin with %; libyaml compares each %TAG line with all earlier
   * ones */
  MAX_DIRECTIVES = 8
};

/* A list or map that has not been read to its end. */
typedef struct open_node {
  wl_node *node;
  const char *key; /* for a map, the last key that was read, or NULL if no key was read */
  wl_location key_location;
  bool wants_value; /* true: the next node is the value of `key` */
} open_node;

typedef struct anchor {
  const char *name;
  const wl_node *node;
} anchor;

typedef struct builder {
  wl_pool *pool;
  const char *origin;
  bool lines;
  int nodes, documents;
  wl_node *root;
  int depth;
  open_node open[MAX_DEPTH];
  int anchors;
  anchor anchor[MAX_ANCHORS];
} builder;

static wl_location location_of(const builder *b, yaml_mark_t mark) {
  return (wl_location){b->origin, b->lines ? (int)mark.line + 1 : 0};
}

/* Writes the path of the next value, for example "outer.steps" or "task.1". For a value of --set,
 * the path is "", because the message already contains the whole argument of --set. */
static const char *path_of(const builder *b, char path[WL_PATH_SIZE]) {
  int used = 0;
  path[0] = '\0';
  for (int i = 0; b->lines && i < b->depth && used < WL_PATH_SIZE; ++i) {
    const open_node *const open = &b->open[i];
    const char *const dot = used ? "." : "";
    const bool last = i == b->depth - 1;
    if (open->node->kind == WL_NODE_LIST)
      used += snprintf(path + used, (size_t)(WL_PATH_SIZE - used), "%s%d", dot,
                       open->node->count - !last);
    else if (open->key && (open->wants_value || !last))
      used += snprintf(path + used, (size_t)(WL_PATH_SIZE - used), "%s%s", dot, open->key);
  }
  return path;
}

#define FAIL_HERE(b, location, ...) \
  wl_location_fail((location), path_of((b), (char[WL_PATH_SIZE]){0}), __VA_ARGS__)

static wl_status new_node(builder *b, wl_node_kind kind, wl_location location, wl_node **out) {
  if (++b->nodes > MAX_NODES)
    return FAIL_HERE(b, location, "the text has more than %d values, where each alias counts as a "
                                  "copy; make the text shorter", MAX_NODES);
  WL_TRY(WL_POOL_NEW(b->pool, *out, 1));
  **out = (wl_node){.kind = kind, .location = location, .text = ""};
  return WL_OK;
}

static wl_status take_key(builder *b, open_node *open, const wl_node *key) {
  if (key->kind != WL_NODE_SCALAR)
    return FAIL_HERE(b, key->location, "a key must be a word, not %s",
                     wl_node_describe(key, (char[8]){0}, 8));
  const wl_entry *const earlier = wl_node_find(open->node, key->text);
  open->key = key->text;
  open->key_location = key->location;
  open->wants_value = true;
  if (earlier)
    return FAIL_HERE(b, key->location, "the key is given twice; the first time is on line %d", earlier->location.line);
  if (open->node->count < MAX_KEYS) return WL_OK;
  return FAIL_HERE(b, key->location, "the map has more than %d keys; remove keys", MAX_KEYS);
}

/* Adds a node to the tree as the root, an item, a key or a value. */
static wl_status attach(builder *b, wl_node *node) {
  if (b->depth == 0) {
    b->root = node;
    return WL_OK;
  }
  open_node *const open = &b->open[b->depth - 1];
  if (open->node->kind == WL_NODE_LIST)
    return wl_node_append(b->pool, open->node, "", node->location, node);
  if (!open->wants_value) return take_key(b, open, node);
  open->wants_value = false;
  return wl_node_append(b->pool, open->node, open->key, open->key_location, node);
}

static wl_status remember_anchor(builder *b, const yaml_char_t *name, const wl_node *node) {
  if (!name) return WL_OK;
  if (b->anchors == MAX_ANCHORS)
    return FAIL_HERE(b, node->location, "the text has more than %d anchors; remove anchors", MAX_ANCHORS);
  anchor *const a = &b->anchor[b->anchors++];
  a->node = node;
  return wl_pool_text(b->pool, (const char *)name, strlen((const char *)name), &a->name);
}

/* Checks the YAML tag of a value. The key determines the type of its value, so only tags with the
 * type `known` are accepted. With the tag !!str, a number is a string. */
static wl_status check_tag(const builder *b, wl_location location, const yaml_char_t *tag,
                           const char *known, bool *given) {
  *given = tag && (strcmp((const char *)tag, known) == 0 || strcmp((const char *)tag, "!") == 0);
  if (!tag || *given) return WL_OK;
  return FAIL_HERE(b, location, "the tag '%.60s' has no meaning here; write the value without it",
                   (const char *)tag);
}

static wl_status take_scalar(builder *b, const yaml_event_t *e) {
  const wl_location location = location_of(b, e->start_mark);
  const char *const text = (const char *)e->data.scalar.value;
  wl_node *node = NULL;
  bool tagged = false;
  if (strlen(text) != e->data.scalar.length)
    return FAIL_HERE(b, location, "the text contains a zero byte; remove this byte");
  WL_TRY(check_tag(b, location, e->data.scalar.tag, YAML_STR_TAG, &tagged));
  WL_TRY(new_node(b, WL_NODE_SCALAR, location, &node));
  node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !tagged;
  WL_TRY(wl_pool_text(b->pool, text, e->data.scalar.length, &node->text));
  WL_TRY(remember_anchor(b, e->data.scalar.anchor, node));
  return attach(b, node);
}

static wl_status take_collection(builder *b, const yaml_event_t *e) {
  const bool list = e->type == YAML_SEQUENCE_START_EVENT;
  const wl_location location = location_of(b, e->start_mark);
  wl_node *node = NULL;
  bool tagged = false;
  if (b->depth == MAX_DEPTH)
    return FAIL_HERE(b, location, "lists and maps are nested more than %d deep; use fewer levels",
                     MAX_DEPTH);
  WL_TRY(check_tag(b, location, list ? e->data.sequence_start.tag : e->data.mapping_start.tag,
                   list ? YAML_SEQ_TAG : YAML_MAP_TAG, &tagged));
  WL_TRY(new_node(b, list ? WL_NODE_LIST : WL_NODE_MAP, location, &node));
  WL_TRY(remember_anchor(b, list ? e->data.sequence_start.anchor : e->data.mapping_start.anchor,
                         node));
  WL_TRY(attach(b, node));
  b->open[b->depth++] = (open_node){.node = node};
  return WL_OK;
}

/* Copies a node and its children, so that an override of the copy does not change the original. */
static wl_status copy_node(builder *b, const wl_node *from, wl_location location, wl_node **out) {
  WL_TRY(new_node(b, from->kind, location, out));
  (*out)->text = from->text;
  (*out)->plain = from->plain;
  for (const wl_entry *entry = from->first; entry; entry = entry->next) {
    wl_node *child = NULL;
    WL_TRY(copy_node(b, entry->node, location, &child));
    WL_TRY(wl_node_append(b->pool, *out, entry->key, location, child));
  }
  return WL_OK;
}

static int depth_of(const wl_node *node) {
  int deepest = 0;
  for (const wl_entry *entry = node->first; entry; entry = entry->next) {
    const int depth = depth_of(entry->node);
    if (depth > deepest) deepest = depth;
  }
  return deepest + (node->kind != WL_NODE_SCALAR);
}

/* Replaces an alias by a copy of the node that has the anchor of this name. If several nodes have
 * the anchor, the last one before the alias is copied. */
static wl_status take_alias(builder *b, const yaml_event_t *e) {
  const char *const name = (const char *)e->data.alias.anchor;
  const wl_location location = location_of(b, e->start_mark);
  int i = b->anchors - 1;
  while (i >= 0 && strcmp(b->anchor[i].name, name) != 0) --i;
  if (i < 0) return FAIL_HERE(b, location, "there is no anchor '&%.60s' before '*%.60s'; define "
                                           "the anchor first", name, name);
  for (int d = 0; d < b->depth; ++d)
    if (b->open[d].node == b->anchor[i].node)
      return FAIL_HERE(b, location, "'*%.60s' is inside the value that '&%.60s' names; an alias "
                                    "cannot contain itself", name, name);
  if (b->depth + depth_of(b->anchor[i].node) > MAX_DEPTH)
    return FAIL_HERE(b, location, "lists and maps are nested more than %d deep; use fewer levels",
                     MAX_DEPTH);
  wl_node *node = NULL;
  WL_TRY(copy_node(b, b->anchor[i].node, location, &node));
  return attach(b, node);
}

static wl_status take_event(builder *b, const yaml_event_t *e) {
  switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
      if (b->documents++ == 0) return WL_OK;
      return wl_location_fail(location_of(b, e->start_mark), "", "the text contains a second YAML "
                                                                 "document; give only one document");
    case YAML_SCALAR_EVENT: return take_scalar(b, e);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: return take_collection(b, e);
    case YAML_ALIAS_EVENT: return take_alias(b, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: b->depth--; return WL_OK;
    default: return WL_OK;
  }
}

/* Sets an error with the message and the line of the YAML parser. */
static wl_status parser_failure(const builder *b, const yaml_parser_t *parser) {
  if (parser->error == YAML_MEMORY_ERROR)
    return WL_FAIL(WL_ERR_OS, "%s: out of memory: cannot parse the text", b->origin);
  return FAIL_HERE(b, location_of(b, parser->problem_mark), "not valid YAML: %s%s%s (column %zu)",
                   parser->problem ? parser->problem : "unreadable", parser->context ? ", " : "",
                   parser->context ? parser->context : "", parser->problem_mark.column + 1);
}

static wl_status take_events(builder *b, yaml_parser_t *parser) {
  for (bool ended = false; !ended;) {
    yaml_event_t event;
    if (!yaml_parser_parse(parser, &event)) return parser_failure(b, parser);
    ended = event.type == YAML_STREAM_END_EVENT;
    const wl_status status = take_event(b, &event);
    yaml_event_delete(&event);
    WL_TRY(status);
  }
  return WL_OK;
}

static wl_status check_directives(const builder *b, const char *text) {
  int count = text[0] == '%';
  for (const char *at = text; (at = strstr(at, "\n%")); ++at) ++count;
  if (count <= MAX_DIRECTIVES) return WL_OK;
  return wl_location_fail((wl_location){b->origin, 0}, "", "the text has more than %d lines that "
                                                           "begin with %%; remove such lines",
                       MAX_DIRECTIVES);
}

wl_status wl_tree_parse(wl_pool *pool, const char *text, const char *origin, bool lines,
                        wl_node **root) {
  builder *b = NULL;
  WL_TRY(WL_NEW(b, 1));
  *b = (builder){.pool = pool, .origin = origin, .lines = lines};
  wl_status status = check_directives(b, text);
  yaml_parser_t parser;
  if (status == WL_OK && !yaml_parser_initialize(&parser))
    status = WL_FAIL(WL_ERR_OS, "%s: out of memory: cannot parse the text", origin);
  else if (status == WL_OK) {
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    status = take_events(b, &parser);
    yaml_parser_delete(&parser);
  }
  if (status == WL_OK && !b->root) {
    status = new_node(b, WL_NODE_SCALAR, (wl_location){origin, 0}, &b->root);
    if (status == WL_OK) b->root->plain = true;
  }
  *root = b->root;
  wl_free(b);
  return status;
}
