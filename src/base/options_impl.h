/* options_impl.h - node trees, values, and the pool that owns them. Only the files options*.c include this header.
 *
 *   YAML text --(options_tree)--> wl_node tree --(options_override)--> edited tree
 *     --(options_validate, options_value)--> wl_config: groups of maps of values
 *
 * The pool owns all memory of a configuration and is freed with the configuration. */
#ifndef WL_BASE_OPTIONS_IMPL_H
#define WL_BASE_OPTIONS_IMPL_H

#include "base/options.h"

enum { WL_PATH_SIZE = 192, WL_SECTION_KEYS = 128 /* largest number of keys of a section */ };

/* ---- pool: allocations freed together ---- */

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

/* ---- trees: YAML as it was written ---- */

/* Where a text was written: "job.yaml" line 3, or "--set outer.steps=5" line 0. */
typedef struct wl_location {
  const char *origin;
  int line; /* line number, counted from 1; 0: there is no line */
} wl_location;

typedef enum wl_node_kind { WL_NODE_SCALAR, WL_NODE_LIST, WL_NODE_MAP } wl_node_kind;

typedef struct wl_node wl_node;
typedef struct wl_entry wl_entry;

struct wl_node {
  wl_node_kind kind;
  wl_location location;
  const char *text;    /* the text of a scalar; for other nodes "" */
  bool plain;          /* true for a scalar without quotes */
  const char *given;   /* for keys of type text: the text after the '=' of --set; else NULL */
  const char *problem; /* why the text is not valid YAML; NULL: the text is valid */
  int count;           /* number of entries of a list or map */
  wl_entry *first;     /* in the order written */
  wl_entry *last;
};

struct wl_entry {
  const char *key; /* "" in lists */
  wl_location location;  /* where the key was written */
  wl_node *node;
  wl_entry *next;
};

/* Parses one YAML document, in time linear in its length. An empty document is a null scalar. */
wl_status wl_tree_parse(wl_pool *pool, const char *text, const char *origin, bool lines,
                        wl_node **root);
wl_entry *wl_node_find(const wl_node *map, const char *key);
wl_entry *wl_node_at(const wl_node *list, int index);
/* Appends an entry to a list or map. */
wl_status wl_node_append(wl_pool *pool, wl_node *node, const char *key, wl_location location,
                         wl_node *child);
/* Removes an entry from a list or map. */
void wl_node_remove(wl_node *node, const wl_entry *entry);
/* Returns true if the node is a plain null: an empty value, ~ or null. */
bool wl_node_is_null(const wl_node *node);
/* Describes a node for messages: "a list", "a map", "nothing" or the quoted text. */
const char *wl_node_describe(const wl_node *node, char *buffer, size_t size);
/* Applies one override to the tree. */
wl_status wl_tree_override(wl_pool *pool, wl_node *root, const wl_override *override);

/* ---- the validated configuration ---- */

typedef struct wl_value {
  const wl_option *option;
  wl_location location; /* location of the value; for a default, location of the map */
  bool is_list;         /* true for lists, and for a WL_OPT_CHOICE_OR_REALS that contains numbers */
  int64_t integer;      /* an integer, or the index of a choice */
  int64_t argument; /* N of a choice that is written as {name: N} */
  double real;
  bool boolean;
  const char *string;
  int count; /* number of elements of the list */
  const int64_t *ints;
  const double *reals;
  const char *const *strings;
  bool chosen;             /* the value is one of the choices of a draw, in the map of a combination */
  bool given; /* for a hash: true if the configuration gives the hash, false if it was computed */
  wl_draw_kind draw;       /* if not WL_DRAW_FIXED, the next two members are set */
  int n_choices;           /* number of choices; 2 for uniform and log_uniform, whose choices are low and high */
  struct wl_value *choices; /* [n_choices] */
} wl_value;

struct wl_map {
  const wl_section *section;
  int index, siblings;       /* index of this map in its section, and number of maps of the section */
  int combinations;          /* number of combinations of the choices of its draws */
  const wl_variant *variant; /* NULL: the section has no selector */
  wl_location location;
  int count;
  wl_value *values; /* [count] in table order, the selector first */
};

typedef struct wl_group {
  const wl_section *section;
  int count;
  wl_map *maps; /* [count] maps as written */
  int n_drawn;
  wl_map *
      drawn; /* [n_drawn] one for each combination of choices; equal to `maps` if no key is drawn */
} wl_group;

struct wl_config {
  wl_pool pool;
  const wl_section *sections;
  int count;
  wl_group *groups; /* [count], one for each section */
  bool any_hash;    /* WL_OVERRIDE_ANY_HASH */
};

/* Validates the tree and sets config->groups. */
wl_status wl_config_validate(wl_config *config, const wl_node *root, const char *source);
/* Converts a node to a value of the type and range of value->option. The caller sets value->option. Messages name
 * `path`. */
wl_status wl_value_read(wl_pool *pool, const wl_node *node, const char *path, wl_value *value);
/* Converts the default of value->option to a value. */
wl_status wl_fallback_read(wl_pool *pool, const wl_option *option, const char *path,
                           wl_value *value);
/* wl_node_draw returns the kind of distribution that a node describes. wl_draw_word returns the YAML word of a kind. */
wl_draw_kind wl_node_draw(const wl_node *node);
const char *wl_draw_word(wl_draw_kind kind);
/* Converts a node that is a distribution. The caller sets value->option before the call. */
wl_status wl_draw_read(wl_pool *pool, const wl_node *node, const char *path, wl_value *value);
/* Fills group->drawn. */
wl_status wl_group_expand(wl_pool *pool, wl_group *group);
/* Returns the text of a value, or of item i of a list, as YAML that parses to the same value. The text may be in
 * `buffer`. */
const char *wl_value_text(const wl_value *value, int i, char buffer[40]);

/* The rows of the keys `plugin` and `plugin_hash`; ends with key NULL. */
extern const wl_option wl_plugin_options[];
/* Opens the plug-in that a map names and sets map->variant. */
wl_status wl_choose_plugin(wl_config *config, const wl_node *node, wl_map *map);
/* Checks the hash of a WL_KEY_HASH row if the user gave a hash; otherwise computes the hash. `file` is the value of
 * the previous row. */
wl_status wl_check_hash(const wl_config *config, wl_pool *pool, const wl_value *file, const char *path,
                        wl_value *value);

/* Writes "outer.steps", "seed", or "task.1.dimension" if the section has several maps or `with_index` is true. */
const char *wl_map_path(const wl_map *map, const char *key, bool with_index,
                        char path[WL_PATH_SIZE]);

/* Sets the error message "origin:line: key 'path': ..." and returns WL_ERR_CONFIG. */
wl_status wl_location_fail(wl_location location, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Writes "; did you mean 'near'? (accepted: a, b, c)" into buffer. */
void wl_accepted_text(const char *word, const char *const *words, int count, char *buffer,
                      size_t size);
/* Splits "a|b|c" into words that point into `storage`. `storage` must be large enough for the text. Returns the number
 * of words. */
/* Returns the name of a choice, such as "last" for "{last: N}". */
const char *wl_choice_name(const char *choice, char *buffer, size_t size);
int wl_choices_split(const char *choices, char *storage, size_t size, const char **words,
                     int capacity);
/* Returns the accepted range of an option: "", "at least 1", "from 0 to 1", "greater than 0". */
const char *wl_range_text(const wl_option *option, char *buffer, size_t size);
/* Expands ~/, $NAME and ${NAME} in a path. *out is valid as long as the pool. */
wl_status wl_path_expand(wl_pool *pool, const char *text, wl_location location, const char *path,
                         const char **out);
/* Makes a path absolute. A path in a file is relative to the folder of that file. Any other path is relative to the
 * current folder. */
wl_status wl_path_beside(wl_pool *pool, const char *text, wl_location location, const char **out);
/* Returns the shortest decimal text that has a point and is read as x. For infinities, returns .inf of YAML. */
const char *wl_real_text(double x, char buffer[40]);

#endif
