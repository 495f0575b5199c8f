/* glyphs.h - handwritten characters of many alphabets (Omniglot), read once and shared by all tasks of
 * a process.
 *
 * The file is HDF5, made by tools/pack_omniglot.py, and HDF5 belongs to another layer: whoever links both
 * hands the reader over with wl_glyphs_set_reader before the first task is created.
 *
 *   image                  (characters, drawers, rows, columns)   1: ink, 0: paper
 *   alphabet_of_character  (characters)                           index into `background`
 *   background             (alphabets)                            1: of images_background, 0: of images_evaluation
 *
 * Memory: a byte for each pixel, 25 MB for all of Omniglot at 28 x 28 and 358 MB at 105 x 105.
 * Lake, Salakhutdinov and Tenenbaum, Science 350, 2015. */
#ifndef WL_TASK_GLYPHS_H
#define WL_TASK_GLYPHS_H

#include "base/field.h"

typedef struct wl_glyphs {
  int64_t characters, drawers, rows, columns, alphabets;
  int64_t pixels;      /* rows * columns */
  uint8_t *ink;        /* [characters][drawers][rows][columns] */
  int64_t *alphabet;   /* [characters] */
  uint8_t *background; /* [alphabets] */
} wl_glyphs;

/* Reads named arrays of a file: sets shape and data (for wl_free) of fields [count], whose name, type and
 * ndim are given. */
typedef wl_status (*wl_glyphs_reader)(const char *path, wl_field *fields, int count);
void wl_glyphs_set_reader(wl_glyphs_reader reader);

/* Opens a packed file: the path, or else a file of that name in $WARPLOOM_DATA. WL_ERR_NO_INPUT,
 * WL_ERR_DATA. Given back with close. Thread-safe. */
wl_status wl_glyphs_open(const char *path, const wl_glyphs **out);
void wl_glyphs_close(const wl_glyphs **glyphs);

static inline const uint8_t *wl_glyphs_image(const wl_glyphs *g, int64_t character,
                                             int64_t drawer) {
  return g->ink + (character * g->drawers + drawer) * g->pixels;
}

#endif
