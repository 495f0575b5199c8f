/* plugin_open.h - opens plug-ins (plugin.h) and hashes files that a configuration names. */
#ifndef WL_BASE_PLUGIN_OPEN_H
#define WL_BASE_PLUGIN_OPEN_H

#include "base/options.h"
#include "base/plugin.h"

/* Describes a kind of plug-in. There are two kinds: a plug-in adds a task family or an update rule. */
typedef struct wl_plugin_kind {
  /* "task" or "rule"; a part of the exported symbol warploom_<name>_<precision> */
  const char *name;
  const char *summary; /* what a plug-in of this kind adds, such as "a task family" */
  uint32_t layout;
  /* sets the name, the summary and the options of *out */
  void (*describe)(const void *table, wl_variant *out);
  const char *(*missing)(
      const void
          /* returns the name of a required function that is NULL in the table, or NULL if no
           * function is missing */
          *table);
  /* returns the variants of the program; the last one has the name NULL */
  const wl_variant *(*built_in)(void);
  const char *selector; /* the key that `plugin` replaces: "family" or "name" */
  const wl_option
      /* keys that every variant of the section has. A plug-in may not have keys of these names. The
       * pointer is NULL if there are no such keys. */
      *common;
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

/* Opens the plug-in in the file `path`. `hash` is the hash that the file must have. If `hash` is
 * "", every file is accepted. If a plug-in with the same hash is already open, that plug-in is
 * used, even if its path differs. Errors: WL_ERR_NO_INPUT, WL_ERR_CONFIG, WL_ERR_DATA. The message
 * names the file and the reason. Thread-safe. */
wl_status wl_plugin_open(const wl_plugin_kind *kind, const char *path, const char *hash,
                         const wl_open_plugin **out);
/* Returns the next open plug-in of this kind. `after` is the result of the previous call, or NULL
 * for the first call. Returns NULL after the last plug-in. */
const wl_open_plugin *wl_plugin_next(const wl_plugin_kind *kind, const wl_open_plugin *after);

/* The function of a task family or rule that this thread called last. If a plug-in crashes, the
 * message names this function. The code that calls a family or a rule sets wl_plugin_last_call
 * before each call. */
typedef struct wl_plugin_call {
  const void *table;
  const char *function;
} wl_plugin_call;
extern _Thread_local wl_plugin_call wl_plugin_last_call;
static inline void wl_plugin_enter(const void *table, const char *function) {
  wl_plugin_last_call = (wl_plugin_call){table, function};
}
/* Returns the open plug-in with this table, or NULL if the table belongs to the program. A signal
 * handler may call this function. */
const wl_open_plugin *wl_plugin_of_table(const void *table);
/* Installs handlers for the signals of a crash. If the process crashes after this call, the
 * handlers print the plug-in and the function that the thread called last. */
void wl_plugin_watch_crashes(void);

/* One symbol of a plug-in that a file exports. */
typedef struct wl_plugin_export {
  const wl_plugin_kind *kind;
  const char *precision;
  const wl_plugin *plugin;
} wl_plugin_export;
enum { WL_PLUGIN_EXPORTS = 4 };

/* The file that wl_plugin_list searches, and the kinds of plug-ins for which it searches. */
typedef struct wl_plugin_search {
  const char *path, *shown; /* path of the file, and name of the file in messages */
  const wl_plugin_kind *const *kinds;
  int n_kinds;
} wl_plugin_search;

/* Loads the file and lists the symbols of the given kinds that the file exports. Symbols for
 * another precision or another version are also listed. */
wl_status wl_plugin_list(const wl_plugin_search *search, wl_plugin_export exports[WL_PLUGIN_EXPORTS],
                         int *count);
/* Checks the version of an exported plug-in, and then the name, the functions, the keys and the
 * defaults in its table. `path` is the name of the file in messages. The function sets the name,
 * the summary and the options of *out. */
wl_status wl_plugin_check(const wl_plugin_kind *kind, const wl_plugin *plugin, const char *path,
                          wl_variant *out);

/* If `refused` is true, later calls of Warploom's functions load no plug-in and run no other
 * program that a configuration names. A map that names a plug-in may then have any keys, and
 * wl_map_table returns NULL for this map. The C library calls this function for two reasons. The
 * callers of the library may open files from other people. A plug-in also could not find the
 * functions of Warploom, because the library does not export them. */
void wl_plugin_refuse(bool refused);
bool wl_plugin_is_refused(void);

/* Computes a hash (XXH3) of the file's bytes and writes it as 16 hexadecimal digits. */
wl_status wl_file_hash(const char *path, char hash[WL_FILE_HASH_SIZE]);

#endif
