/* options.h - declares the table of configuration keys, and reads values from a validated
 * configuration.
 *
 * Each module declares its keys once, in a table of wl_option. Each row of the table names the
 * struct member that receives the key's value. The module reads all values once, with wl_map_read.
 * The same table is used for YAML validation, --set overrides, --help, the man page, the JSON
 * Schema and the resolved configuration. The table also says which keys may have another value when
 * a run resumes. The functions return WL_ERR_CONFIG if a key is unknown, or if a value has the
 * wrong type or is out of range. The message starts with the file, the line and the key, such as
 * "job.yaml:3: key 'outer.stepps': unknown key". */
#ifndef WL_BASE_OPTIONS_H
#define WL_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

typedef enum wl_option_type {
  WL_OPT_INT, /* integer of 64 bits; 1e4 and 10_000 are integers, and 1.5 is an error */
  WL_OPT_REAL,
  WL_OPT_BOOL,           /* true, yes and on are true; false, no and off are false */
  WL_OPT_STRING,         /* string; the empty string is an error if the key has no default */
  WL_OPT_CHOICE,         /* one of `choices` */
  WL_OPT_INTS,           /* list of integers; a single integer is a list of one item */
  WL_OPT_REALS,          /* list of numbers; a single number is a list of one item */
  WL_OPT_STRINGS,        /* list of strings; a single string is a list of one item */
  /* one of `choices`, or a list of numbers; a single number is a list of one item */
  WL_OPT_CHOICE_OR_REALS
} wl_option_type;

/* Each of these structures contains the items of a key whose value is a list. The configuration
 * owns the arrays. */
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
/* The value of a key that accepts a choice or a list of numbers. `choice` is the index of the
 * choice. For a list of numbers, `choice` is the number of choices. */
typedef struct wl_choice_or_reals {
  int choice;
  int64_t argument; /* the number N if the user wrote the choice as {name: N}, or 0 otherwise */
  wl_reals list;
} wl_choice_or_reals;

/* The value of a key with the flag WL_KEY_DRAW. The value is either a number, or a distribution
 * from which a number is drawn for each episode. */
typedef enum wl_draw_kind {
  WL_DRAW_FIXED,
  WL_DRAW_ONE_OF,
  WL_DRAW_UNIFORM,
  WL_DRAW_LOG_UNIFORM
} wl_draw_kind;
typedef struct wl_draw {
  wl_draw_kind kind;
  double low, high; /* bounds of the distribution; for WL_DRAW_FIXED, both bounds are equal to the
                     * value of the key */
  wl_reals choices; /* the numbers from which WL_DRAW_ONE_OF chooses */
} wl_draw;

/* The type of the struct member that receives a key's value. */
typedef enum wl_slot_kind {
  WL_SLOT_NONE,
  WL_SLOT_INT,    /* int64_t */
  WL_SLOT_REAL,   /* double */
  WL_SLOT_BOOL,   /* bool */
  WL_SLOT_STRING, /* the member is a const char *, and the configuration owns the string */
  WL_SLOT_CHOICE, /* the member is an int or an enum, and receives the index of the choice */
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
/* Describes the struct member that receives a key's value: the type and the offset of the member.
 * If the member has a type that is not in this list, the compiler reports an error. An enum has the
 * type int or unsigned. */
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

/* The flags describe the properties of a key. If a key has no flags, the result of a run depends on
 * the value of the key, and a resumed run must have the original value. */
typedef enum wl_key_flags {
  /* The result of a run does not depend on the value of the key. A resumed run may have another
   * value of the key. */
  WL_KEY_FREE = 1,
  /* A resumed run may have another value of the key. The results of the run after the resume
   * depend on this value. */
  WL_KEY_EXTENDS = 2,
  WL_KEY_PATH = 4,    /* The value is a path, in which ~/, $NAME and ${NAME} are expanded. */
  WL_KEY_DRAW =
      /* The value is a number or a distribution: {one_of: [..]}, {uniform: [a, b]} or
       * {log_uniform: [a, b]}. */
      8,
  WL_KEY_ONE_OF =
      /* A flag of a section. The value of every key of the section may be {one_of: [..]}. If keys
       * have such values, the configuration has one map of the section for each combination of
       * choices. */
      16,
  WL_KEY_FIXED = 32, /* The key must have a single value, although its section has the flag
                      * WL_KEY_ONE_OF. */
  WL_KEY_BESIDE =
      64, /* A relative path in a configuration file is resolved from the folder of that file. */
  WL_KEY_HASH =
      /* The value is the hash of a file. The key in the previous row of the table names this file.
       * If the user gives a hash, the hash of the file must be equal to the given hash. */
      128
} wl_key_flags;

typedef struct wl_option {
  const char *key; /* name of the key without the section, for example "learning_rate" */
  wl_option_type type;
  const char *fallback; /* default value as YAML text, or NULL if the key is required */
  /* the choices, such as "sum|mean|{last: N}" with a whole number N, or NULL if the key has no
   * choices */
  const char *choices;
  /* least and largest accepted number; if both are 0, every finite number is accepted */
  double min, max;
  const char *units;    /* "1", "steps", "seconds", ... */
  const char *doc;      /* help text in --help and in the man page */
  wl_slot slot;         /* the struct member in which wl_map_read stores the value */
  unsigned flags;       /* the flags of the key: a sum of values of wl_key_flags */
} wl_option;

/* One variant of a section, such as a task family or a rule. The keys of the section depend on the chosen variant. */
typedef struct wl_variant {
  const char *name, *summary;
  /* the keys, in a table whose last row is {0}, or NULL if there are no keys */
  const wl_option *options;
  /* The functions of the variant, for example a wl_task_family or a wl_rule_ops. The pointer
   * is NULL if the variant has no functions. */
  const void *table;
} wl_variant;
typedef struct wl_plugin_kind wl_plugin_kind; /* describes a kind of plug-in; declared in
                                               * base/plugin_open.h */

/* A top-level key of the configuration. The section with the name "" has the top-level scalars
 * (seed, output). If the section has a `selector` (for example "family" or "name"), the selector's
 * value names a variant. The section then has the keys in `options` and the keys of that variant.
 * The key `plugin` can replace the selector. In this case, the section has the keys in `options`
 * and the keys of the plug-in. If `list` is true, the section may also be a list of maps. */
typedef struct wl_section {
  const char *name, *doc;
  /* the keys, in a table whose last row is {0}, or NULL if there are no keys */
  const wl_option *options;
  const char *selector; /* the key that names the variant, or NULL if the section has no variants */
  const wl_variant *variants;   /* the variants; the last one has the name NULL */
  /* name of the variant for a configuration without this section, or NULL if the section is required */
  const char *fallback_variant;
  bool list;
  unsigned flags; /* flags (wl_key_flags) that apply to every key of the section */
  /* the kind of plug-in that can replace a variant, or NULL if the section accepts no plug-ins */
  const wl_plugin_kind *plugins;
} wl_section;

typedef struct wl_config wl_config; /* a validated configuration with all defaults filled in */
typedef struct wl_map wl_map;       /* one section of a configuration, or one map of a list section */

/* An override is a change of a configuration that a program or the option --set requests. All
 * overrides are applied before the configuration is validated. Only the values of the option --set
 * are parsed as YAML. */
typedef enum wl_override_kind {
  WL_OVERRIDE_LINE, /* `text` is the argument of --set, such as "outer.steps=5" */
  WL_OVERRIDE_TEXT, /* `text` is the value itself, without YAML syntax */
  WL_OVERRIDE_REAL,
  WL_OVERRIDE_INTS,
  WL_OVERRIDE_ABSENT,  /* the override removes a section, key or item */
  /* files are accepted even if their hashes differ from those in the configuration; `path` is
   * unused */
  WL_OVERRIDE_ANY_HASH
} wl_override_kind;
typedef struct wl_override {
  wl_override_kind kind;
  /* Path of the changed value, such as "outer.steps", or "task.0.dimension" in a list of maps. The
   * path is NULL for WL_OVERRIDE_LINE. */
  const char *path;
  const char *text;
  double real;
  wl_ints ints;
} wl_override;

/* Parses YAML text, applies the overrides in their order, and validates the result against
 * `sections`. `source` is the name of the text in messages. The last row of `sections` has the name
 * NULL. `sections` must remain valid until *out is destroyed. The caller owns *out. Not collective. */
wl_status wl_config_parse(const char *text, const char *source, const wl_section *sections,
                          const wl_override *overrides, int n_overrides, wl_config **out);
/* Does the same as wl_config_parse for the text of a file. Returns WL_ERR_NO_INPUT if there is no
 * such file, and WL_ERR_PERMISSION if the user may not read the file. */
wl_status wl_config_read(const char *path, const wl_section *sections, const wl_override *overrides,
                         int n_overrides, wl_config **out);
void wl_config_destroy(wl_config **config);

/* wl_config_count returns the number of maps of a section. The number is above 1 if the user wrote
 * a list of several maps, or if the choices of keys were expanded to several maps. The function
 * wl_config_map returns map i, counted from 0. The configuration owns the map. */
int wl_config_count(const wl_config *config, const char *section);
const wl_map *wl_config_map(const wl_config *config, const char *section, int i);
/* Returns the name of the map's variant, which is the value of the section's selector or the name
 * of the plug-in. Returns "" if the section has no selector. */
const char *wl_map_variant(const wl_map *map);
/* These functions return the function table and the options of the map's variant. The function
 * wl_map_table returns NULL if the variant has no functions. The function wl_map_options returns
 * NULL if the variant has no options. Both functions return NULL for a plug-in that was not loaded. */
const void *wl_map_table(const wl_map *map);
const wl_option *wl_map_options(const wl_map *map);

/* wl_map_combinations returns the number of maps to which the choices ({one_of: [..]}) of this map
 * were expanded. The number is 1 if no key has choices. The function wl_map_repeated returns true if
 * an earlier map of the same expansion has the same values, because a list of choices contains a
 * value more than once. The function wl_map_choices writes the choices of this map to `text`, for
 * example "widths: [32], activation: relu". The function writes at most `size` bytes. The text is
 * "" if no key has choices. */
int wl_map_combinations(const wl_map *map);
bool wl_map_repeated(const wl_map *map);
/* Returns the position of the map in the section as the user wrote it, counted from 0. All maps to
 * which the choices of a map were expanded have the same position. */
int wl_map_entry(const wl_map *map);
void wl_map_choices(const wl_map *map, char *text, size_t size);

/* Stores the value of each row of `table` in the member of `out` that the row's slot names. Other
 * members are unchanged. The last row of `table` has the key NULL. `table` may differ from the
 * table that declares the keys of the map. For each row, the function reads the map's key that has
 * the same name and type as the row. The function skips the row if the map has no such key. */
void wl_map_read(const wl_map *map, const wl_option *table, void *out);

/* Sets an error message that starts with the file, the line and the full key of a value of this
 * map. Returns WL_ERR_CONFIG. A module calls this function for a check that the table of keys
 * cannot express. */
wl_status wl_map_fail(const wl_map *map, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes the resolved configuration as YAML text, which contains every key with its value in the
 * order of the tables. If the text is parsed, the result is the same configuration. *text is
 * malloc'ed and owned by the caller. */
wl_status wl_config_to_yaml(const wl_config *config, char **text);
/* Lists the keys whose values differ between two resolved configurations. Each line has the form
 * "key: value in a | value in b". Keys that have any of the flags in `except` are omitted. *text is
 * malloc'ed, and the caller frees it. */
/* Keys with the flag WL_KEY_HASH are also omitted if the user wrote the hash in configuration b. */
wl_status wl_config_diff(const wl_config *a, const wl_config *b, unsigned except, char **text);

/* Finds the i-th file, counted from 0, whose hash is the value of a key with the flag WL_KEY_HASH.
 * Returns false if the configuration has at most i such files. The configuration owns *file and
 * *hash. */
bool wl_config_hashed_file(const wl_config *config, int i, const char **file, const char **hash);

/* Prints the table of keys for --help. If `roff` is true, prints the table as source of a man
 * page. */
void wl_sections_help(const wl_section *sections, bool roff, FILE *out);
/* Prints text as source of a man page, in which characters with a meaning in roff are escaped. */
void wl_help_roff(const char *text, FILE *out);
/* Prints text in lines that fit in the terminal's width. Each line after the first starts with
 * `indent` blanks. The last line has no newline. */
void wl_help_wrap(const char *text, int indent, FILE *out);
/* Prints the name and the summary of each variant of a section. The option `--list tasks` uses this
 * function. */
void wl_section_list(const wl_section *section, FILE *out);

#endif
