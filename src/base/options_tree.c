/* options_tree.c - YAML text to a tree of nodes that know their lines, by libyaml's documents. */
#include <string.h>
#include <yaml.h>

#include "base/options_impl.h"

enum {
  MAX_DEPTH = 16,    /* of nesting; a configuration needs four */
  MAX_NODES = 100000 /* aliases could otherwise multiply without bound */
};

struct wl_pool_item {
  wl_pool_item *before;
  void *memory;
};

wl_status wl_pool_alloc(wl_pool *pool, void **out, size_t count, size_t size) {
  wl_pool_item *item = NULL;
  WL_TRY(WL_NEW(item, 1));
  const wl_status status = wl_alloc(&item->memory, count, size);
  if (status != WL_OK) {
    wl_free(item);
    return status;
  }
  item->before = pool->last;
  pool->last = item;
  *out = item->memory;
  return WL_OK;
}

wl_status wl_pool_text(wl_pool *pool, const char *text, size_t length, const char **out) {
  char *copy = NULL;
  WL_TRY(WL_POOL_NEW(pool, copy, length + 1));
  memcpy(copy, text, length);
  *out = copy;
  return WL_OK;
}

void wl_pool_clear(wl_pool *pool) {
  while (pool->last) {
    wl_pool_item *const item = pool->last;
    pool->last = item->before;
    wl_free(item->memory);
    wl_free(item);
  }
}

wl_entry *wl_node_find(const wl_node *map, const char *key) {
  for (wl_entry *entry = map->first; entry; entry = entry->next)
    if (strcmp(entry->key, key) == 0) return entry;
  return NULL;
}

wl_entry *wl_node_at(const wl_node *list, int index) {
  wl_entry *entry = list->first;
  for (int i = 0; entry && i < index; ++i) entry = entry->next;
  return entry;
}

wl_status wl_node_append(wl_pool *pool, wl_node *node, const char *key, wl_place place,
                         wl_node *child) {
  wl_entry *entry = NULL;
  WL_TRY(WL_POOL_NEW(pool, entry, 1));
  *entry = (wl_entry){.key = key, .place = place, .node = child};
  wl_entry **end = &node->first;
  while (*end) end = &(*end)->next;
  *end = entry;
  node->count++;
  return WL_OK;
}

bool wl_node_is_null(const wl_node *node) {
  if (node->kind != WL_NODE_SCALAR || !node->plain) return false;
  static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
  for (size_t i = 0; i < sizeof nulls / sizeof *nulls; ++i)
    if (strcmp(node->text, nulls[i]) == 0) return true;
  return false;
}

const char *wl_node_describe(const wl_node *node, char *buffer, size_t size) {
  if (node->kind == WL_NODE_LIST) return "a list";
  if (node->kind == WL_NODE_MAP) return "a map";
  if (wl_node_is_null(node)) return "nothing";
  snprintf(buffer, size, node->plain ? "'%s'" : "the text \"%s\"", node->text);
  return buffer;
}

/* What one conversion needs. */
typedef struct converter {
  wl_pool *pool;
  yaml_document_t *document;
  const char *origin;
  bool lines;
  int nodes;
} converter;

static wl_place node_place(const converter *c, const yaml_node_t *from) {
  return (wl_place){c->origin, c->lines ? (int)from->start_mark.line + 1 : 0};
}

static wl_status convert(converter *c, int id, int depth, wl_node **out);

static wl_status convert_scalar(converter *c, const yaml_node_t *from, wl_node *node) {
  const char *const text = (const char *)from->data.scalar.value;
  if (strlen(text) != from->data.scalar.length)
    return wl_place_fail(node->place, "", "a text with a zero byte in it");
  node->kind = WL_NODE_SCALAR;
  node->plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  return wl_pool_text(c->pool, text, from->data.scalar.length, &node->text);
}

static wl_status convert_list(converter *c, const yaml_node_t *from, int depth, wl_node *node) {
  node->kind = WL_NODE_LIST;
  for (const yaml_node_item_t *item = from->data.sequence.items.start;
       item < from->data.sequence.items.top; ++item) {
    wl_node *child = NULL;
    WL_TRY(convert(c, *item, depth + 1, &child));
    WL_TRY(wl_node_append(c->pool, node, "", child->place, child));
  }
  return WL_OK;
}

static wl_status convert_map(converter *c, const yaml_node_t *from, int depth, wl_node *node) {
  node->kind = WL_NODE_MAP;
  for (const yaml_node_pair_t *pair = from->data.mapping.pairs.start;
       pair < from->data.mapping.pairs.top; ++pair) {
    wl_node *key = NULL, *child = NULL;
    WL_TRY(convert(c, pair->key, depth + 1, &key));
    if (key->kind != WL_NODE_SCALAR)
      return wl_place_fail(key->place, "", "a key must be a word, not %s",
                           wl_node_describe(key, (char[8]){0}, 8));
    const wl_entry *const earlier = wl_node_find(node, key->text);
    if (earlier)
      return wl_place_fail(key->place, key->text, "given twice; the first is on line %d",
                           earlier->place.line);
    WL_TRY(convert(c, pair->value, depth + 1, &child));
    WL_TRY(wl_node_append(c->pool, node, key->text, key->place, child));
  }
  return WL_OK;
}

static wl_status convert(converter *c, int id, int depth, wl_node **out) {
  const yaml_node_t *const from = yaml_document_get_node(c->document, id);
  const wl_place place = node_place(c, from);
  if (depth > MAX_DEPTH) return wl_place_fail(place, "", "nested more than %d deep", MAX_DEPTH);
  if (++c->nodes > MAX_NODES)
    return wl_place_fail(place, "", "more than %d values (aliases included)", MAX_NODES);
  wl_node *node = NULL;
  WL_TRY(WL_POOL_NEW(c->pool, node, 1));
  *node = (wl_node){.place = place, .text = ""};
  *out = node;
  if (from->type == YAML_SEQUENCE_NODE) return convert_list(c, from, depth, node);
  if (from->type == YAML_MAPPING_NODE) return convert_map(c, from, depth, node);
  return convert_scalar(c, from, node);
}

/* The parser's own words, with the line they are about. */
static wl_status parser_failure(const yaml_parser_t *parser, const char *origin, bool lines) {
  if (parser->error == YAML_MEMORY_ERROR) return WL_FAIL(WL_ERR_OS, "%s: out of memory", origin);
  const wl_place place = {origin, lines ? (int)parser->problem_mark.line + 1 : 0};
  return wl_place_fail(place, "", "not valid YAML: %s%s%s (column %zu)",
                       parser->problem ? parser->problem : "unreadable",
                       parser->context ? ", " : "", parser->context ? parser->context : "",
                       parser->problem_mark.column + 1);
}

/* Fails when a second document follows. */
static wl_status expect_end(yaml_parser_t *parser, const char *origin, bool lines) {
  yaml_document_t next;
  if (!yaml_parser_load(parser, &next)) return parser_failure(parser, origin, lines);
  const yaml_node_t *const root = yaml_document_get_root_node(&next);
  const wl_place place = {origin, lines ? (int)next.start_mark.line + 1 : 0};
  yaml_document_delete(&next);
  return root ? wl_place_fail(place, "", "a second YAML document; give one") : WL_OK;
}

static wl_status convert_document(wl_pool *pool, yaml_document_t *document, const char *origin,
                                  bool lines, wl_node **root) {
  converter c = {.pool = pool, .document = document, .origin = origin, .lines = lines};
  if (yaml_document_get_root_node(document)) return convert(&c, 1, 0, root);
  wl_node *node = NULL;
  WL_TRY(WL_POOL_NEW(pool, node, 1));
  *node = (wl_node){.kind = WL_NODE_SCALAR, .place = {origin, 0}, .text = "", .plain = true};
  *root = node;
  return WL_OK;
}

wl_status wl_tree_parse(wl_pool *pool, const char *text, const char *origin, bool lines,
                        wl_node **root) {
  yaml_parser_t parser;
  if (!yaml_parser_initialize(&parser)) return WL_FAIL(WL_ERR_OS, "%s: out of memory", origin);
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
  yaml_document_t document;
  wl_status status = WL_OK;
  if (yaml_parser_load(&parser, &document)) {
    const bool empty = yaml_document_get_root_node(&document) == NULL;
    status = convert_document(pool, &document, origin, lines, root);
    yaml_document_delete(&document);
    if (status == WL_OK && !empty) status = expect_end(&parser, origin, lines);
  } else {
    status = parser_failure(&parser, origin, lines);
  }
  yaml_parser_delete(&parser);
  return status;
}
