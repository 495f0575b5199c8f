/* part.h - writes, reads and lists the parts of a trajectory, RUN/trajectory/part-NNNNNNNN.h5, and
 * writes the index RUN/trajectory.h5, which joins the parts.
 *
 * Parts are numbered in chronological order. The newest part is rewritten with more rows until the part is
 * full. */
#ifndef WL_IO_PART_H
#define WL_IO_PART_H

#include "base/table.h"
#include "io/file_impl.h"

#define WL_TRAJECTORY_FOLDER "trajectory"
#define WL_PART_PREFIX "part-"
#define WL_TRAJECTORY_INDEX "trajectory.h5"
#define WL_COORDINATE_INDEX "coordinate_index"

enum { WL_PART_NAME = 32 };

typedef struct wl_part {
  int64_t number;
  wl_table content; /* the columns of the part, without their data, and the number of rows of each
                     * kind */
} wl_part;

/* The parts of a run, in the order of their numbers. A zeroed structure has no parts. */
typedef struct wl_parts {
  char run[WL_PATH_MAX], folder[WL_PATH_MAX];
  wl_part *at;
  int count, room;
  /* Highest number of a part that wl_parts_scan found, even if this part is damaged. The number is
   * 0 if there is no part. */
  int64_t highest;
  /* the field coordinate_index, which is written to every file; the structure owns its data */
  wl_field index;
  /* compression level of the HDF5 filter deflate for the parts that are written; 0 means no
   * compression */
  int compression;
} wl_parts;

void wl_part_name(int64_t number, char name[WL_PART_NAME]); /* "part-00000001.h5" */

/* Finds all parts of a run. A damaged part, or a part of an older schema version, is not listed,
 * and a warning is printed. */
wl_status wl_parts_scan(const char *run, wl_parts *parts);
void wl_parts_clear(wl_parts *parts);
/* Writes a table as part `number`. If `number` is the number of the last part, the file of this
 * part is replaced. If `number` is above the numbers of all parts, a new part is written. */
wl_status wl_part_write(wl_parts *parts, int64_t number, const wl_table *rows);
/* Reads the rows of the part parts->at[i] into an empty table. */
wl_status wl_part_load(const wl_parts *parts, int i, wl_table *rows);
/* Removes the last part from the list, and removes its file. */
wl_status wl_part_remove_last(wl_parts *parts);

/* Lists the names, the types and the shapes of the datasets that the index has. The caller frees
 * *fields with wl_free. */
wl_status wl_index_fields(const wl_parts *parts, wl_field **fields, int *count);
/* Replaces RUN/trajectory.h5, the index that joins the parts. */
wl_status wl_index_write(const wl_parts *parts, const char *configuration);

#endif
