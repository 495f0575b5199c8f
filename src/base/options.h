/* options.h - the table of configuration keys, and maps validated against it.
 *
 * Each module declares its keys once as a table of wl_option, and reads them once, by wl_map_read,
 * into the struct that its rows point into. The table drives YAML validation, --set overrides,
 * --help, the man page, the JSON Schema, the resolved configuration and what a resume may change.
 * Unknown keys, wrong types and impossible values are WL_ERR_CONFIG with a message
 * "file:line: key 'outer.learning_rat': unknown; did you mean 'learning_rate'? ...". */
#ifndef WL_BASE_OPTIONS_H
#define WL_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

typedef enum wl_option_type {
  WL_OPT_INT, /* 64-bit integer; 1e4 and 10_000 accepted when integral */
  WL_OPT_REAL,
  WL_OPT_BOOL,           /* true, false, yes, no, on, off */
  WL_OPT_STRING,         /* "" allowed unless `required` */
  WL_OPT_CHOICE,         /* one of `choices` */
  WL_OPT_INTS,           /* list of integers; a scalar is a list of one */
  WL_OPT_REALS,          /* list of reals; a scalar is a list of one */
  WL_OPT_STRINGS,        /* list of strings; a scalar is a list of one; [] is empty */
  WL_OPT_CHOICE_OR_REALS /* one of `choices`, or a list of reals; a scalar is a list of one */
} wl_option_type;

/* Values of list keys. Borrowed for the configuration's life. */
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
/* A choice, or a list of numbers: `choice` is then the number of choices. */
typedef struct wl_choice_or_reals {
  int choice;
  int64_t argument; /* N of a choice that is written {name: N} */
  wl_reals list;
} wl_choice_or_reals;

/* A number, or the distribution that it is drawn from for each episode. */
typedef enum wl_draw_kind {
  WL_DRAW_FIXED,
  WL_DRAW_ONE_OF,
  WL_DRAW_UNIFORM,
  WL_DRAW_LOG_UNIFORM
} wl_draw_kind;
typedef struct wl_draw {
  wl_draw_kind kind;
  double low, high; /* WL_DRAW_FIXED: both the number */
  wl_reals choices; /* WL_DRAW_ONE_OF */
} wl_draw;

/* Where a key's value goes in its module's struct. */
typedef enum wl_slot_kind {
  WL_SLOT_NONE,
  WL_SLOT_INT,    /* int64_t */
  WL_SLOT_REAL,   /* double */
  WL_SLOT_BOOL,   /* bool */
  WL_SLOT_STRING, /* const char *, borrowed for the configuration's life */
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
/* The slot of a member, its kind taken from the member's type. Members of other types are an error of the compiler; the
 * type of an enum is int or unsigned. */
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

/* Properties of a key. A key without flags is part of a run's identity: the result depends on it, and a resumed run
 * must have the value that the run was started with. */
typedef enum wl_key_flags {
  WL_KEY_FREE = 1,    /* the result does not depend on it: a resume may change it */
  WL_KEY_EXTENDS = 2, /* a resume may change it, and the later results depend on it */
  WL_KEY_PATH = 4,    /* names a file or folder: ~/, $NAME and ${NAME} are expanded */
  WL_KEY_DRAW = 8,    /* a real that may be {one_of: [..]}, {uniform: [a, b]} or {log_uniform: [a, b]} */
  WL_KEY_ONE_OF = 16, /* of a section: every key may be {one_of: [..]}, and the section's maps are all
                         combinations of such choices */
  WL_KEY_FIXED = 32,  /* of a key in such a section: it may not */
  WL_KEY_BESIDE = 64, /* of a path: in a file, it is relative to the configuration's folder */
  WL_KEY_HASH = 128   /* the hash of the file that the row before names: computed, and an error if another is given */
} wl_key_flags;

typedef struct wl_option {
  const char *key; /* "learning_rate"; the section prefixes "outer." */
  wl_option_type type;
  const char *fallback; /* default as YAML text; NULL: the key is required */
  const char *choices;  /* "sum|mean|{last: N}" for choices, else NULL; N is a whole number */
  double min, max;      /* inclusive range of each number; both 0: any */
  const char *units;    /* "1", "steps", "seconds", ... */
  const char *doc;      /* one sentence, shown by --help and the man page */
  wl_slot slot;         /* where wl_map_read stores the value */
  unsigned flags;       /* wl_key_flags */
} wl_option;

/* One member of a section whose keys depend on a choice: a task family, a rule. */
typedef struct wl_variant {
  const char *name, *summary;
  const wl_option *options; /* ends with key NULL; NULL: none */
  const void *table;        /* the functions of its module: wl_task_family, wl_rule_ops; may be NULL */
} wl_variant;
typedef struct wl_plugin_kind wl_plugin_kind; /* base/plugin_open.h */

/* A top-level key of the configuration. `name` "" holds top-level scalars (seed, output).
 * With `selector` (e.g. "family", "name") the keys are `options` plus those of the variant
 * that the selector's value names, or of the plug-in that the key `plugin` names in its place. With
 * `list` the section may also be a sequence of maps. */
typedef struct wl_section {
  const char *name, *doc;
  const wl_option *options;     /* ends with key NULL; NULL: none */
  const char *selector;         /* NULL: plain section */
  const wl_variant *variants;   /* ends with name NULL */
  const char *fallback_variant; /* used when the section is absent; NULL: the section is required */
  bool list;
  unsigned flags; /* wl_key_flags of all its keys */
  const wl_plugin_kind *plugins; /* plug-ins that may take the place of a variant; NULL: none */
} wl_section;

typedef struct wl_config wl_config; /* one validated configuration, all defaults filled in */
typedef struct wl_map wl_map;       /* one section of it */

/* One edit of a configuration before it is validated. Only values that a user gives to --set are parsed as YAML. */
typedef enum wl_override_kind {
  WL_OVERRIDE_LINE, /* `text` is "path=value" of a command line */
  WL_OVERRIDE_TEXT, /* `text` as a string, not parsed */
  WL_OVERRIDE_REAL,
  WL_OVERRIDE_INTS,
  WL_OVERRIDE_ABSENT,  /* removes a section, key or item */
  WL_OVERRIDE_ANY_HASH /* no path: hashes that the configuration gives are not compared with the files */
} wl_override_kind;
typedef struct wl_override {
  wl_override_kind kind;
  const char *path; /* "outer.steps", "task.0.dimension" for lists; NULL for lines */
  const char *text;
  double real;
  wl_ints ints;
} wl_override;

/* Parses YAML text (`source` names it in messages), applies the overrides in their order, validates
 * against `sections` (ends with name NULL; borrowed for the life of the config). *out is owned by the
 * caller. Not collective. */
wl_status wl_config_parse(const char *text, const char *source, const wl_section *sections,
                          const wl_override *overrides, int n_overrides, wl_config **out);
/* The same from a file: WL_ERR_NO_INPUT when missing, WL_ERR_PERMISSION when unreadable. */
wl_status wl_config_read(const char *path, const wl_section *sections, const wl_override *overrides,
                         int n_overrides, wl_config **out);
void wl_config_destroy(wl_config **config);

/* Number of maps of a section (1 unless it is a list, or draws are expanded), and the i-th. Borrowed. */
int wl_config_count(const wl_config *config, const char *section);
const wl_map *wl_config_map(const wl_config *config, const char *section, int i);
/* Number of maps of a section as written, before draws are expanded. */
int wl_config_written(const wl_config *config, const char *section);
/* The value of the section's selector in this map, or the name of its plug-in ("" without one). */
const char *wl_map_variant(const wl_map *map);
/* The table and the options of that variant. NULL: it has none, or is a plug-in that was refused. */
const void *wl_map_table(const wl_map *map);
const wl_option *wl_map_options(const wl_map *map);

/* Number of combinations of the section's drawn keys (1 if none is drawn). `text` receives this map's combination, such
 * as "widths: [32], activation: relu" ("" for 1), cut to `size`. */
int wl_map_combinations(const wl_map *map);
void wl_map_choices(const wl_map *map, char *text, size_t size);

/* Stores the values of the rows of `table` (ends with key NULL) in the struct that their slots point
 * into; its other members are unchanged. Rows of another table than the map's are matched by key and type, and skipped
 * where the map has none. */
void wl_map_read(const wl_map *map, const wl_option *table, void *out);

/* WL_FAIL(WL_ERR_CONFIG) naming file, line and full key of this map's value, for checks that
 * only the module can make. */
wl_status wl_map_fail(const wl_map *map, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The resolved configuration as YAML text, every key with its value, in table order; the same
 * text parses back to the same configuration. malloc'ed, owned by the caller. */
wl_status wl_config_to_yaml(const wl_config *config, char **text);
/* Keys that differ between two resolved configurations, one "key: a | b" per line, without keys that have any of the
 * flags `except`. malloc'ed. */
/* A hash that differs is left out if `b` gives the new one explicitly. */
wl_status wl_config_diff(const wl_config *a, const wl_config *b, unsigned except, char **text);

/* The i-th file whose hash the configuration holds (WL_KEY_HASH), from 0; false: there are fewer. Borrowed. */
bool wl_config_hashed_file(const wl_config *config, int i, const char **file, const char **hash);

/* Prints the table of keys for --help (roff: as man-page source). */
void wl_sections_help(const wl_section *sections, bool roff, FILE *out);
/* Prints text escaped for a man page. */
void wl_help_roff(const char *text, FILE *out);
/* Prints text wrapped to the terminal's width, indented after the first line; no newline at the end. */
void wl_help_wrap(const char *text, int indent, FILE *out);
/* Prints name and summary of each variant of a section: --list tasks. */
void wl_section_list(const wl_section *section, FILE *out);

#endif
