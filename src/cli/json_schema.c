/* json_schema.c - converts the table of configuration keys to a JSON Schema, which editors and
 * validators read. */
#include "cli/json_schema.h"

#include <math.h>
#include <string.h>

#include "base/plugin_open.h"

/* a bound with a magnitude above this value counts as no bound */
#define HUGE_BOUND 1e99

static json_t *type_named(const char *name) { return json_pack("{s:s}", "type", name); }

/* Returns the schema of a number with its range. A tiny positive lower bound, such as DBL_MIN,
 * means that the number must be greater than 0. */
static json_t *number(const wl_option *option, const char *type) {
  json_t *o = type_named(type);
  if (option->min == 0 && option->max == 0) return o;
  const bool positive = option->min > 0 && option->min < 1 / HUGE_BOUND;
  if (positive) json_object_set_new(o, "exclusiveMinimum", json_integer(0));
  else if (option->min > -HUGE_BOUND) json_object_set_new(o, "minimum", json_real(option->min));
  if (option->max < HUGE_BOUND) json_object_set_new(o, "maximum", json_real(option->max));
  return o;
}

/* Returns the schema of a list. The schema also accepts a single value, which means a list of one
 * value. */
static json_t *list_of(json_t *item) {
  return json_pack("{s:[O,{s:s,s:o}]}", "anyOf", item, "type", "array", "items", item);
}

/* Returns the schema of a key with choices. The schema accepts the choices that are names, the
 * choices that are written as {name: N} and, for some keys, a list of numbers. */
static json_t *choices(const wl_option *option) {
  char storage[512], *rest = NULL;
  json_t *any = json_array(), *names = json_array();
  snprintf(storage, sizeof storage, "%s", option->choices);
  for (char *word = strtok_r(storage, "|", &rest); word; word = strtok_r(NULL, "|", &rest)) {
    if (word[0] != '{') {
      json_array_append_new(names, json_string(word));
      continue;
    }
    word[strcspn(word, ":")] = '\0';
    json_array_append_new(any, json_pack("{s:s,s:{s:{s:s,s:i}},s:[s],s:b}", "type", "object",
                                         "properties", word + 1, "type", "integer", "minimum", 1,
                                         "required", word + 1, "additionalProperties", 0));
  }
  json_array_insert_new(any, 0, json_pack("{s:o}", "enum", names));
  if (option->type == WL_OPT_CHOICE_OR_REALS)
    json_array_append_new(any, list_of(number(option, "number")));
  return json_pack("{s:o}", "anyOf", any);
}

static json_t *value_schema(const wl_option *option) {
  switch (option->type) {
    case WL_OPT_INT: return number(option, "integer");
    case WL_OPT_REAL: return number(option, "number");
    case WL_OPT_BOOL: return type_named("boolean");
    case WL_OPT_STRING: return type_named("string");
    case WL_OPT_CHOICE:
    case WL_OPT_CHOICE_OR_REALS: return choices(option);
    case WL_OPT_INTS: return list_of(number(option, "integer"));
    case WL_OPT_REALS: return list_of(number(option, "number"));
    case WL_OPT_STRINGS: return list_of(type_named("string"));
  }
  return json_object();
}

/* Returns the default value of a key as JSON: a number, a boolean, a list of numbers, or a
 * string. */
static json_t *default_value(const wl_option *option) {
  json_t *value =
      option->type == WL_OPT_STRING ? NULL : json_loads(option->fallback, JSON_DECODE_ANY, NULL);
  return value ? value : json_string(option->fallback);
}

/* Returns the schema of a map {word: [..]} whose list has `least` to `most` values. If `most` is 0,
 * the length of the list has no upper bound. */
static json_t *draw_of(const char *word, json_t *value, int least, int most) {
  json_t *list = json_pack("{s:s,s:O,s:i}", "type", "array", "items", value, "minItems", least);
  if (most > 0) json_object_set_new(list, "maxItems", json_integer(most));
  return json_pack("{s:s,s:{s:o},s:[s],s:b}", "type", "object", "properties", word, list,
                   "required", word, "additionalProperties", 0);
}

/* Returns a schema that accepts a value. If the flags of the key allow a distribution, the schema
 * also accepts a distribution such as {uniform: [1, 2]}. Takes ownership of `value`. */
static json_t *with_draws(json_t *value, unsigned flags) {
  if (!(flags & WL_KEY_ONE_OF) || flags & WL_KEY_FIXED) return value;
  json_t *any = json_pack("[O,o]", value, draw_of("one_of", value, 1, 0));
  for (int i = 0; flags & WL_KEY_DRAW && i < 2; i++)
    json_array_append_new(any, draw_of(i ? "log_uniform" : "uniform", value, 2, 2));
  json_decref(value);
  return json_pack("{s:o}", "anyOf", any);
}

static json_t *key_schema(const wl_option *option, unsigned section_flags) {
  const unsigned flags = option->flags | section_flags;
  json_t *o = with_draws(value_schema(option), flags);
  if (option->doc) json_object_set_new(o, "description", json_string(option->doc));
  if (option->fallback) json_object_set_new(o, "default", default_value(option));
  if (option->units && strcmp(option->units, "1") != 0)
    json_object_set_new(o, "x-unit", json_string(option->units));
  json_object_set_new(o, "x-identity", json_boolean(!(flags & WL_KEY_FREE)));
  json_object_set_new(o, "x-resume-may-change",
                      json_boolean(flags & (WL_KEY_FREE | WL_KEY_EXTENDS)));
  return o;
}

static void add_keys(const wl_option *options, unsigned flags, json_t *properties,
                     json_t *required) {
  for (const wl_option *o = options; o && o->key; o++) {
    json_object_set_new(properties, o->key, key_schema(o, flags));
    if (!o->fallback) json_array_append_new(required, json_string(o->key));
  }
}

/* Returns the schema of a map with the keys of section `s` and, if `v` is not NULL, the keys of
 * variant `v`. */
static json_t *map_schema(const wl_section *s, const wl_variant *v) {
  json_t *properties = json_object(), *required = json_array();
  if (v) {
    json_object_set_new(properties, s->selector,
                        json_pack("{s:s,s:s}", "const", v->name, "description", v->summary));
    if (!s->fallback_variant || strcmp(s->fallback_variant, v->name) != 0)
      json_array_append_new(required, json_string(s->selector));
  }
  add_keys(s->options, s->flags, properties, required);
  if (v) add_keys(v->options, s->flags, properties, required);
  return json_pack("{s:s,s:o,s:o,s:b}", "type", "object", "properties", properties, "required",
                   required, "additionalProperties", 0);
}

/* Returns the schema of a map that has the key `plugin` instead of the key that selects a variant,
 * such as `family` or `name`. If `p` is NULL, no plug-in is open, and the schema accepts any other
 * keys. */
static json_t *plugin_schema(const wl_section *s, const wl_open_plugin *p) {
  json_t *properties = json_pack("{s:{s:s},s:{s:s}}", "plugin", "type", "string", "plugin_hash", "type", "string");
  json_t *required = json_pack("[s]", "plugin");
  add_keys(s->options, s->flags, properties, required);
  if (p) {
    add_keys(p->variant.options, s->flags, properties, required);
    json_object_set_new(json_object_get(properties, "plugin"), "description", json_string(p->variant.summary));
  }
  return json_pack("{s:s,s:o,s:o,s:b}", "type", "object", "properties", properties, "required", required,
                   "additionalProperties", p == NULL);
}

static void add_plugins(const wl_section *s, json_t *maps) {
  const wl_open_plugin *p = wl_plugin_next(s->plugins, NULL);
  if (!p) json_array_append_new(maps, plugin_schema(s, NULL));
  for (; p; p = wl_plugin_next(s->plugins, p)) json_array_append_new(maps, plugin_schema(s, p));
}

static json_t *section_schema(const wl_section *s) {
  json_t *maps = json_array();
  for (const wl_variant *v = s->variants; v && v->name; v++)
    json_array_append_new(maps, map_schema(s, v));
  if (s->plugins) add_plugins(s, maps);
  if (!s->selector) json_array_append_new(maps, map_schema(s, NULL));
  json_t *map = json_pack("{s:o}", "anyOf", maps), *any = json_pack("[O]", map);
  if (s->list)
    json_array_append_new(any,
                          json_pack("{s:s,s:i,s:O}", "type", "array", "minItems", 1, "items", map));
  json_decref(map);
  if (!s->selector || s->fallback_variant) json_array_append_new(any, type_named("null"));
  return json_pack("{s:s,s:o}", "description", s->doc, "anyOf", any);
}

json_t *wl_json_schema(const wl_section *sections) {
  json_t *properties = json_object(), *required = json_array();
  for (const wl_section *s = sections; s->name; s++) {
    if (s->name[0] == '\0') {
      add_keys(s->options, s->flags, properties, required);
      continue;
    }
    json_object_set_new(properties, s->name, section_schema(s));
    if (s->selector && !s->fallback_variant) json_array_append_new(required, json_string(s->name));
  }
  return json_pack("{s:s,s:s,s:s,s:o,s:o,s:b}", "$schema",
                   "https://json-schema.org/draft/2020-12/schema", "title",
                   "Configuration of a training with Warploom", "type", "object", "properties", properties,
                   "required", required, "additionalProperties", 0);
}
