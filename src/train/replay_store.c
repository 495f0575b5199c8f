/* replay_store.c - stores points with the configured precision, in memory or in a scratch file. The interface is in
 * replay_store.h. */
#include "train/replay_store.h"

#include <math.h>
#include <string.h>

#include "train/spill.h"

__extension__ typedef _Float16 half;

typedef enum precision { PRECISION_WORKING, PRECISION_SINGLE, PRECISION_HALF } precision;

struct wl_replay_store {
  wl_replay_shape shape;
  precision precision;
  size_t element, point_bytes;
  int64_t in_memory;      /* number of points of each place that are stored in memory */
  /* folder in which the scratch file is created, borrowed from the configuration */
  const char *folder;
  wl_spill *spill;        /* scratch file, which is created when this rank first owns a place */
  bool *owned;            /* [places] */
  /* [places] for each place, the array [in_memory][point_bytes] with the points that are stored in
   * memory; NULL if another rank owns the place */
  unsigned char **memory;
  unsigned char *row;     /* [point_bytes] buffer for one point of the scratch file */
};

static const double MIB = 1048576.0;

/* ---- Creation -------------------------------------------------------------------------------- */

static size_t element_size(precision p) {
  return p == PRECISION_HALF     ? sizeof(half)
         : p == PRECISION_SINGLE ? sizeof(float)
                                 : sizeof(wl_real);
}

static void read_options(const wl_replay_keys *keys, wl_replay_store *s) {
  /* the conversion is valid because the enumerators and the choices of the key have the same
   * order */
  s->precision = (precision)keys->precision;
  s->element = element_size(s->precision);
  s->point_bytes = (size_t)s->shape.width * s->element;
  s->folder = keys->spill;
}

/* Computes how many points of each place are stored in memory. All points that are not stored in
 * memory are stored in the scratch file. */
static wl_status fit(const wl_replay_keys *keys, wl_replay_store *s) {
  const wl_map *map = s->shape.map;
  const double layer = (double)s->shape.places * (double)s->point_bytes,
               budget = keys->capacity * MIB;
  const double fitting = floor(budget / layer);
  s->in_memory = fitting < (double)s->shape.points ? (int64_t)fitting : s->shape.points;
  if (s->in_memory == s->shape.points || *s->folder) return WL_OK;
  if (fitting < 1)
    return wl_map_fail(
        map, "capacity",
        "the capacity is too small for one point of each unit; raise it to at least %.3f MiB, or set "
        "replay.spill to a folder on disk",
        layer / MIB);
  return wl_map_fail(
      map, "capacity",
      "the buffer needs %.1f MiB; raise the capacity, set replay.stride to at least %.0f, or set replay.spill "
      "to a folder on disk",
      ceil(layer * (double)s->shape.points / (0.1 * MIB)) / 10.0,
      ceil((double)s->shape.horizon / fitting));
}

wl_status wl_replay_store_create(const wl_replay_keys *keys, const wl_replay_shape *shape,
                                 wl_replay_store **out) {
  wl_replay_store *s = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(s, 1));
  s->shape = *shape;
  read_options(keys, s);
  wl_status status = fit(keys, s);
  if (status == WL_OK) status = WL_NEW(s->owned, shape->places);
  if (status == WL_OK) status = WL_NEW(s->memory, shape->places);
  if (status == WL_OK) status = WL_NEW(s->row, s->point_bytes);
  if (status != WL_OK) wl_replay_store_destroy(&s);
  *out = s;
  return status;
}

void wl_replay_store_destroy(wl_replay_store **store) {
  wl_replay_store *s = *store;
  if (!s) return;
  for (int64_t p = 0; s->memory && p < s->shape.places; p++) wl_free(s->memory[p]);
  wl_free(s->memory);
  wl_free(s->owned);
  wl_free(s->row);
  wl_spill_close(&s->spill);
  wl_free(s);
  *store = NULL;
}

/* ---- Places ---------------------------------------------------------------------------------- */

static wl_status open_spill(wl_replay_store *s) {
  const int64_t beyond = s->shape.points - s->in_memory;
  if (beyond == 0 || s->spill) return WL_OK;
  return wl_spill_open(s->folder, s->shape.places * beyond, s->point_bytes, &s->spill);
}

wl_status wl_replay_store_own(wl_replay_store *s, int64_t place, bool mine) {
  s->owned[place] = mine;
  if (mine) WL_TRY(open_spill(s));
  if (mine && !s->memory[place] && s->in_memory > 0)
    return wl_alloc((void **)&s->memory[place], (size_t)s->in_memory, s->point_bytes);
  if (mine) return WL_OK;
  wl_free(s->memory[place]);
  s->memory[place] = NULL;
  return WL_OK;
}

bool wl_replay_store_owns(const wl_replay_store *s, int64_t place) { return s->owned[place]; }

double wl_replay_store_bytes(const wl_replay_store *s, int64_t places) {
  return (double)places * (double)s->in_memory * (double)s->point_bytes;
}

/* ---- Points ---------------------------------------------------------------------------------- */

static void pack(const wl_replay_store *s, unsigned char *at, int64_t first, int64_t n,
                 const wl_real *x) {
  switch (s->precision) {
    case PRECISION_WORKING: memcpy((wl_real *)(void *)at + first, x, (size_t)n * sizeof *x); break;
    case PRECISION_SINGLE:
      for (int64_t i = 0; i < n; i++) ((float *)(void *)at)[first + i] = (float)x[i];
      break;
    case PRECISION_HALF:
      for (int64_t i = 0; i < n; i++) ((half *)(void *)at)[first + i] = (half)x[i];
      break;
  }
}

static void unpack(const wl_replay_store *s, const unsigned char *at, int64_t first, int64_t n,
                   wl_real *x) {
  switch (s->precision) {
    case PRECISION_WORKING:
      memcpy(x, (const wl_real *)(const void *)at + first, (size_t)n * sizeof *x);
      break;
    case PRECISION_SINGLE:
      for (int64_t i = 0; i < n; i++) x[i] = (wl_real)((const float *)(const void *)at)[first + i];
      break;
    case PRECISION_HALF:
      for (int64_t i = 0; i < n; i++) x[i] = (wl_real)((const half *)(const void *)at)[first + i];
      break;
  }
}

/* Returns the address of a point in memory. If the point is in the scratch file, returns NULL and
 * sets *row to the number of the row that contains the point. */
static unsigned char *locate(const wl_replay_store *s, int64_t place, int64_t point, int64_t *row) {
  if (point < s->in_memory) return s->memory[place] + (size_t)point * s->point_bytes;
  *row = place * (s->shape.points - s->in_memory) + point - s->in_memory;
  return NULL;
}

wl_status wl_replay_store_put(wl_replay_store *s, int64_t place, int64_t point,
                              const wl_real *theta, const wl_real *state) {
  int64_t row = 0;
  unsigned char *const at = locate(s, place, point, &row), *const to = at ? at : s->row;
  pack(s, to, 0, s->shape.n, theta);
  pack(s, to, s->shape.n, s->shape.width - s->shape.n, state);
  return at ? WL_OK : wl_spill_write(s->spill, row, s->row);
}

wl_status wl_replay_store_get(wl_replay_store *s, int64_t place, int64_t point, wl_real *theta,
                              wl_real *state) {
  int64_t row = 0;
  const unsigned char *const at = locate(s, place, point, &row);
  if (!at) WL_TRY(wl_spill_read(s->spill, row, s->row));
  unpack(s, at ? at : s->row, 0, s->shape.n, theta);
  unpack(s, at ? at : s->row, s->shape.n, s->shape.width - s->shape.n, state);
  return WL_OK;
}
