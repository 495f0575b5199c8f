/* glyphs.c - finds, checks and shares a file of handwritten characters. The header glyphs.h
 * describes the format of the file of characters. */
#include "task/glyphs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task/shared.h"

enum { PATH_SIZE = 4096, IMAGE = 0, ALPHABET, BACKGROUND, ARRAYS };

/* the function that reads the file of characters; this pointer is set once, before the first task
 * is created */
static wl_glyphs_reader reader;

void wl_glyphs_set_reader(wl_glyphs_reader with) { reader = with; }

static void free_glyphs(void *object) {
  wl_glyphs *g = object;
  wl_free(g->ink);
  wl_free(g->alphabet);
  wl_free(g->background);
  wl_free(g);
}

static void adopt(wl_glyphs *g, const wl_field fields[ARRAYS]) {
  const int64_t *shape = fields[IMAGE].shape;
  g->characters = shape[0];
  g->drawers = shape[1];
  g->rows = shape[2];
  g->columns = shape[3];
  g->pixels = shape[2] * shape[3];
  g->alphabets = fields[BACKGROUND].shape[0];
  g->ink = fields[IMAGE].data;
  g->alphabet = fields[ALPHABET].data;
  g->background = fields[BACKGROUND].data;
}

/* Checks the indices and the pixels in the file, because later code uses them without a check. */
static wl_status check(const char *path, const wl_glyphs *g, int64_t listed) {
  if (listed != g->characters)
    return WL_FAIL(
        WL_ERR_DATA,
        "%s: alphabet_of_character has %lld entries for %lld characters; pack the file again with "
        "tools/pack_omniglot.py", path,
        (long long)listed, (long long)g->characters);
  for (int64_t c = 0; c < g->characters; c++)
    if (g->alphabet[c] < 0 || g->alphabet[c] >= g->alphabets)
      return WL_FAIL(
          WL_ERR_DATA,
          "%s: character %lld has the alphabet %lld, expected 0 to %lld; pack the file again with "
          "tools/pack_omniglot.py", path,
          (long long)c, (long long)g->alphabet[c], (long long)g->alphabets - 1);
  const int64_t all = g->characters * g->drawers * g->pixels;
  for (int64_t p = 0; p < all; p++)
    if (g->ink[p] > 1)
      return WL_FAIL(
          WL_ERR_DATA,
          "%s: pixel %lld of 'image' is %d, expected 0 (paper) or 1 (ink); pack the file again "
          "with tools/pack_omniglot.py",
          path, (long long)p, g->ink[p]);
  return WL_OK;
}

static wl_status make_glyphs(const void *request, void **object) {
  const char *path = request;
  wl_glyphs *g = NULL;
  wl_field fields[ARRAYS] = {{.name = "image", .type = WL_UINT8, .ndim = 4},
                             {.name = "alphabet_of_character", .type = WL_INT64, .ndim = 1},
                             {.name = "background", .type = WL_UINT8, .ndim = 1}};
  WL_CHECK(reader != NULL);
  WL_TRY(WL_NEW(g, 1));
  *object = g;
  WL_TRY(reader(path, fields, ARRAYS));
  adopt(g, fields);
  return check(path, g, fields[ALPHABET].shape[0]);
}

static const wl_shared_kind kind = {"glyphs", make_glyphs, free_glyphs};

static bool locate(const char *path, char found[PATH_SIZE]) {
  const char *base = getenv("WARPLOOM_DATA");
  snprintf(found, PATH_SIZE, "%s", path);
  if (access(found, F_OK) == 0) return true;
  if (!base || !*base || *path == '/') return false;
  snprintf(found, PATH_SIZE, "%s/%s", base, path);
  return access(found, F_OK) == 0;
}

wl_status wl_glyphs_open(const char *path, const wl_glyphs **out) {
  char found[PATH_SIZE];
  const void *object;
  if (!locate(path, found))
    return WL_FAIL(
        WL_ERR_NO_INPUT,
        "task.file: the file '%s' exists neither here nor in the folder that WARPLOOM_DATA names; "
        "make it from Omniglot's archives with tools/pack_omniglot.py",
        path);
  WL_TRY(wl_shared_open(&kind, found, found, &object));
  *out = object;
  return WL_OK;
}

void wl_glyphs_close(const wl_glyphs **glyphs) {
  if (!glyphs || !*glyphs) return;
  wl_shared_close(*glyphs);
  *glyphs = NULL;
}
