/* glyphs.h - provides handwritten characters of many alphabets (Omniglot). The characters are read
 * once, and all tasks of a process share them.
 *
 * tools/pack_omniglot.py writes the characters to an HDF5 file. Only src/io may call HDF5, so
 * src/task receives the function that reads the file. The program passes the reading function to
 * wl_glyphs_set_reader before it creates the first task.
 *
 * - The dataset `image` (characters, drawers, rows, columns) has the value 1 for ink and 0 for paper.
 * - The dataset `alphabet_of_character` (characters) has the index of each character's alphabet.
 * - The dataset `background` (alphabets) is 1 for an alphabet of images_background, and 0 for an alphabet of
 *   images_evaluation.
 *
 * A pixel occupies one byte of memory. All of Omniglot occupies 25 MB at 28 x 28 pixels and 358 MB
 * at 105 x 105 pixels. The data set is described in Lake, Salakhutdinov and Tenenbaum, Science
 * 350, 2015. */
#ifndef WL_TASK_GLYPHS_H
#define WL_TASK_GLYPHS_H

#include "base/field.h"

typedef struct wl_glyphs {
  int64_t characters, drawers, rows, columns, alphabets;
  int64_t pixels;      /* rows * columns */
  uint8_t *ink; /* images [characters][drawers][rows][columns], in which 1 is ink and 0 is paper */
  int64_t *alphabet;   /* [characters] */
  uint8_t *background; /* [alphabets] */
} wl_glyphs;

/* A function that reads named arrays of a file. The caller sets `name`, `type` and `ndim` of each
 * field. The function sets `shape` and `data`. The caller frees `data` with wl_free. */
typedef wl_status (*wl_glyphs_reader)(const char *path, wl_field *fields, int count);
void wl_glyphs_set_reader(wl_glyphs_reader reader);

/* Opens the file `path`. If this file does not exist, opens the file `path` in the folder
 * $WARPLOOM_DATA. Errors: WL_ERR_NO_INPUT, WL_ERR_DATA. The caller releases *out with
 * wl_glyphs_close. Thread-safe. */
wl_status wl_glyphs_open(const char *path, const wl_glyphs **out);
void wl_glyphs_close(const wl_glyphs **glyphs);

static inline const uint8_t *wl_glyphs_image(const wl_glyphs *g, int64_t character,
                                             int64_t drawer) {
  return g->ink + (character * g->drawers + drawer) * g->pixels;
}

#endif
