/* options.h - the table of configuration keys, and the maps of a validated configuration.
 *
 * Each module declares its keys once, in a table of wl_option. Each row of the table names the struct member that
 * receives the key's value. The module reads all values once, with wl_map_read. The same table is used for YAML
 * validation, --set overrides, --help, the man page, the JSON Schema and the resolved configuration. The table also
 * says what a resume may change. An unknown key, a wrong type or an impossible value causes WL_ERR_CONFIG with a
 * message such as "file:line: key 'outer.learning_rat': unknown; did you mean 'learning_rate'? ...". */
#ifndef WL_BASE_OPTIONS_H
#define WL_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

typedef enum wl_option_type {
  WL_OPT_INT, /* 64-bit integer; 1e4 and 10_000 are accepted, but not 1.5 */
  WL_OPT_REAL,
  WL_OPT_BOOL,           /* true, false, yes, no, on, off */
  WL_OPT_STRING,         /* "" allowed unless `required` */
  WL_OPT_CHOICE,         /* one of `choices` */
  WL_OPT_INTS,           /* list of integers; a scalar is a list of one */
  WL_OPT_REALS,          /* list of reals; a scalar is a list of one */
  WL_OPT_STRINGS,        /* list of strings; a scalar is a list of one; [] is empty */
  WL_OPT_CHOICE_OR_REALS /* one of `choices`, or a list of reals; a scalar is a list of one */
} wl_option_type;

/* Values of list keys. The arrays are borrowed and valid as long as the configuration. */
typedef struct wl_ints {
  const int64_t *at;
  int count;
} wl_ints;
typedef struct wl_reals {
  const double *at;
  int count;
} wl_reals;
typedef struct wl_strings {
  const char *const *at;
  int count;
} wl_strings;
/* A choice or a list of numbers. For a list of numbers, `choice` is the number of choices. */
typedef struct wl_choice_or_reals {
  int choice;
  int64_t argument; /* N of a choice that is written as {name: N} */
  wl_reals list;
} wl_choice_or_reals;

/* A number, or a distribution from which a number is drawn for each episode. */
typedef enum wl_draw_kind {
  WL_DRAW_FIXED,
  WL_DRAW_ONE_OF,
  WL_DRAW_UNIFORM,
  WL_DRAW_LOG_UNIFORM
} wl_draw_kind;
typedef struct wl_draw {
  wl_draw_kind kind;
  double low, high; /* bounds; for WL_DRAW_FIXED, both are the number */
  wl_reals choices; /* for WL_DRAW_ONE_OF */
} wl_draw;

/* The type of the struct member that receives a key's value. */
typedef enum wl_slot_kind {
  WL_SLOT_NONE,
  WL_SLOT_INT,    /* int64_t */
  WL_SLOT_REAL,   /* double */
  WL_SLOT_BOOL,   /* bool */
  WL_SLOT_STRING, /* const char *, borrowed, valid as long as the configuration */
  WL_SLOT_CHOICE, /* int or an enum: the index of the choice */
  WL_SLOT_INTS,
  WL_SLOT_REALS,
  WL_SLOT_STRINGS,
  WL_SLOT_CHOICE_OR_REALS,
  WL_SLOT_DRAW
} wl_slot_kind;
typedef struct wl_slot {
  wl_slot_kind kind;
  unsigned offset;
} wl_slot;
/* The slot of a struct member. The macro derives the slot kind from the member's type. An unsupported type is a
 * compile-time error. An enum has the type int or unsigned. */
#define WL_SLOT(type, member)                 \
  {                                           \
    _Generic(((type *)0)->member,           \
       int64_t: WL_SLOT_INT,               \
       double: WL_SLOT_REAL,               \
       bool: WL_SLOT_BOOL,                 \
       const char *: WL_SLOT_STRING,       \
       wl_ints: WL_SLOT_INTS,              \
       wl_reals: WL_SLOT_REALS,            \
       wl_strings: WL_SLOT_STRINGS,        \
       wl_choice_or_reals: WL_SLOT_CHOICE_OR_REALS, \
       wl_draw: WL_SLOT_DRAW,               \
       int: WL_SLOT_CHOICE,                \
       unsigned: WL_SLOT_CHOICE),          \
   (unsigned)offsetof(type, member) \
  }

/* Properties of a key. A key without flags is part of a run's identity. The result depends on the key, and a resumed
 * run must have the key's original value. */
typedef enum wl_key_flags {
  WL_KEY_FREE = 1,    /* the result does not depend on the key: a resume may change its value */
  WL_KEY_EXTENDS = 2, /* a resume may change the value; later results depend on the value */
  WL_KEY_PATH = 4,    /* names a file or folder: ~/, $NAME and ${NAME} are expanded */
  WL_KEY_DRAW =
      8, /* a real that may be {one_of: [..]}, {uniform: [a, b]} or {log_uniform: [a, b]} */
  WL_KEY_ONE_OF =
      16, /* for a section: every key may be {one_of: [..]}; one map for each combination */
  WL_KEY_FIXED = 32, /* for a key of a section with WL_KEY_ONE_OF: the key may not have choices */
  WL_KEY_BESIDE =
      64, /* for a path: a path in a configuration file is relative to the folder of that file */
  WL_KEY_HASH =
      128 /* the key is the hash of the file of the previous row; a hash from the user is checked */
} wl_key_flags;

typedef struct wl_option {
  const char *key; /* name without the section, for example "learning_rate" */
  wl_option_type type;
  const char *fallback; /* default as YAML text; NULL: the key is required */
  const char *choices;  /* "sum|mean|{last: N}" for choices, else NULL; N is a whole number */
  double min, max;      /* inclusive bounds of each number; both 0: any number */
  const char *units;    /* "1", "steps", "seconds", ... */
  const char *doc;      /* one sentence, shown by --help and the man page */
  wl_slot slot;         /* where wl_map_read stores the value */
  unsigned flags;       /* wl_key_flags */
} wl_option;

/* One variant of a section, such as a task family or a rule. The keys of the section depend on the chosen variant. */
typedef struct wl_variant {
  const char *name, *summary;
  const wl_option *options; /* ends with key NULL; NULL: none */
  const void *table;        /* the functions of its module: wl_task_family, wl_rule_ops; may be NULL */
} wl_variant;
typedef struct wl_plugin_kind wl_plugin_kind; /* base/plugin_open.h */

/* A top-level key of the configuration. The section with the name "" has the top-level scalars (seed, output). If the
 * section has a `selector` (for example "family" or "name"), the selector's value names a variant. The keys are then
 * `options` plus the keys of that variant. The key `plugin` can replace the selector; the keys are then `options` plus
 * the keys of the plug-in. With `list`, the section may also be a sequence of maps. */
typedef struct wl_section {
  const char *name, *doc;
  const wl_option *options;     /* ends with key NULL; NULL: none */
  const char *selector;         /* NULL: plain section */
  const wl_variant *variants;   /* ends with name NULL */
  const char *fallback_variant; /* used when the section is absent; NULL: the section is required */
  bool list;
  unsigned flags; /* wl_key_flags of all its keys */
  const wl_plugin_kind *plugins; /* plug-ins that can replace a variant; NULL: no plug-ins */
} wl_section;

typedef struct wl_config wl_config; /* a validated configuration with all defaults filled in */
typedef struct wl_map wl_map;       /* one section of a configuration, or one map of a list section */

/* One edit of a configuration, applied before validation. Only values of the option --set are parsed as YAML. */
typedef enum wl_override_kind {
  WL_OVERRIDE_LINE, /* `text` is "path=value" of a command line */
  WL_OVERRIDE_TEXT, /* `text` as a string, not parsed */
  WL_OVERRIDE_REAL,
  WL_OVERRIDE_INTS,
  WL_OVERRIDE_ABSENT,  /* the override removes a section, key or item */
  WL_OVERRIDE_ANY_HASH /* no path: hashes in the configuration are not compared with the files */
} wl_override_kind;
typedef struct wl_override {
  wl_override_kind kind;
  const char *path; /* "outer.steps", "task.0.dimension" for lists; NULL for lines */
  const char *text;
  double real;
  wl_ints ints;
} wl_override;

/* Parses YAML text, applies the overrides in their order, and validates the result against `sections`. `source` is the
 * name of the text in messages. `sections` ends with name NULL and must be valid as long as *out. The caller owns *out.
 * Not collective. */
wl_status wl_config_parse(const char *text, const char *source, const wl_section *sections,
                          const wl_override *overrides, int n_overrides, wl_config **out);
/* Does the same as wl_config_parse for the text of a file. Returns WL_ERR_NO_INPUT if the file is missing, and
 * WL_ERR_PERMISSION if the file is unreadable. */
wl_status wl_config_read(const char *path, const wl_section *sections, const wl_override *overrides,
                         int n_overrides, wl_config **out);
void wl_config_destroy(wl_config **config);

/* wl_config_count returns the number of maps of a section. This number is 1 unless the section is a list or draws are
 * expanded. wl_config_map returns the i-th map, borrowed. */
int wl_config_count(const wl_config *config, const char *section);
const wl_map *wl_config_map(const wl_config *config, const char *section, int i);
/* Returns the number of maps of a section before draws are expanded. */
int wl_config_written(const wl_config *config, const char *section);
/* Returns the value of the section's selector in this map, or the name of the map's plug-in. Returns "" if the section
 * has no selector. */
const char *wl_map_variant(const wl_map *map);
/* These functions return the table and the options of the map's variant. The result is NULL if the variant has no table
 * or no options, or is a refused plug-in. */
const void *wl_map_table(const wl_map *map);
const wl_option *wl_map_options(const wl_map *map);

/* wl_map_combinations returns the number of combinations of the section's drawn keys, or 1 if no key is drawn.
 * wl_map_choices writes the combination of this map to `text`, for example "widths: [32], activation: relu",
 * limited to `size` bytes. The text is "" if there is only one combination. */
int wl_map_combinations(const wl_map *map);
void wl_map_choices(const wl_map *map, char *text, size_t size);

/* Stores the value of each row of `table` in the member of `out` that the row's slot names. Other members are
 * unchanged. `table` ends with key NULL. If `table` is not the map's table, its rows are matched by key and type. Rows
 * that the map does not have are skipped. */
void wl_map_read(const wl_map *map, const wl_option *table, void *out);

/* Sets an error that names file, line and full key of this map's value, and returns WL_ERR_CONFIG. Modules call this
 * function for checks that only the module can make. */
wl_status wl_map_fail(const wl_map *map, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes the resolved configuration as YAML text: every key with its value, in table order. Parsing this text gives the
 * same configuration. *text is malloc'ed and owned by the caller. */
wl_status wl_config_to_yaml(const wl_config *config, char **text);
/* Lists the keys that differ between two resolved configurations, one "key: a | b" per line. Omits keys that have any
 * of the flags `except`. *text is malloc'ed. */
/* Omits a hash that differs if `b` contains the new hash explicitly. */
wl_status wl_config_diff(const wl_config *a, const wl_config *b, unsigned except, char **text);

/* Finds the i-th file (counted from 0) with a hash in the configuration (WL_KEY_HASH). Returns false if there are fewer
 * files. The texts are borrowed. */
bool wl_config_hashed_file(const wl_config *config, int i, const char **file, const char **hash);

/* Prints the table of keys for --help, or with `roff` as man-page source. */
void wl_sections_help(const wl_section *sections, bool roff, FILE *out);
/* Prints text escaped for a man page. */
void wl_help_roff(const char *text, FILE *out);
/* Prints text wrapped to the terminal's width. Lines after the first line are indented. Prints no newline at the
 * end. */
void wl_help_wrap(const char *text, int indent, FILE *out);
/* Prints name and summary of each variant of a section, for example for --list tasks. */
void wl_section_list(const wl_section *section, FILE *out);

#endif
