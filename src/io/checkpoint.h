/* checkpoint.h - HDF5 files of named fields, written atomically.
 *
 * Made in memory, written to a temporary name in the same directory, read back and compared with the
 * checksum in its footer, synced, renamed, and the directory synced. Opening a file checks its footer and its structure
 * (gate.h). Not collective: rank 0 writes, every rank may read. */
#ifndef WL_IO_CHECKPOINT_H
#define WL_IO_CHECKPOINT_H

#include "base/field.h"

/* Text attributes of the root group (configuration, revision, ...). */
typedef struct wl_attribute {
  const char *name, *value;
} wl_attribute;

/* `kind` is "checkpoint", "optimizer", "evaluation", "dump": stored as the file's format.
 * Root attributes are `attributes` plus creator, version, revision, compiler, HDF5 version, date.
 * WL_ERR_IO (disk full), WL_ERR_CANNOT_CREATE, WL_ERR_PERMISSION; `path` is then unchanged. */
wl_status wl_file_write(const char *path, const char *kind, const wl_field *fields, int n_fields,
                        const wl_attribute *attributes, int n_attributes);

typedef struct wl_file wl_file; /* an open, verified file */
/* Compares every byte with the footer, checks kind (NULL: any), objects and the digest of the meta-parameters.
 * WL_ERR_NO_INPUT, WL_ERR_DATA (damaged, or no such file). */
wl_status wl_file_open(const char *path, const char *kind, wl_file **out);
/* The same for a file that another rank has just checked: its bytes are not compared again. */
wl_status wl_file_open_again(const char *path, const char *kind, wl_file **out);
void wl_file_close(wl_file **file);
const char *wl_file_path(const wl_file *file);
/* Name, type, shape and texts of a dataset, data NULL; WL_ERR_DATA when absent. */
wl_status wl_file_query(const wl_file *file, const char *name, wl_field *field);
/* Reads into field->data, which must match in type and shape. */
wl_status wl_file_read(const wl_file *file, wl_field *field);
bool wl_file_has(const wl_file *file, const char *name);
/* Reads elements [first, first+count) of a one-dimensional dataset. */
wl_status wl_file_read_range(const wl_file *file, const char *name, wl_type type, int64_t first,
                             int64_t count, void *data);
/* A root attribute; malloc'ed. WL_ERR_DATA when absent. */
wl_status wl_file_attribute(const wl_file *file, const char *name, char **value);

/* Numbered checkpoints of a run directory: RUN/checkpoints/step-00000500.h5 and a `latest` text
 * file that names the newest. Keeps the newest `keep`, and the newest of a step below `last_counted` of any age;
 * removes stale temporaries. */
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
/* Opens the newest valid one; damaged ones are named in a warning and passed over.
 * WL_ERR_NO_INPUT when there is none at all, WL_ERR_DATA when all are damaged. */
wl_status wl_checkpoint_open_newest(const char *run, wl_file **out, int64_t *step);

#endif
