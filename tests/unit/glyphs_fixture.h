/* glyphs_fixture.h - replaces the packed file of the family omniglot by artificial data, for tests without HDF5. The
 * function that replaces the reader of the file fills the arrays by a formula. All images are different, even after
 * quarter turns. */
#ifndef WL_TEST_GLYPHS_FIXTURE_H
#define WL_TEST_GLYPHS_FIXTURE_H

#include "task/glyphs.h"
#include "task_fixture.h"

enum {
  GLYPH_ALPHABETS = 5,
  GLYPH_CHARACTERS = 26,
  GLYPH_DRAWERS = 6,
  GLYPH_SIDE = 8,
  GLYPH_PIXELS = GLYPH_SIDE * GLYPH_SIDE
};
static const int64_t glyph_alphabet_size[GLYPH_ALPHABETS] = {6, 3, 7, 5, 5};
static const uint8_t glyph_background[GLYPH_ALPHABETS] = {1, 1, 0, 1, 0};

static inline int64_t glyph_alphabet(int64_t character) {
  int64_t a = 0;
  while (character >= glyph_alphabet_size[a]) character -= glyph_alphabet_size[a++];
  return a;
}

static inline uint8_t glyph_pixel(int64_t character, int64_t drawer, int64_t p) {
  uint64_t h = (uint64_t)((character * GLYPH_DRAWERS + drawer) * GLYPH_PIXELS + p) *
               UINT64_C(0x9e3779b97f4a7c15);
  h ^= h >> 29;
  h *= UINT64_C(0xbf58476d1ce4e5b9);
  return (uint8_t)(h >> 40 & 1);
}

/* A test may set this pointer to a function. The function can then change the fields before the task family reads
 * them. */
static void (*glyph_damage)(wl_field *fields);

static inline wl_status read_glyphs(const char *path, wl_field *fields, int count) {
  const int64_t shape[4] = {GLYPH_CHARACTERS, GLYPH_DRAWERS, GLYPH_SIDE, GLYPH_SIDE};
  (void)path;
  assert_int_equal(count, 3);
  memcpy(fields[0].shape, shape, sizeof shape);
  fields[1].shape[0] = GLYPH_CHARACTERS;
  fields[2].shape[0] = GLYPH_ALPHABETS;
  for (int i = 0; i < count; i++)
    WL_TRY(wl_alloc(&fields[i].data, (size_t)wl_field_count(&fields[i]),
                    wl_type_size(fields[i].type)));
  for (int64_t i = 0; i < wl_field_count(&fields[0]); i++)
    ((uint8_t *)fields[0].data)[i] = glyph_pixel(
        i / GLYPH_PIXELS / GLYPH_DRAWERS, i / GLYPH_PIXELS % GLYPH_DRAWERS, i % GLYPH_PIXELS);
  for (int64_t c = 0; c < GLYPH_CHARACTERS; c++) ((int64_t *)fields[1].data)[c] = glyph_alphabet(c);
  memcpy(fields[2].data, glyph_background, sizeof glyph_background);
  if (glyph_damage) glyph_damage(fields);
  return WL_OK;
}

/* Creates an empty file tiny.glyphs in the current folder, and installs the reader function. */
static inline void install_glyphs(void) {
  FILE *file = fopen("tiny.glyphs", "w");
  assert_non_null(file);
  fclose(file);
  wl_glyphs_set_reader(read_glyphs);
}

#endif
