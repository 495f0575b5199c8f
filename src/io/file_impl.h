/* file_impl.h - private to src/io: stored items with their layout, and open files. */
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
  wl_names datasets; /* sorted; virtual datasets are only listed */
};

#define WL_KIND_PART "trajectory part"
#define WL_KIND_INDEX \
  "trajectory" /* datasets of this kind of file are virtual; Warploom never opens them */

typedef struct wl_file_content {
  const char *path, *kind;
  const wl_field *fields;
  int n_fields;
  const wl_attribute *attributes;
  int n_attributes;
  int compression;                  /* deflate level of large datasets, with shuffle; 0: contiguous */
  const struct wl_parts *parts; /* hold the rows of the fields without data, which become virtual; or NULL */
} wl_file_content;

/* Does the same as wl_file_write, also for compressed and virtual datasets. */
wl_status wl_content_write(const wl_file_content *content);
/* Reads every dataset through HDF5. The message of WL_ERR_DATA names a dataset that cannot be read. */
wl_status wl_file_check_datasets(const wl_file *file);
/* Lists the file names of a run's checkpoints, oldest first, and their folder. The caller frees the names with
 * wl_names_clear. */
wl_status wl_checkpoint_list(const char *run, char folder[WL_PATH_MAX], wl_names *names);
/* Returns true if a dataset belongs to the meta-parameters. */
bool wl_is_phi(const char *name);
/* Adds a dataset of meta-parameters to their digest. The order of the datasets does not matter. */
void wl_phi_digest_add(wl_digest *digest, const wl_field *field);
/* Attaches named dimension scales to the dimensions of a dataset in `file`. Call this when all datasets exist. */
wl_status wl_dimensions_name(const char *path, hid_t file, const wl_field *field);

#endif
