/* glyphs.h - handwritten characters of many alphabets (Omniglot). The characters are read once and shared by all tasks
 * of a process.
 *
 * tools/pack_omniglot.py makes the file, in the format HDF5. Only src/io may use HDF5. Code that links both folders
 * must therefore set the reader with wl_glyphs_set_reader before it creates the first task.
 *
 *   image                  (characters, drawers, rows, columns)   1: ink, 0: paper
 *   alphabet_of_character  (characters)                           index into `background`
 *   background             (alphabets)                            1: of images_background, 0: of images_evaluation
 *
 * Memory: one byte for each pixel; all of Omniglot takes 25 MB at 28 x 28 and 358 MB at 105 x 105.
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

/* A function that reads named arrays of a file. The caller sets name, type and ndim of fields [count]. The reader sets
 * shape and data. The caller frees data with wl_free. */
typedef wl_status (*wl_glyphs_reader)(const char *path, wl_field *fields, int count);
void wl_glyphs_set_reader(wl_glyphs_reader reader);

/* Opens the packed file `path`, or the file of that name in $WARPLOOM_DATA if `path` does not exist. Errors:
 * WL_ERR_NO_INPUT, WL_ERR_DATA. The caller releases *out with wl_glyphs_close. Thread-safe. */
wl_status wl_glyphs_open(const char *path, const wl_glyphs **out);
void wl_glyphs_close(const wl_glyphs **glyphs);

static inline const uint8_t *wl_glyphs_image(const wl_glyphs *g, int64_t character,
                                             int64_t drawer) {
  return g->ink + (character * g->drawers + drawer) * g->pixels;
}

#endif
