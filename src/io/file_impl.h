/* file_impl.h - declares the types and functions that several source files of src/io share. The
 * types describe an open HDF5 file, and the content and the layout of a file to be written. */
#ifndef WL_IO_FILE_IMPL_H
#define WL_IO_FILE_IMPL_H

#include "base/digest.h"
#include "base/atomic_file.h"
#include "io/checkpoint.h"
#include "io/gate.h"

struct wl_file {
  hid_t id;
  char path[WL_PATH_MAX];
  char *kind;
  wl_names datasets; /* names of the datasets in sorted order; virtual datasets are listed too */
};

#define WL_KIND_PART "trajectory part"
#define WL_KIND_INDEX \
  "trajectory" /* A file of this kind has virtual datasets, which Warploom never opens. */

typedef struct wl_file_content {
  const char *path, *kind;
  const wl_field *fields;
  int n_fields;
  const wl_attribute *attributes;
  int n_attributes;
  /* Compression level of the HDF5 filter deflate. Large datasets are written with the filters
   * shuffle and deflate. If the level is 0, datasets are contiguous. */
  int compression;
  /* Maps a field without data, which is written as a virtual dataset, to datasets of other files.
   * The pointer is NULL if no field is virtual. */
  wl_status (*map)(const void *files, const wl_field *field, const char *path, hid_t creation,
                   hid_t space);
  const void *files; /* the first argument with which `map` is called */
} wl_file_content;

/* Writes a file as wl_file_write does, but can also write compressed and virtual datasets. */
wl_status wl_content_write(const wl_file_content *content);
/* Reads every dataset through HDF5. Returns WL_ERR_DATA if a dataset cannot be read, and the
 * message names this dataset. */
wl_status wl_file_check_datasets(const wl_file *file);
/* Lists the file names of a run's checkpoints in the order of their steps. `folder` receives the
 * path of their folder. The caller frees the names with wl_names_clear. */
wl_status wl_checkpoint_list(const char *run, char folder[WL_PATH_MAX], wl_names *names);
/* Returns true if the dataset with this name contains meta-parameters. */
bool wl_is_phi(const char *name);
/* Adds a dataset of meta-parameters to the digest of all meta-parameters. The digest does not
 * depend on the order of the calls. */
void wl_phi_digest_add(wl_digest *digest, const wl_field *field);
/* Attaches named dimension scales to the dimensions of a dataset in `file`. The caller must first
 * create all datasets of the file. */
wl_status wl_dimensions_name(const char *path, hid_t file, const wl_field *field);

#endif
