/* plugin_open.h - opens plug-ins (plugin.h) and hashes files that a configuration names. */
#ifndef WL_BASE_PLUGIN_OPEN_H
#define WL_BASE_PLUGIN_OPEN_H

#include "base/options.h"
#include "base/plugin.h"

/* The kinds of plug-ins, one for each section that accepts them. */
typedef struct wl_plugin_kind {
  const char *name;    /* "task", "rule": part of the symbol warploom_<name>_<precision> */
  const char *summary; /* what a plug-in of this kind adds: "a task family" */
  uint32_t layout;
  void (*describe)(const void *table, wl_variant *out); /* fills name, summary, options */
  const char *(*missing)(
      const void
          *table); /* returns the name of a required function that is NULL; NULL: none is missing */
  const wl_variant *(*built_in)(void);       /* ends with name NULL */
  const char *selector;                      /* the key that `plugin` replaces: "family", "name" */
  const wl_option
      *common; /* keys of the section; a plug-in may not use their names; NULL: no keys */
} wl_plugin_kind;

enum { WL_FILE_HASH_SIZE = 17 };

/* A plug-in that is open until the process ends. */
typedef struct wl_open_plugin wl_open_plugin;
struct wl_open_plugin {
  const wl_plugin_kind *kind;
  char *path;
  char hash[WL_FILE_HASH_SIZE];
  wl_variant variant;
  const wl_open_plugin *next;
};

/* Opens the file. `hash` is the hash that the file must have; "": any hash. If a plug-in with the same hash is already
 * open, that plug-in is used, even if its path differs. Errors: WL_ERR_NO_INPUT, WL_ERR_CONFIG, WL_ERR_DATA; the
 * message names the file and the reason. Thread-safe. */
wl_status wl_plugin_open(const wl_plugin_kind *kind, const char *path, const char *hash,
                         const wl_open_plugin **out);
/* Returns the open plug-in of this kind after `after`; if `after` is NULL, returns the first one. Returns NULL at the
 * end. */
const wl_open_plugin *wl_plugin_next(const wl_plugin_kind *kind, const wl_open_plugin *after);

/* The last function of a task family or rule that a thread called. If a plug-in crashes, the message names this
 * function. Code that calls a family or a rule sets this variable before each call. */
typedef struct wl_plugin_call {
  const void *table;
  const char *function;
} wl_plugin_call;
extern _Thread_local wl_plugin_call wl_plugin_last_call;
static inline void wl_plugin_enter(const void *table, const char *function) {
  wl_plugin_last_call = (wl_plugin_call){table, function};
}
/* Returns the open plug-in with this table, or NULL if the table belongs to the program. Safe in a signal handler. */
const wl_open_plugin *wl_plugin_of_table(const void *table);
/* After this call, a crash prints the plug-in and the function that the thread called last. */
void wl_plugin_watch_crashes(void);

/* One symbol that a file exports. */
typedef struct wl_plugin_export {
  const wl_plugin_kind *kind;
  const char *precision;
  const wl_plugin *plugin;
} wl_plugin_export;
enum { WL_PLUGIN_EXPORTS = 4 };

/* The kinds of plug-ins that wl_plugin_list searches for, and the file that it searches. */
typedef struct wl_plugin_search {
  const char *path, *shown; /* the file, and its name in messages */
  const wl_plugin_kind *const *kinds;
  int n_kinds;
} wl_plugin_search;

/* Loads the file and lists its exports of the given kinds, including exports that do not fit this program. */
wl_status wl_plugin_list(const wl_plugin_search *search, wl_plugin_export exports[WL_PLUGIN_EXPORTS],
                         int *count);
/* Checks the version of an export, then its table: functions, name, keys and their defaults. `path` is the name of the
 * file in messages. Sets name, summary and options of *out. */
wl_status wl_plugin_check(const wl_plugin_kind *kind, const wl_plugin *plugin, const char *path,
                          wl_variant *out);

/* If `refused` is true, later calls do not load plug-ins and other programs that a configuration names. A map that
 * names a plug-in is then accepted with any keys, and wl_map_table returns NULL for this map. The C library calls this
 * function because its callers open files from other people, and because plug-ins cannot use the symbols of the
 * library. */
void wl_plugin_refuse(bool refused);
bool wl_plugin_is_refused(void);

/* Computes the XXH3 of the file's bytes, as 16 hexadecimal digits. */
wl_status wl_file_hash(const char *path, char hash[WL_FILE_HASH_SIZE]);

#endif
