/* options_print.c - writes the resolved configuration as YAML, and the differences between two configurations. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/options_impl.h"

/* ---- YAML text: each function returns 1, or 0 if memory is exhausted ---- */

/* Returns true if every YAML reader reads `text` without quotes as the same string. */
static bool is_plain_word(const char *text) {
  static const char *const reserved[] = {"true", "false", "yes", "no", "on",
                                         "off",  "null",  "y",   "n"};
  for (size_t i = 0; i < sizeof reserved / sizeof *reserved; ++i)
    if (strcasecmp(text, reserved[i]) == 0) return false;
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/";
  static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
  return text[0] && strchr(letters, text[0]) && text[strspn(text, rest)] == '\0';
}

static int emit_text(yaml_emitter_t *emitter, const char *text, bool quoted) {
  yaml_event_t event;
  return yaml_scalar_event_initialize(
             &event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), !quoted, quoted,
             quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE) &&
         yaml_emitter_emit(emitter, &event);
}

static int emit_map_start(yaml_emitter_t *emitter) {
  yaml_event_t event;
  return yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE) &&
         yaml_emitter_emit(emitter, &event);
}

static int emit_map_end(yaml_emitter_t *emitter) {
  yaml_event_t event;
  return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static int emit_list_start(yaml_emitter_t *emitter, bool flow) {
  yaml_event_t event;
  return yaml_sequence_start_event_initialize(
             &event, NULL, NULL, 1, flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE) &&
         yaml_emitter_emit(emitter, &event);
}

static int emit_list_end(yaml_emitter_t *emitter) {
  yaml_event_t event;
  return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static bool holds_text(const wl_value *value) {
  if (value->is_list) return value->strings != NULL;
  return value->option->type != WL_OPT_INT && value->option->type != WL_OPT_REAL &&
         value->option->type != WL_OPT_BOOL;
}

static int emit_flow_map_start(yaml_emitter_t *emitter) {
  yaml_event_t event;
  return yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_FLOW_MAPPING_STYLE) &&
         yaml_emitter_emit(emitter, &event);
}

/* Writes a choice with a number, such as "{last: 6}", as a map. */
static int emit_counted(yaml_emitter_t *emitter, const char *text) {
  char name[40];
  wl_choice_name(text, name, sizeof name);
  /* length of the name plus three characters: the opening brace, the colon and the blank */
  const size_t before = strlen(name) + 3;
  char number[40];
  snprintf(number, sizeof number, "%.*s", (int)(strlen(text) - before - 1), text + before);
  return emit_flow_map_start(emitter) && emit_text(emitter, name, false) &&
         emit_text(emitter, number, false) && emit_map_end(emitter);
}

static int emit_value(yaml_emitter_t *emitter, const wl_value *value);

/* Writes a distribution, such as {one_of: [..]}. */
static int emit_draw(yaml_emitter_t *emitter, const wl_value *value) {
  int ok = emit_flow_map_start(emitter) && emit_text(emitter, wl_draw_word(value->draw), false) &&
           emit_list_start(emitter, true);
  for (int i = 0; ok && i < value->n_choices; ++i) ok = emit_value(emitter, &value->choices[i]);
  return ok && emit_list_end(emitter) && emit_map_end(emitter);
}

static int emit_value(yaml_emitter_t *emitter, const wl_value *value) {
  char buffer[40];
  if (value->draw != WL_DRAW_FIXED) return emit_draw(emitter, value);
  int ok = 1;
  if (ok && value->is_list) ok = emit_list_start(emitter, true);
  for (int i = 0; ok && i < (value->is_list ? value->count : 1); ++i) {
    const char *const text = wl_value_text(value, i, buffer);
    ok = value->argument > 0 ? emit_counted(emitter, text)
                             : emit_text(emitter, text, holds_text(value) && !is_plain_word(text));
  }
  if (ok && value->is_list) ok = emit_list_end(emitter);
  return ok;
}

static int emit_values(yaml_emitter_t *emitter, const wl_map *map) {
  int ok = 1;
  for (int i = 0; ok && i < map->count; ++i)
    ok = emit_text(emitter, map->values[i].option->key, false) &&
         emit_value(emitter, &map->values[i]);
  return ok;
}

/* Writes a section. A section with one map is written as a map, even if the section may be a
 * list. */
static int emit_group(yaml_emitter_t *emitter, const wl_group *group) {
  if (group->section->name[0] == '\0') return emit_values(emitter, &group->maps[0]);
  int ok = emit_text(emitter, group->section->name, false);
  if (ok && group->count > 1) ok = emit_list_start(emitter, false);
  for (int i = 0; ok && i < group->count; ++i)
    ok = emit_map_start(emitter) && emit_values(emitter, &group->maps[i]) && emit_map_end(emitter);
  if (ok && group->count > 1) ok = emit_list_end(emitter);
  return ok;
}

static int emit_config(yaml_emitter_t *emitter, const wl_config *config) {
  yaml_event_t event;
  int ok = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
           yaml_emitter_emit(emitter, &event);
  ok = ok && yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
       yaml_emitter_emit(emitter, &event);
  ok = ok && emit_map_start(emitter);
  for (int i = 0; ok && i < config->count; ++i) ok = emit_group(emitter, &config->groups[i]);
  ok = ok && emit_map_end(emitter);
  ok = ok && yaml_document_end_event_initialize(&event, 1) && yaml_emitter_emit(emitter, &event);
  return ok && yaml_stream_end_event_initialize(&event) && yaml_emitter_emit(emitter, &event);
}

static int write_to_stream(void *stream, unsigned char *data, size_t size) {
  return fwrite(data, 1, size, (FILE *)stream) == size;
}

/* Writes the YAML to an open stream. */
static int write_yaml(const wl_config *config, FILE *stream) {
  yaml_emitter_t emitter;
  if (!yaml_emitter_initialize(&emitter)) return 0;
  yaml_emitter_set_output(&emitter, write_to_stream, stream);
  yaml_emitter_set_unicode(&emitter, 1);
  yaml_emitter_set_width(&emitter, -1);
  const int ok = emit_config(&emitter, config);
  yaml_emitter_delete(&emitter);
  return ok;
}

wl_status wl_config_to_yaml(const wl_config *config, char **text) {
  *text = NULL;
  size_t size = 0;
  FILE *const stream = open_memstream(text, &size);
  if (!stream) return WL_FAIL(WL_ERR_OS, "out of memory: cannot print the configuration");
  const int ok = write_yaml(config, stream);
  if (fclose(stream) == 0 && ok) return WL_OK;
  free(*text);
  *text = NULL;
  return WL_FAIL(WL_ERR_OS, "out of memory: cannot print the configuration");
}

/* ---- differences ---- */

static void print_value(const wl_value *value, FILE *out) {
  char buffer[40];
  if (value->draw != WL_DRAW_FIXED) {
    fprintf(out, "{%s: [", wl_draw_word(value->draw));
    for (int i = 0; i < value->n_choices; ++i) {
      fputs(i > 0 ? ", " : "", out);
      print_value(&value->choices[i], out);
    }
    fputs("]}", out);
    return;
  }
  if (!value->is_list) {
    fputs(wl_value_text(value, 0, buffer), out);
    return;
  }
  for (int i = 0; i < value->count; ++i)
    fprintf(out, "%s%s", i == 0 ? "[" : ", ", wl_value_text(value, i, buffer));
  fputs(value->count == 0 ? "[]" : "]", out);
}

void wl_map_choices(const wl_map *map, char *text, size_t size) {
  FILE *const out = fmemopen(text, size, "w");
  text[0] = '\0';
  if (!out) return;
  const char *separator = "";
  for (int i = 0; i < map->count; ++i) {
    if (!map->values[i].chosen) continue;
    fprintf(out, "%s%s: ", separator, map->values[i].option->key);
    print_value(&map->values[i], out);
    separator = ", ";
  }
  fclose(out);
  text[size - 1] = '\0';
}

/* Returns the flags of a key combined with the flags of its section. */
static unsigned flags_of(const wl_map *map, const wl_value *value) {
  return map->section->flags | value->option->flags;
}

bool wl_value_same(const wl_value *a, const wl_value *b) {
  if (a->draw != b->draw || a->n_choices != b->n_choices) return false;
  for (int i = 0; i < a->n_choices; ++i)
    if (!wl_value_same(&a->choices[i], &b->choices[i])) return false;
  if (a->draw != WL_DRAW_FIXED) return true;
  const int count_a = a->is_list ? a->count : 1, count_b = b->is_list ? b->count : 1;
  if (a->is_list != b->is_list || count_a != count_b) return false;
  char text_a[40], text_b[40];
  for (int i = 0; i < count_a; ++i)
    if (strcmp(wl_value_text(a, i, text_a), wl_value_text(b, i, text_b)) != 0) return false;
  return true;
}

static const wl_value *find_key(const wl_map *map, const char *key) {
  for (int i = 0; map && i < map->count; ++i)
    if (strcmp(map->values[i].option->key, key) == 0) return &map->values[i];
  return NULL;
}

/* The settings of a comparison of two configurations, and the stream that receives the differences. */
typedef struct diff {
  unsigned except;   /* flags (wl_key_flags): a key with any of these flags is omitted */
  bool only_missing; /* true: only keys that the other configuration does not have are printed */
  FILE *out;
} diff;

/* Prints a line for each key of `map` whose value in `other` is different or missing. `other` is
 * NULL if the other configuration has no such map. If `only_missing` is true, `map` belongs to
 * configuration b, and only keys that are missing in configuration a are printed. */
static void diff_map(const wl_map *map, const wl_map *other, const diff *d, bool with_index) {
  for (int i = 0; i < map->count; ++i) {
    const wl_value *const value = &map->values[i];
    const wl_value *const theirs = find_key(other, value->option->key);
    if (flags_of(map, value) & d->except) continue;
    if (value->option->flags & WL_KEY_HASH && theirs && theirs->given) continue;
    if (theirs && (d->only_missing || wl_value_same(value, theirs))) continue;
    char path[WL_PATH_SIZE];
    fprintf(d->out, "%s: ", wl_map_path(map, value->option->key, with_index, path));
    if (d->only_missing) fputs("(absent) | ", d->out);
    print_value(value, d->out);
    if (!d->only_missing) fputs(" | ", d->out);
    if (theirs) print_value(theirs, d->out);
    else if (!d->only_missing) fputs("(absent)", d->out);
    fputc('\n', d->out);
  }
}

static const wl_group *same_group(const wl_config *config, const wl_section *section) {
  for (int i = 0; config && i < config->count; ++i)
    if (strcmp(config->groups[i].section->name, section->name) == 0) return &config->groups[i];
  return NULL;
}

static void diff_groups(const wl_config *a, const wl_config *b, const diff *d) {
  for (int g = 0; g < a->count; ++g) {
    const wl_group *const group = &a->groups[g];
    const wl_group *const other = same_group(b, group->section);
    const int others = other ? other->count : 0;
    const bool with_index = group->count > 1 || others > 1;
    for (int i = 0; i < group->count; ++i)
      diff_map(&group->maps[i], i < others ? &other->maps[i] : NULL, d, with_index);
  }
}

wl_status wl_config_diff(const wl_config *a, const wl_config *b, unsigned except, char **text) {
  *text = NULL;
  size_t size = 0;
  FILE *const stream = open_memstream(text, &size);
  if (!stream) return WL_FAIL(WL_ERR_OS, "out of memory: cannot compare two configurations");
  diff_groups(a, b, &(diff){.except = except, .out = stream});
  diff_groups(b, a, &(diff){.except = except, .only_missing = true, .out = stream});
  if (fclose(stream) == 0) return WL_OK;
  free(*text);
  *text = NULL;
  return WL_FAIL(WL_ERR_OS, "out of memory: cannot compare two configurations");
}
