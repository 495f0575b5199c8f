/* file_impl.h - inside the files: stored items with their layout, and open files. */
#ifndef WL_IO_FILE_IMPL_H
#define WL_IO_FILE_IMPL_H

#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "io/h5_support.h"
#include "io/seal.h"

struct wl_file {
  hid_t id;
  char path[WL_PATH_MAX];
};

/* Rows of a virtual dataset that lie in another file. `shape` is that of the source; where it is
 * smaller than the virtual one beyond the first dimension, the rest reads as the fill value. */
typedef struct wl_source {
  const char *file; /* relative to the virtual file's folder, borrowed */
  int64_t at;       /* first row in the virtual dataset */
  int64_t shape[WL_MAX_DIMS];
} wl_source;

/* A field and how it is stored. */
typedef struct wl_item {
  wl_field field;           /* data NULL for a virtual dataset */
  bool half;                /* floats as IEEE binary16 */
  int compression;          /* deflate level with shuffle; 0: contiguous */
  const wl_source *sources; /* [n_sources] of a virtual dataset, borrowed */
  int n_sources;
} wl_item;

/* Work that uses no HDF5, done while a file is written; what comes of it concerns the caller alone. */
typedef struct wl_beside {
  wl_status (*work)(void *data);
  void *data;
  bool done; /* with WL_OK */
} wl_beside;

/* As wl_file_write, with the layout of each item, and `beside` (NULL: nothing) done before it returns unless it
 * fails. */
wl_status wl_items_write(const char *path, const char *kind, const wl_item *items, int n_items,
                         const wl_attribute *attributes, int n_attributes, wl_beside *beside);
wl_status wl_fields_write(const char *path, const char *kind, const wl_field *fields, int n_fields,
                          const wl_attribute *attributes, int n_attributes, wl_beside *beside);
/* As wl_file_query, and whether floats are stored in half precision; units, long_name and the names of
 * the dimensions too. */
wl_status wl_file_query_stored(const wl_file *file, const char *name, wl_field *field, bool *half);
/* Reads a dataset into rows [row, row + its rows) of `field`, whose shape is the whole target's and in no
 * further dimension smaller; converts between floats. */
wl_status wl_file_read_rows(const wl_file *file, const wl_field *field, int64_t row);
/* Re-reads a dataset through HDF5 and compares it with its checksum; WL_ERR_DATA names it. */
wl_status wl_file_check_dataset(const wl_file *file, const char *name);
/* Whether HDF5 finds the dataset there, with that checksum: its bytes are those that the seal vouches for. */
wl_status wl_file_check_place(const wl_file *file, const wl_stretch *stretch);
/* Re-reads every dataset through HDF5 and compares it with its checksum; WL_ERR_DATA names it. */
wl_status wl_file_check_datasets(const wl_file *file);

#endif
