/* checkpoint.h - writes and reads HDF5 files of named fields, and the checkpoints of a run.
 *
 * HDF5 makes a file in memory, and the file is written under a temporary name in the same
 * directory. The file is then read back, and its bytes are compared with the hashes in its footer.
 * After that, the file is synced and renamed, and the directory is synced. When a file is opened,
 * its footer and its structure are checked (gate.h). The functions are not collective. Rank 0
 * writes files, and every rank may read them. */
#ifndef WL_IO_CHECKPOINT_H
#define WL_IO_CHECKPOINT_H

#include "base/field.h"

/* A string attribute of the root group of a file, such as the configuration. */
typedef struct wl_attribute {
  const char *name, *value;
} wl_attribute;

/* Writes a file. `kind` is "checkpoint", "optimizer", "evaluation", "baselines" or "dump", and is
 * stored as the root attribute `kind`. The root group also has the attributes in `attributes`, and
 * the attributes that every file has, such as the version and the date (docs/hdf5-schema.md).
 * Errors: WL_ERR_IO (for example if the disk is full), WL_ERR_CANNOT_CREATE, WL_ERR_PERMISSION.
 * After an error, the file `path` is unchanged. */
wl_status wl_file_write(const char *path, const char *kind, const wl_field *fields, int n_fields,
                        const wl_attribute *attributes, int n_attributes);

typedef struct wl_file wl_file; /* a file that was verified and is open */
/* Opens a file. Compares all bytes with the hashes in the footer. Checks the kind of the file, the
 * structure of the file, and the digest of the meta-parameters. `kind` is the required kind, or
 * NULL if every kind is accepted. Errors: WL_ERR_NO_INPUT, WL_ERR_PERMISSION, and WL_ERR_DATA if
 * the file is damaged or is not a Warploom file of this kind. */
wl_status wl_file_open(const char *path, const char *kind, wl_file **out);
/* Opens a file that another rank has just opened with wl_file_open. The hashes and the digest are
 * not computed again. */
wl_status wl_file_open_again(const char *path, const char *kind, wl_file **out);
void wl_file_close(wl_file **file);
const char *wl_file_path(const wl_file *file);
/* Sets the name, the type, the shape, the unit and the description of `field` to those of a
 * dataset. Sets field->data to NULL. Returns WL_ERR_DATA if the dataset does not exist. */
wl_status wl_file_query(const wl_file *file, const char *name, wl_field *field);
/* Reads the dataset with the name field->name into field->data. Returns WL_ERR_DATA if the type or
 * the shape of the dataset differs from that of the field. */
wl_status wl_file_read(const wl_file *file, wl_field *field);
bool wl_file_has(const wl_file *file, const char *name);
/* Returns the name of the dataset with this index in the sorted list of all datasets, or NULL if
 * the file has no more datasets. The file owns the name. */
const char *wl_file_dataset(const wl_file *file, int index);
/* Reads `count` elements of a one-dimensional dataset, starting with element `first`. */
wl_status wl_file_read_range(const wl_file *file, const char *name, wl_type type, int64_t first,
                             int64_t count, void *data);
/* Reads a string attribute of the root group. *value is malloc'ed, and the caller frees it. Returns
 * WL_ERR_DATA if the attribute does not exist. */
wl_status wl_file_attribute(const wl_file *file, const char *name, char **value);

/* The content of a numbered checkpoint such as RUN/checkpoints/step-00000500.h5. The function
 * wl_checkpoint_save writes the checkpoint and the text file `latest`, which names the newest
 * checkpoint. After that, the function removes old checkpoints. The newest `keep` valid checkpoints
 * remain. The newest valid checkpoint whose step is below `last_counted` also remains. The function
 * also removes the temporary files of killed processes. */
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
/* Opens the newest valid checkpoint. A damaged checkpoint is skipped, and a warning names it.
 * Returns WL_ERR_NO_INPUT if the run has no checkpoint, and WL_ERR_DATA if all checkpoints are
 * damaged. */
wl_status wl_checkpoint_open_newest(const char *run, wl_file **out, int64_t *step);

#endif
