/* field.h - a list of state arrays. The code that saves, loads and digests the state uses the same list. */
#ifndef WL_BASE_FIELD_H
#define WL_BASE_FIELD_H

#include <stdbool.h>

#include "base/layout.h"

typedef enum wl_type { WL_FLOAT32, WL_FLOAT64, WL_INT64, WL_UINT64, WL_UINT8 } wl_type;
#ifdef WL_DOUBLE
#define WL_REAL_TYPE WL_FLOAT64
#else
#define WL_REAL_TYPE WL_FLOAT32
#endif

/* One named array in memory. A name is a path, for example "outer/first_moment"; src/io makes an HDF5 group for each
 * folder of the path. `data` is borrowed. */
typedef struct wl_field {
  char name[128];
  wl_type type;
  int ndim;
  int64_t shape[WL_MAX_DIMS];
  void *data;
  bool in_digest;             /* part of the meta-state digest */
  bool half;                  /* floats are stored as IEEE binary16 */
  char units[32];             /* "1" when dimensionless */
  char long_name[160];        /* one phrase, stored with the data */
  char dims[WL_MAX_DIMS][32]; /* names of the dimensions, for dimension scales */
} wl_field;

size_t wl_type_size(wl_type type);
const char *wl_type_name(wl_type type); /* "float32" ... */
int64_t wl_field_count(const wl_field *field); /* Returns the number of elements. */

#endif
