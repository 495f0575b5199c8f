/* options.h - the table of configuration keys, and maps validated against it.
 *
 * Each module states its keys once as a table of wl_option. The table drives YAML
 * validation, --set overrides, --help, the man page and the resolved configuration.
 * Unknown keys, wrong types and impossible values are WL_ERR_CONFIG with a message
 * "file:line: key 'outer.learning_rat': unknown; did you mean 'learning_rate'? ...". */
#ifndef WL_BASE_OPTIONS_H
#define WL_BASE_OPTIONS_H

#include <stdbool.h>
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
  WL_OPT_CHOICE_OR_REALS /* one of `choices`, or a list of reals */
} wl_option_type;

typedef struct wl_option {
  const char *key; /* "learning_rate"; the section prefixes "outer." */
  wl_option_type type;
  const char *fallback; /* default as YAML text; NULL: the key is required */
  const char *choices;  /* "sum|mean|last" for choices, else NULL */
  double min, max;      /* inclusive range of each number; both 0: any */
  const char *units;    /* "1", "steps", "seconds", ... */
  const char *doc;      /* one sentence, shown by --help and the man page */
} wl_option;

/* One member of a section whose keys depend on a choice: a task family, a rule. */
typedef struct wl_variant {
  const char *name, *summary;
  const wl_option *options; /* ends with key NULL; NULL: none */
} wl_variant;

/* A top-level key of the configuration. `name` "" holds top-level scalars (seed, output).
 * With `selector` (e.g. "family", "name") the keys are `options` plus those of the variant
 * that the selector's value names. With `list` the section may also be a sequence of maps. */
typedef struct wl_section {
  const char *name, *doc;
  const wl_option *options;     /* ends with key NULL; NULL: none */
  const char *selector;         /* NULL: plain section */
  const wl_variant *variants;   /* ends with name NULL */
  const char *fallback_variant; /* used when the section is absent; NULL: the section is required */
  bool list;
} wl_section;

typedef struct wl_config wl_config; /* one validated configuration, all defaults filled in */
typedef struct wl_map wl_map;       /* one section of it */

/* Parses YAML text (`source` names it in messages), applies `overrides` ("outer.steps=5",
 * "task.0.dimension=3" for lists), validates against `sections` (ends with name NULL; borrowed
 * for the life of the config). *out is owned by the caller. Not collective. */
wl_status wl_config_parse(const char *text, const char *source, const wl_section *sections,
                          const char *const *overrides, int n_overrides, wl_config **out);
/* The same from a file: WL_ERR_NO_INPUT when missing, WL_ERR_PERMISSION when unreadable. */
wl_status wl_config_read(const char *path, const wl_section *sections, const char *const *overrides,
                         int n_overrides, wl_config **out);
void wl_config_destroy(wl_config **config);

/* Number of maps of a section (1 unless it is a list), and the i-th. Borrowed. */
int wl_config_count(const wl_config *config, const char *section);
const wl_map *wl_config_map(const wl_config *config, const char *section, int i);
/* The value of the section's selector in this map ("" without one). */
const char *wl_map_variant(const wl_map *map);

/* Getters. The key must be in the map's table (a missing one is a programming error, is
 * told on standard error, and yields zero). Lists are borrowed for the config's life. */
int64_t wl_map_int(const wl_map *map, const char *key);
double wl_map_real(const wl_map *map, const char *key);
bool wl_map_bool(const wl_map *map, const char *key);
const char *wl_map_string(const wl_map *map,
                          const char *key); /* STRING, CHOICE; CHOICE_OR_REALS: "" when a list */
const int64_t *wl_map_ints(const wl_map *map, const char *key, int *count);
const double *wl_map_reals(const wl_map *map, const char *key, int *count);
const char *const *wl_map_strings(const wl_map *map, const char *key, int *count);
/* WL_FAIL(WL_ERR_CONFIG) naming file, line and full key of this map's value, for checks that
 * only the module can make. */
wl_status wl_map_fail(const wl_map *map, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The resolved configuration as YAML text, every key with its value, in table order; the same
 * text parses back to the same configuration. malloc'ed, owned by the caller. */
wl_status wl_config_to_yaml(const wl_config *config, char **text);
/* Keys that differ between two resolved configurations, one "key: a | b" a line. malloc'ed. */
wl_status wl_config_diff(const wl_config *a, const wl_config *b, char **text);

/* Prints the table of keys for --help (roff: as man-page source). */
void wl_sections_help(const wl_section *sections, bool roff, FILE *out);
/* Text in a man-page source. */
void wl_help_roff(const char *text, FILE *out);
/* Text broken into lines of a terminal, those after the first indented; no newline at the end. */
void wl_help_wrap(const char *text, int indent, FILE *out);
/* Prints name and summary of each variant of a section: --list tasks. */
void wl_section_list(const wl_section *section, FILE *out);

#endif
