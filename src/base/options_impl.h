/* options_impl.h - declares the trees of nodes and the values of a configuration, and the memory
 * pool that owns the nodes and the values.
 *
 *   YAML text --(options_tree)--> wl_node tree --(options_override)--> edited tree
 *     --(options_validate, options_value)--> wl_config: groups of maps of values
 *
 * The pool owns all memory of a configuration. The function wl_config_destroy frees the pool. */
#ifndef WL_BASE_OPTIONS_IMPL_H
#define WL_BASE_OPTIONS_IMPL_H

#include "base/options.h"

/* WL_SECTION_KEYS is the largest number of keys of a section */
enum { WL_PATH_SIZE = 192, WL_SECTION_KEYS = 128 };

/* ---- pool: allocations that are freed together ---- */

typedef union wl_pool_item wl_pool_item;
typedef struct wl_pool {
  wl_pool_item *last;
} wl_pool; /* zeroed: empty */

wl_status wl_pool_alloc(wl_pool *pool, void **out, size_t count, size_t size);
#define WL_POOL_NEW(pool, pointer, count) \
  wl_pool_alloc((pool), (void **)&(pointer), (size_t)(count), sizeof *(pointer))
/* Copies the first `length` bytes of `text` and adds a terminating zero byte. */
wl_status wl_pool_text(wl_pool *pool, const char *text, size_t length, const char **out);
void wl_pool_clear(wl_pool *pool);

/* ---- trees: the YAML text as the user wrote it ---- */

/* The place in the input at which a value was read. For example, `origin` is "job.yaml" and `line`
 * is 3, or `origin` is "--set outer.steps=5" and `line` is 0. */
typedef struct wl_location {
  const char *origin;
  int line; /* line number, counted from 1, or 0 if the origin has no lines */
} wl_location;

typedef enum wl_node_kind { WL_NODE_SCALAR, WL_NODE_LIST, WL_NODE_MAP } wl_node_kind;

typedef struct wl_node wl_node;
typedef struct wl_entry wl_entry;

struct wl_node {
  wl_node_kind kind;
  wl_location location;
  const char *text;    /* the string of a scalar, or "" for a list or a map */
  bool plain;          /* true: the node is a scalar that was written without quotes */
  /* The string after the '=' of --set. For a key of type WL_OPT_STRING, this string is the value
   * and is not parsed as YAML. The pointer is NULL for a node from a file. */
  const char *given;
  const char *problem; /* error message if the text is not valid YAML, or NULL if the text is valid */
  int count;           /* number of entries of a list or map */
  wl_entry *first;     /* the first entry of a list in the order of the input */
  wl_entry *last;
};

struct wl_entry {
  const char *key; /* "" in lists */
  wl_location location;  /* the place of the key in the input */
  wl_node *node;
  wl_entry *next;
};

/* Parses one YAML document. The time is linear in the length of the text. An empty document results
 * in a null scalar. */
wl_status wl_tree_parse(wl_pool *pool, const char *text, const char *origin, bool lines,
                        wl_node **root);
wl_entry *wl_node_find(const wl_node *map, const char *key);
wl_entry *wl_node_at(const wl_node *list, int index);
/* Appends an entry to a list or map. */
wl_status wl_node_append(wl_pool *pool, wl_node *node, const char *key, wl_location location,
                         wl_node *child);
/* Removes an entry from a list or map. */
void wl_node_remove(wl_node *node, const wl_entry *entry);
/* Returns true if the node is null: the value is empty, ~ or null, without quotes. */
bool wl_node_is_null(const wl_node *node);
/* Describes a node for messages: "a list", "a map", "nothing" or the quoted string. */
const char *wl_node_describe(const wl_node *node, char *buffer, size_t size);
/* Applies one override to the tree. */
wl_status wl_tree_override(wl_pool *pool, wl_node *root, const wl_override *override);

/* ---- the validated configuration ---- */

typedef struct wl_value {
  const wl_option *option;
  /* location of the value, or location of the map if the value is a default */
  wl_location location;
  bool is_list;         /* true for lists, and for a WL_OPT_CHOICE_OR_REALS that contains numbers */
  int64_t integer;      /* the value of an integer key, or the index of a choice */
  int64_t argument; /* the number N if the user wrote the choice as {name: N}, or 0 otherwise */
  double real;
  bool boolean;
  const char *string;
  int count; /* number of elements of the list */
  const int64_t *ints;
  const double *reals;
  const char *const *strings;
  /* true: the value is one of several choices, and this map has one combination of choices */
  bool chosen;
  /* For a hash: true if the configuration contains the hash, and false if the hash was computed
   * from the file. */
  bool given;
  /* kind of distribution. WL_DRAW_FIXED is a plain value, for which the next two members are
   * unused. */
  wl_draw_kind draw;
  /* number of choices. The draws uniform and log_uniform have two choices, which are the bounds
   * low and high. */
  int n_choices;
  struct wl_value *choices; /* [n_choices] */
} wl_value;

struct wl_map {
  const wl_section *section;
  /* index of this map in the section, and number of maps of the section, both before the choices
   * are expanded */
  int index, siblings;
  int combinations; /* number of combinations of the choices in this map */
  bool repeated;    /* true if an earlier combination of the same map has the same values */
  const wl_variant *variant; /* the chosen variant, or NULL if the section has no selector */
  wl_location location;
  int count;
  wl_value *values; /* array of `count` values, in the order of the table, whose first row is the
                     * selector */
};

typedef struct wl_group {
  const wl_section *section;
  int count;
  wl_map *maps; /* array of `count` maps, as the user wrote them */
  int n_drawn;
  wl_map *
      /* Array of `n_drawn` maps, one for each combination of choices. If no key has choices,
       * `drawn` is equal to `maps`. */
      drawn;
} wl_group;

struct wl_config {
  wl_pool pool;
  const wl_section *sections;
  int count;
  wl_group *groups; /* array of `count` groups, one for each section */
  bool any_hash;    /* true: one of the overrides has the kind WL_OVERRIDE_ANY_HASH */
};

/* Validates the tree and sets config->groups. */
wl_status wl_config_validate(wl_config *config, const wl_node *root, const char *source);
/* Converts a node to a value, and checks the type and the range of the value. The caller sets
 * value->option before the call. Error messages contain `path`. */
wl_status wl_value_read(wl_pool *pool, const wl_node *node, const char *path, wl_value *value);
/* Converts the default of value->option to a value. */
wl_status wl_fallback_read(wl_pool *pool, const wl_option *option, const char *path,
                           wl_value *value);
/* wl_node_draw returns the kind of distribution that a node describes. The function wl_draw_word
 * returns the YAML key of a kind, such as "one_of". */
wl_draw_kind wl_node_draw(const wl_node *node);
const char *wl_draw_word(wl_draw_kind kind);
/* Converts a node that is a distribution. The caller sets value->option before the call. */
wl_status wl_draw_read(wl_pool *pool, const wl_node *node, const char *path, wl_value *value);
/* Sets group->drawn to an array with one map for each combination of choices. */
wl_status wl_group_expand(wl_pool *pool, wl_group *group);
/* Returns a value as YAML text. If the value is a list, returns item i as YAML text. The returned
 * text may be in `buffer`. */
const char *wl_value_text(const wl_value *value, int i, char buffer[40]);
/* Returns true if two values of a key are equal. */
bool wl_value_same(const wl_value *a, const wl_value *b);

/* The rows of the options table that declare the keys `plugin` and `plugin_hash`. The last row has
 * the key NULL. */
extern const wl_option wl_plugin_options[];
/* Opens the plug-in that a map names, and sets map->variant to the variant of the plug-in. */
wl_status wl_choose_plugin(wl_config *config, const wl_node *node, wl_map *map);
/* Reads the value of a row with the flag WL_KEY_HASH. If the user gave a hash, the function
 * compares this hash with the hash of the file. If the user gave no hash, the function computes the
 * hash of the file. `file` is the value of the previous row. */
wl_status wl_check_hash(const wl_config *config, wl_pool *pool, const wl_value *file, const char *path,
                        wl_value *value);

/* Writes the full name of a key, such as "outer.steps" or "seed". If a list section has several
 * maps or `with_index` is true, the name contains the index of the map, as in
 * "task.1.dimension". */
const char *wl_map_path(const wl_map *map, const char *key, bool with_index,
                        char path[WL_PATH_SIZE]);

/* Sets the error message "origin:line: key 'path': ..." and returns WL_ERR_CONFIG. */
wl_status wl_location_fail(wl_location location, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Writes the accepted words to `buffer`, such as "(accepted: quadratic, mlp)". If `word` is similar
 * to one of the accepted words, the written string starts with a question such as "; did you mean
 * 'mlp'?". */
void wl_accepted_text(const char *word, const char *const *words, int count, char *buffer,
                      size_t size);
/* Returns the name of a choice, such as "last" for "{last: N}". */
const char *wl_choice_name(const char *choice, char *buffer, size_t size);
/* Copies a string such as "a|b|c" to `storage` and splits the copy into words. `storage` must be
 * large enough for the string. Returns the number of words. */
int wl_choices_split(const char *choices, char *storage, size_t size, const char **words,
                     int capacity);
/* Returns the accepted range of an option as a string such as "at least 1", "from 0 to 1" or
 * "greater than 0". Returns "" if the option accepts every number. */
const char *wl_range_text(const wl_option *option, char *buffer, size_t size);
/* Replaces ~/, $NAME and ${NAME} in a path by the values of environment variables. The pool owns
 * *out. */
wl_status wl_path_expand(wl_pool *pool, const char *text, wl_location location, const char *path,
                         const char **out);
/* Makes a path absolute. A relative path in a configuration file is resolved from the folder of
 * that file. Any other relative path is resolved from the current folder. */
wl_status wl_path_beside(wl_pool *pool, const char *text, wl_location location, const char **out);
/* Returns the shortest decimal number with a decimal point that is read back as x. Returns ".inf"
 * or "-.inf" for an infinity, as in YAML. */
const char *wl_real_text(double x, char buffer[40]);

#endif
