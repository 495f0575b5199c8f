/* options_plugin.c - reads maps that name a plug-in, and checks the hashes of files that a
 * configuration names.
 *
 *   task: {plugin: ./my_task.so, dimension: 8}    is resolved to
 *   task: {plugin: /where/my_task.so, plugin_hash: 0123456789abcdef, dimension: 8}
 *
 * A resumed run must use a file with the same hash, but the path of the file may differ. If a
 * configuration contains a hash, only a file with that hash is accepted. If the hash is empty,
 * every file is accepted. */
#include <string.h>
#include <unistd.h>

#include "base/options_impl.h"
#include "base/plugin_open.h"

const wl_option wl_plugin_options[] = {
    {"plugin", WL_OPT_STRING, "", NULL, 0, 0, "1",
     "Path of a plug-in (a shared object), which is used instead of a built-in task family or rule "
     "(docs/plugins.md). A relative path is resolved from the folder of the configuration file.",
     .flags = WL_KEY_FREE | WL_KEY_PATH | WL_KEY_BESIDE | WL_KEY_FIXED},
    {"plugin_hash", WL_OPT_STRING, "", NULL, 0, 0, "1",
     "Hash of the plug-in's file. Warploom writes this hash, and then accepts only a file with "
     "this hash.",
     .flags = WL_KEY_HASH | WL_KEY_FIXED},
    {0}};
enum { PLUGIN, PLUGIN_HASH };

/* The variant of a map whose plug-in must not be loaded. This variant accepts every key and has no
 * functions. */
static const wl_variant refused = {"plug-in", "a plug-in that this program does not load", NULL, NULL};

static const char *leaf(const char *path) {
  const char *const slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* Finds an open plug-in with the same file name. A checkpoint needs this search if its plug-in has
 * moved to another folder. */
static const wl_open_plugin *find_moved(const wl_plugin_kind *kind, const char *path) {
  const wl_open_plugin *p = wl_plugin_next(kind, NULL);
  while (p && strcmp(leaf(p->path), leaf(path)) != 0) p = wl_plugin_next(kind, p);
  return p;
}

static wl_status open_plugin(const wl_config *config, const wl_section *section, const char *path,
                             const char *hash, const wl_open_plugin **out) {
  if (!config->any_hash) return wl_plugin_open(section->plugins, path, hash, out);
  for (const wl_open_plugin *p = NULL; (p = wl_plugin_next(section->plugins, p));)
    if (strcmp(p->hash, hash) == 0) {
      *out = p;
      return WL_OK;
    }
  if (access(path, R_OK) != 0 && (*out = find_moved(section->plugins, path))) return WL_OK;
  return wl_plugin_open(section->plugins, path, "", out);
}

/* Reads the value of the key `plugin` or `plugin_hash`. */
static wl_status read_text(wl_config *config, const wl_node *node, const wl_map *map, int row,
                           const char **out) {
  const wl_option *const option = &wl_plugin_options[row];
  const wl_entry *const entry = wl_node_find(node, option->key);
  char path[WL_PATH_SIZE];
  wl_value value = {.option = option, .string = ""};
  if (entry)
    WL_TRY(wl_value_read(&config->pool, entry->node, wl_map_path(map, option->key, false, path),
                         &value));
  *out = value.string;
  return WL_OK;
}

/* Puts the location of the key that names the file before the message of the last error. */
static wl_status fail_at(wl_location location, const char *path, wl_status code) {
  char why[1024];
  snprintf(why, sizeof why, "%s", wl_last_error());
  wl_location_fail(location, path, "%s", why);
  return code;
}

wl_status wl_choose_plugin(wl_config *config, const wl_node *node, wl_map *map) {
  const wl_section *const section = map->section;
  const wl_entry *const entry = wl_node_find(node, wl_plugin_options[PLUGIN].key);
  char path[WL_PATH_SIZE];
  wl_map_path(map, entry->key, false, path);
  const char *file = NULL, *hash = NULL;
  const wl_open_plugin *plugin = NULL;
  if (wl_node_find(node, section->selector))
    return wl_location_fail(entry->location, path, "give `%s` or `plugin`, not both",
                            section->selector);
  WL_TRY(read_text(config, node, map, PLUGIN, &file));
  WL_TRY(read_text(config, node, map, PLUGIN_HASH, &hash));
  map->variant = &refused;
  if (wl_plugin_is_refused()) return WL_OK;
  const wl_status status = open_plugin(config, section, file, hash, &plugin);
  if (status != WL_OK) return fail_at(entry->node->location, path, status);
  map->variant = &plugin->variant;
  return WL_OK;
}

wl_status wl_check_hash(const wl_config *config, wl_pool *pool, const wl_value *file,
                        const char *path, wl_value *value) {
  char hash[WL_FILE_HASH_SIZE];
  value->given = value->string[0] != '\0';
  if (wl_plugin_is_refused() || (config->any_hash && value->given)) return WL_OK;
  const wl_status status = wl_file_hash(file->string, hash);
  if (status != WL_OK) {
    /* path of the key that names the file; this key is in the same section */
    char named[WL_PATH_SIZE];
    const char *const dot = strrchr(path, '.');
    snprintf(named, sizeof named, "%.*s%s", dot ? (int)(dot - path) + 1 : 0, path,
             file->option->key);
    return fail_at(file->location, named, status);
  }
  if (!value->given) return wl_pool_text(pool, hash, strlen(hash), &value->string);
  if (strcmp(hash, value->string) == 0) return WL_OK;
  return wl_location_fail(
      value->location, path,
      "the file %s has the hash %s, not %s, and so differs from the file of the first run. Restore "
      "the file of the first run, or accept this file with --set %s=%s",
      file->string, hash, value->string, path, hash);
}

bool wl_config_hashed_file(const wl_config *config, int i, const char **file, const char **hash) {
  for (int g = 0; g < config->count; ++g)
    for (int m = 0; m < config->groups[g].count; ++m) {
      const wl_map *const map = &config->groups[g].maps[m];
      for (int k = 1; k < map->count; ++k)
        if (map->values[k].option->flags & WL_KEY_HASH && i-- == 0) {
          *file = map->values[k - 1].string;
          *hash = map->values[k].string;
          return true;
        }
    }
  return false;
}
