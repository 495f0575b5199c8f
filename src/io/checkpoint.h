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

/* Writes a file. `kind` is "checkpoint", "optimizer", "evaluation" or "dump" and is stored as the file's format. The
 * root attributes are `attributes` plus creator, version, revision, compiler, HDF5 version and date. WL_ERR_IO (disk
 * full), WL_ERR_CANNOT_CREATE, WL_ERR_PERMISSION; `path` is then unchanged. */
wl_status wl_file_write(const char *path, const char *kind, const wl_field *fields, int n_fields,
                        const wl_attribute *attributes, int n_attributes);

typedef struct wl_file wl_file; /* an open, verified file */
/* Opens a file: compares every byte with the footer, and checks the kind (NULL: any), the objects and the digest of
 * the meta-parameters. WL_ERR_NO_INPUT, WL_ERR_DATA (the file is damaged, or is no such Warploom file). */
wl_status wl_file_open(const char *path, const char *kind, wl_file **out);
/* Opens a file that another rank has just checked, without comparing its bytes again. */
wl_status wl_file_open_again(const char *path, const char *kind, wl_file **out);
void wl_file_close(wl_file **file);
const char *wl_file_path(const wl_file *file);
/* Fills in name, type, shape and texts of a dataset, with data NULL; WL_ERR_DATA if there is no such dataset. */
wl_status wl_file_query(const wl_file *file, const char *name, wl_field *field);
/* Reads a dataset into field->data; type and shape of the field must match. */
wl_status wl_file_read(const wl_file *file, wl_field *field);
bool wl_file_has(const wl_file *file, const char *name);
/* Reads elements [first, first+count) of a one-dimensional dataset. */
wl_status wl_file_read_range(const wl_file *file, const char *name, wl_type type, int64_t first,
                             int64_t count, void *data);
/* Reads a root attribute; *value is malloc'ed. WL_ERR_DATA if there is no such attribute. */
wl_status wl_file_attribute(const wl_file *file, const char *name, char **value);

/* Numbered checkpoints of a run directory: RUN/checkpoints/step-00000500.h5, and a text file `latest` that names the
 * newest checkpoint. The newest `keep` checkpoints remain, and also the newest checkpoint of a step below
 * `last_counted`, however old that checkpoint is. Stale temporaries are removed. */
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
/* Opens the newest valid checkpoint. Skips damaged checkpoints and names them in a warning. WL_ERR_NO_INPUT if there
 * is no checkpoint, WL_ERR_DATA if all checkpoints are damaged. */
wl_status wl_checkpoint_open_newest(const char *run, wl_file **out, int64_t *step);

#endif
