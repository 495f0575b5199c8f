/* test_keys.c - tests the tables of all keys. Each row must name the struct member that receives its value, and the
 * type of this member must fit the type of the key. Two keys of a section must not have the same name. */
#include "cmocka_all.h"

#include <string.h>

#include "train/schema.h"

/* Returns the type of struct member that a key of this type requires. */
static wl_slot_kind slot_of(wl_option_type type) {
  static const wl_slot_kind kinds[] = {[WL_OPT_INT] = WL_SLOT_INT,
                                       [WL_OPT_REAL] = WL_SLOT_REAL,
                                       [WL_OPT_BOOL] = WL_SLOT_BOOL,
                                       [WL_OPT_STRING] = WL_SLOT_STRING,
                                       [WL_OPT_CHOICE] = WL_SLOT_CHOICE,
                                       [WL_OPT_INTS] = WL_SLOT_INTS,
                                       [WL_OPT_REALS] = WL_SLOT_REALS,
                                       [WL_OPT_STRINGS] = WL_SLOT_STRINGS,
                                       [WL_OPT_CHOICE_OR_REALS] = WL_SLOT_CHOICE_OR_REALS};
  return kinds[type];
}

static bool has_key(const wl_option *options, const char *key) {
  for (const wl_option *o = options; o && o->key; o++)
    if (strcmp(o->key, key) == 0) return true;
  return false;
}

static void check_rows(const wl_section *s, const wl_option *options) {
  for (const wl_option *o = options; o && o->key; o++) {
    const wl_slot_kind expected = o->flags & WL_KEY_DRAW ? WL_SLOT_DRAW : slot_of(o->type);
    if (o->slot.kind == WL_SLOT_NONE) fail_msg("%s.%s: no member of the struct receives the value", s->name, o->key);
    if (o->slot.kind != expected)
      fail_msg("%s.%s: the type of the member differs from the type of the key", s->name, o->key);
    if (has_key(o + 1, o->key)) fail_msg("%s.%s is declared twice", s->name, o->key);
    if (!o->doc || !*o->doc) fail_msg("%s.%s is not described", s->name, o->key);
    if ((o->flags & WL_KEY_PATH) && o->type != WL_OPT_STRING)
      fail_msg("%s.%s: only a text can be a path", s->name, o->key);
  }
}

static void every_key_has_a_member_of_its_type(void **state) {
  (void)state;
  for (const wl_section *s = wl_schema(); s->name; s++) {
    check_rows(s, s->options);
    for (const wl_variant *v = s->variants; v && v->name; v++) {
      check_rows(s, v->options);
      for (const wl_option *o = v->options; o && o->key; o++)
        if (has_key(s->options, o->key))
          fail_msg("%s.%s: the variant %s has a key of the same name", s->name, o->key, v->name);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_key_has_a_member_of_its_type)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
