/* checkpoint.h - HDF5 files of named fields, written atomically.
 *
 * A file is made in memory and written under a temporary name in the same directory. The file is read back and
 * compared with the checksum in its footer. Then the file is synced and renamed, and the directory is synced. Opening
 * a file checks its footer and its structure (gate.h). Not collective: rank 0 writes, every rank may read. */
#ifndef WL_IO_CHECKPOINT_H
#define WL_IO_CHECKPOINT_H

#include "base/field.h"

/* Text attributes of the root group (configuration, revision, ...). */
typedef struct wl_attribute {
  const char *name, *value;
} wl_attribute;

/* Writes a file. `kind` is "checkpoint", "optimizer", "evaluation", "baselines" or "dump". It becomes the root
 * attribute `kind`. The other root attributes are `attributes` and the ones of every file: version, compiler, date and
 * others (docs/hdf5-schema.md). Errors: WL_ERR_IO (disk full), WL_ERR_CANNOT_CREATE, WL_ERR_PERMISSION. On an error,
 * `path` is unchanged. */
wl_status wl_file_write(const char *path, const char *kind, const wl_field *fields, int n_fields,
                        const wl_attribute *attributes, int n_attributes);

typedef struct wl_file wl_file; /* an open, verified file */
/* Opens a file. Compares the checksum of all bytes with the footer. Checks the kind (NULL: any), the objects and the
 * digest of the meta-parameters. Errors: WL_ERR_NO_INPUT, and WL_ERR_DATA if the file is damaged or is not a Warploom
 * file of this kind. */
wl_status wl_file_open(const char *path, const char *kind, wl_file **out);
/* Opens a file that another rank has just checked. Does not compare the checksum again. */
wl_status wl_file_open_again(const char *path, const char *kind, wl_file **out);
void wl_file_close(wl_file **file);
const char *wl_file_path(const wl_file *file);
/* Sets name, type, shape and texts of `field` from a dataset, and data to NULL. Returns WL_ERR_DATA if the dataset does
 * not exist. */
wl_status wl_file_query(const wl_file *file, const char *name, wl_field *field);
/* Reads a dataset into field->data. Type and shape of the field must match the dataset. */
wl_status wl_file_read(const wl_file *file, wl_field *field);
bool wl_file_has(const wl_file *file, const char *name);
/* Reads elements [first, first+count) of a one-dimensional dataset. */
wl_status wl_file_read_range(const wl_file *file, const char *name, wl_type type, int64_t first,
                             int64_t count, void *data);
/* Reads a root attribute; *value is malloc'ed. Returns WL_ERR_DATA if the attribute does not exist. */
wl_status wl_file_attribute(const wl_file *file, const char *name, char **value);

/* A numbered checkpoint of a run directory, for example RUN/checkpoints/step-00000500.h5. The text file `latest` names
 * the newest checkpoint. wl_checkpoint_save keeps the newest `keep` checkpoints. The function also keeps the newest
 * checkpoint of a step below `last_counted`, even if that checkpoint is older. Stale temporary files are removed. */
typedef struct wl_checkpoint {
  int64_t step;
  int keep;
  int64_t last_counted;
  const wl_field *fields;
  int n_fields;
  const wl_attribute *attributes;
  int n_attributes;
} wl_checkpoint;
wl_status wl_checkpoint_save(const char *run, const wl_checkpoint *checkpoint);
/* Opens the newest valid checkpoint. Skips damaged checkpoints and names them in a warning. Returns WL_ERR_NO_INPUT if
 * there is no checkpoint, and WL_ERR_DATA if all checkpoints are damaged. */
wl_status wl_checkpoint_open_newest(const char *run, wl_file **out, int64_t *step);

#endif
