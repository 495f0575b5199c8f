/* field.h - declares wl_field, which describes one array of the training state. The functions that save, load and hash
 * the state all use the same list of fields. */
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

/* Describes one named array in memory. A name is a path such as "outer/first_moment". In a file,
 * "outer" is an HDF5 group, and "first_moment" is a dataset of this group. The structure does not
 * own `data`. */
typedef struct wl_field {
  char name[128];
  wl_type type;
  int ndim;
  int64_t shape[WL_MAX_DIMS];
  void *data;
  bool in_digest;             /* true: the digest of the meta-state includes this array */
  bool half;                  /* true: files store the numbers with 16 bits (IEEE binary16) */
  char units[32];             /* physical unit of the numbers, or "1" for dimensionless numbers */
  char long_name[160];        /* description of the array, stored in the file as an attribute */
  char dims[WL_MAX_DIMS][32]; /* names of the array's dimensions, stored as HDF5 dimension scales */
} wl_field;

size_t wl_type_size(wl_type type);
const char *wl_type_name(wl_type type); /* "float32" ... */
int64_t wl_field_count(const wl_field *field); /* Returns the number of elements of the array. */

#endif
