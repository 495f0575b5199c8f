/* plugin_check.c - checks what a plug-in exports: the version, the name, the functions and the
 * keys. */
#define _GNU_SOURCE /* dladdr */
#include "base/options_impl.h"
#include "base/plugin_open.h"

#include <dlfcn.h>
#include <string.h>

static wl_status check_version(const wl_plugin *plugin, const wl_plugin_kind *kind,
                               const char *path) {
  if (plugin->abi != WL_PLUGIN_ABI)
    return WL_FAIL(
        WL_ERR_CONFIG,
        "%s: this plug-in was built for version %u of the plug-in interface, and this program has "
        "version %u; build the plug-in again with `warploom plugin build`",
        path, (unsigned)plugin->abi, (unsigned)WL_PLUGIN_ABI);
  if (plugin->layout != kind->layout)
    return WL_FAIL(
        WL_ERR_CONFIG,
        "%s: this plug-in was built with headers whose structs have other sizes than the structs "
        "of this program (layout %08x instead of %08x); build the plug-in again with `warploom "
        "plugin build` of this program",
        path, (unsigned)plugin->layout, (unsigned)kind->layout);
  return WL_OK;
}

static wl_status check_name(const wl_plugin_kind *kind, const char *name, const char *path) {
  for (const wl_variant *v = kind->built_in(); v->name; ++v)
    if (strcmp(v->name, name) == 0)
      return WL_FAIL(WL_ERR_CONFIG, "%s: the plug-in's name '%s' is the name of a built-in %s; choose another name",
                     path, name, kind->name);
  return WL_OK;
}

/* For each type of a key, the type of the struct member that stores the value of the key. */
static const struct member {
  const char *type, *member;
  wl_slot_kind slot;
} members[] = {
    [WL_OPT_INT] = {"WL_OPT_INT", "int64_t", WL_SLOT_INT},
    [WL_OPT_REAL] = {"WL_OPT_REAL", "double", WL_SLOT_REAL},
    [WL_OPT_BOOL] = {"WL_OPT_BOOL", "bool", WL_SLOT_BOOL},
    [WL_OPT_STRING] = {"WL_OPT_STRING", "const char *", WL_SLOT_STRING},
    [WL_OPT_CHOICE] = {"WL_OPT_CHOICE", "int or an enum", WL_SLOT_CHOICE},
    [WL_OPT_INTS] = {"WL_OPT_INTS", "wl_ints", WL_SLOT_INTS},
    [WL_OPT_REALS] = {"WL_OPT_REALS", "wl_reals", WL_SLOT_REALS},
    [WL_OPT_STRINGS] = {"WL_OPT_STRINGS", "wl_strings", WL_SLOT_STRINGS},
    [WL_OPT_CHOICE_OR_REALS] = {"WL_OPT_CHOICE_OR_REALS", "wl_choice_or_reals",
                                WL_SLOT_CHOICE_OR_REALS},
};

static wl_status check_type(const wl_option *row, const char *path) {
  static const struct member drawn = {"WL_OPT_REAL with WL_KEY_DRAW", "wl_draw", WL_SLOT_DRAW};
  if ((unsigned)row->type >= sizeof members / sizeof *members)
    return WL_FAIL(WL_ERR_CONFIG, "%s: key '%s' has an unknown type; use a type of wl_option_type", path, row->key);
  const struct member *const m = row->flags & WL_KEY_DRAW ? &drawn : &members[row->type];
  if (row->slot.kind != m->slot)
    return WL_FAIL(WL_ERR_CONFIG, "%s: key '%s': %s needs WL_SLOT with a member of type %s", path,
                   row->key, m->type, m->member);
  const bool choice = row->type == WL_OPT_CHOICE || row->type == WL_OPT_CHOICE_OR_REALS;
  if (choice && !(row->choices && row->choices[0]))
    return WL_FAIL(WL_ERR_CONFIG, "%s: key '%s' is a choice and has no list of choices; set "
                                  "`choices`", path,
                   row->key);
  return WL_OK;
}

static bool has_row(const wl_option *table, const wl_option *end, const char *key) {
  for (; table && table != end && table->key; ++table)
    if (strcmp(table->key, key) == 0) return true;
  return false;
}

static wl_status check_row(const wl_plugin_kind *kind, const wl_option *table, const wl_option *row,
                           const char *path) {
  if (has_row(kind->common, NULL, row->key) || has_row(wl_plugin_options, NULL, row->key) ||
      strcmp(kind->selector, row->key) == 0)
    return WL_FAIL(WL_ERR_CONFIG, "%s: key '%s' exists for every %s; choose another name",
                   path, row->key, kind->name);
  if (!row->doc)
    return WL_FAIL(
        WL_ERR_CONFIG,
        "%s: key '%s' has no help text; add the text, or end the plug-in's table of keys with the "
        "row {0} if this row is missing",
        path, row->key);
  if (has_row(table, row, row->key))
    return WL_FAIL(WL_ERR_CONFIG, "%s: the plug-in's table contains the key '%s' twice; remove one row",
                   path, row->key);
  WL_TRY(check_type(row, path));
  if (!row->fallback) return WL_OK;
  wl_pool pool = {0};
  wl_value value = {.option = row};
  char why[1024];
  const wl_status status = wl_fallback_read(&pool, row, row->key, &value);
  if (status != WL_OK) snprintf(why, sizeof why, "%s", wl_last_error());
  wl_pool_clear(&pool);
  return status == WL_OK ? WL_OK : WL_FAIL(WL_ERR_CONFIG, "%s: %s", path, why);
}

/* Returns true if the `size` bytes at `bytes` are in the memory of a loaded program or library. */
static bool is_loaded(const void *bytes, size_t size) {
  Dl_info info;
  return dladdr(bytes, &info) && dladdr((const char *)bytes + size - 1, &info);
}

/* Returns the number of rows before the last row {0}. Returns -1 if the last row {0} is missing.
 * The function detects a missing row {0} if the bytes after the table are not a valid row. */
static int count_rows(const wl_option *table) {
  for (int rows = 0; table && rows <= WL_SECTION_KEYS; rows++) {
    if (!is_loaded(&table[rows], sizeof *table)) return -1;
    if (!table[rows].key) return rows;
    if (!is_loaded(table[rows].key, 1) || !table[rows].key[0]) return -1;
  }
  return table ? WL_SECTION_KEYS + 1 : 0;
}

static wl_status check_count(const wl_plugin_kind *kind, const wl_option *table, const char *path) {
  const int rows = count_rows(table),
            others = count_rows(kind->common) + count_rows(wl_plugin_options) + 1;
  if (rows < 0)
    return WL_FAIL(WL_ERR_CONFIG, "%s: the plug-in's table of keys has no end: the last row must be {0}",
                   path);
  if (rows + others <= WL_SECTION_KEYS) return WL_OK;
  return WL_FAIL(
      WL_ERR_CONFIG,
      "%s: the plug-in's table has more than %d keys; remove keys, or end the table with the row {0} if this "
      "row is missing",
      path, WL_SECTION_KEYS - others);
}

wl_status wl_plugin_check(const wl_plugin_kind *kind, const wl_plugin *plugin, const char *path,
                          wl_variant *out) {
  WL_TRY(check_version(plugin, kind, path));
  kind->describe(plugin->table, out);
  if (!out->name || !out->name[0] || !out->summary)
    return WL_FAIL(WL_ERR_CONFIG, "%s: the plug-in's table has no name or no summary; set `name` and "
                                  "`summary`", path);
  WL_TRY(check_name(kind, out->name, path));
  const char *const missing = kind->missing(plugin->table);
  if (missing) return WL_FAIL(WL_ERR_CONFIG, "%s: the plug-in's table has no function `%s`; define it", path, missing);
  WL_TRY(check_count(kind, out->options, path));
  for (const wl_option *row = out->options; row && row->key; ++row)
    WL_TRY(check_row(kind, out->options, row, path));
  return WL_OK;
}
