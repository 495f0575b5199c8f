/* plugin_open.c - opens a shared object and finds the symbol of this program's precision. */
#include "base/plugin_open.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/digest.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* list of the open plug-ins; a thread must hold `lock` to change it */
static wl_open_plugin *first;
static bool refused;

void wl_plugin_refuse(bool r) { refused = r; }
bool wl_plugin_is_refused(void) { return refused; }

/* ---- hash ---- */

wl_status wl_file_hash(const char *path, char hash[WL_FILE_HASH_SIZE]) {
  wl_digest digest = {0};
  char *bytes = NULL;
  size_t size = 0;
  WL_TRY(wl_read_file(path, &bytes, &size));
  wl_digest_add(&digest, "file", bytes, size);
  wl_digest_hex(digest, hash);
  free(bytes);
  return WL_OK;
}

/* ---- checks ---- */

static const wl_plugin *find_symbol(void *object, const char *kind, const char *precision) {
  char name[64];
  snprintf(name, sizeof name, "warploom_%s_%s", kind, precision);
  return dlsym(object, name);
}

static const char *other_precision(void) {
  return strcmp(WL_REAL_NAME, "float32") == 0 ? "float64" : "float32";
}

/* Sets an error message that says what the file exports instead of the required symbol. */
static wl_status fail_symbol(void *object, const wl_plugin_kind *kind, const char *path) {
  const char *const other = strcmp(kind->name, "task") == 0 ? "rule" : "task";
  if (find_symbol(object, kind->name, other_precision()))
    return WL_FAIL(WL_ERR_CONFIG,
                   "%s: this plug-in was built for %s, and this program computes in " WL_REAL_NAME
                   "; build the plug-in again with `warploom plugin build`, which builds it for "
                   "both precisions",
                   path, other_precision());
  if (find_symbol(object, other, WL_REAL_NAME))
    return WL_FAIL(WL_ERR_CONFIG, "%s: this plug-in adds a %s, not a %s; name the plug-in in the "
                                  "section `%s: {plugin: ..}`", path,
                   other, kind->name, other);
  return WL_FAIL(WL_ERR_CONFIG,
                 "%s: this file does not export the symbol warploom_%s_" WL_REAL_NAME
                 "; end the source of the plug-in with WL_PLUGIN_%s(..)",
                 path, kind->name, strcmp(kind->name, "task") == 0 ? "TASK" : "RULE");
}

/* ---- opening ---- */

/* Loads the shared object of a plug-in. A name without a slash is loaded from the current folder:
 * "./" is added, because dlopen would search for the name in the library path. */
static wl_status load_object(const char *path, const char *shown, void **object) {
  char here[4096];
  snprintf(here, sizeof here, "%s%s", strchr(path, '/') ? "" : "./", path);
  *object = dlopen(here, RTLD_NOW | RTLD_LOCAL);
  if (*object) return WL_OK;
  const char *const error = dlerror(), *const why = error ? error : "unknown reason";
  const size_t name = strlen(here);
  return WL_FAIL(WL_ERR_CONFIG, "%s: this file cannot be loaded as a plug-in: %s", shown,
                 strncmp(why, here, name) == 0 && why[name] == ':' ? why + name + 2 : why);
}

static wl_status load(const wl_plugin_kind *kind, const char *path, wl_open_plugin *p) {
  void *object = NULL;
  WL_TRY(load_object(path, path, &object));
  const wl_plugin *const plugin = find_symbol(object, kind->name, WL_REAL_NAME);
  if (!plugin) return fail_symbol(object, kind, path);
  WL_TRY(wl_plugin_check(kind, plugin, path, &p->variant));
  p->variant.table = plugin->table;
  return WL_OK;
}

static const wl_open_plugin *find_open(const wl_plugin_kind *kind, const char *hash) {
  for (const wl_open_plugin *p = first; p; p = p->next)
    if (p->kind == kind && strcmp(p->hash, hash) == 0) return p;
  return NULL;
}

static wl_status open_new(const wl_plugin_kind *kind, const char *path, const char *hash,
                          const wl_open_plugin **out) {
  wl_open_plugin *p = NULL;
  WL_TRY(WL_NEW(p, 1));
  p->kind = kind;
  memcpy(p->hash, hash, sizeof p->hash);
  p->path = strdup(path);
  const wl_status status = p->path ? load(kind, path, p) : WL_FAIL(WL_ERR_OS, "out of memory");
  if (status != WL_OK) {
    free(p->path);
    wl_free(p);
    return status;
  }
  p->next = first;
  *out = first = p;
  wl_plugin_watch_crashes();
  return WL_OK;
}

/* Opens a plug-in. The caller holds the lock. The hash is compared before the file is loaded,
 * because loading a file runs code of the file. */
static wl_status open_locked(const wl_plugin_kind *kind, const char *path, const char *hash,
                             const wl_open_plugin **out) {
  char found[WL_FILE_HASH_SIZE];
  *out = hash[0] ? find_open(kind, hash) : NULL;
  if (*out) return WL_OK;
  WL_TRY(wl_file_hash(path, found));
  if (hash[0] && strcmp(hash, found) != 0)
    return WL_FAIL(
        WL_ERR_CONFIG,
        "%s: this file has the hash %s, not %s, and so differs from the file of the first run. "
        "Restore the file of the first run, or accept this file with the key plugin_hash: %s",
        path, found, hash, found);
  *out = find_open(kind, found);
  return *out ? WL_OK : open_new(kind, path, found, out);
}

wl_status wl_plugin_open(const wl_plugin_kind *kind, const char *path, const char *hash,
                         const wl_open_plugin **out) {
  pthread_mutex_lock(&lock);
  const wl_status status = open_locked(kind, path, hash, out);
  pthread_mutex_unlock(&lock);
  return status;
}

const wl_open_plugin *wl_plugin_next(const wl_plugin_kind *kind, const wl_open_plugin *after) {
  pthread_mutex_lock(&lock);
  const wl_open_plugin *p = after ? after->next : first;
  pthread_mutex_unlock(&lock);
  while (p && p->kind != kind) p = p->next;
  return p;
}

const wl_open_plugin *wl_plugin_of_table(const void *table) {
  const wl_open_plugin *p = first;
  while (p && p->variant.table != table) p = p->next;
  return p;
}

wl_status wl_plugin_list(const wl_plugin_search *search, wl_plugin_export exports[WL_PLUGIN_EXPORTS],
                         int *count) {
  static const char *const precisions[] = {"float32", "float64"};
  char hash[WL_FILE_HASH_SIZE];
  void *object = NULL;
  *count = 0;
  WL_TRY(wl_file_hash(search->path,
                      /* if the file does not exist, this call sets a clearer error message than
                       * dlopen */
                      hash));
  WL_TRY(load_object(search->path, search->shown, &object));
  for (int k = 0; k < search->n_kinds; k++)
    for (int i = 0; i < 2 && *count < WL_PLUGIN_EXPORTS; i++) {
      const wl_plugin_kind *const kind = search->kinds[k];
      const wl_plugin *const plugin = find_symbol(object, kind->name, precisions[i]);
      if (plugin) exports[(*count)++] = (wl_plugin_export){kind, precisions[i], plugin};
    }
  return WL_OK;
}
