/* options_pool.c - allocates memory in the pool of a configuration, and adds, finds and removes the
 * entries of nodes. */
#include <string.h>

#include "base/options_impl.h"

union wl_pool_item {
  wl_pool_item *before;
  max_align_t align; /* the requested memory follows this header */
};

wl_status wl_pool_alloc(wl_pool *pool, void **out, size_t count, size_t size) {
  if (size != 0 && count > (SIZE_MAX - sizeof(wl_pool_item)) / size)
    return WL_FAIL(WL_ERR_OS, "out of memory: cannot allocate %zu items of %zu bytes", count, size);
  unsigned char *memory = NULL;
  WL_TRY(WL_NEW(memory, sizeof(wl_pool_item) + count * size));
  wl_pool_item *const item = (wl_pool_item *)(void *)memory;
  item->before = pool->last;
  pool->last = item;
  *out = memory + sizeof(wl_pool_item);
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

wl_status wl_node_append(wl_pool *pool, wl_node *node, const char *key, wl_location location,
                         wl_node *child) {
  wl_entry *entry = NULL;
  WL_TRY(WL_POOL_NEW(pool, entry, 1));
  *entry = (wl_entry){.key = key, .location = location, .node = child};
  *(node->last ? &node->last->next : &node->first) = entry;
  node->last = entry;
  node->count++;
  return WL_OK;
}

void wl_node_remove(wl_node *node, const wl_entry *entry) {
  wl_entry *before = NULL;
  for (wl_entry *e = node->first; e != entry; e = e->next) before = e;
  *(before ? &before->next : &node->first) = entry->next;
  if (node->last == entry) node->last = before;
  node->count--;
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
