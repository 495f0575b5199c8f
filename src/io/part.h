/* part.h - the parts of a trajectory, RUN/trajectory/part-NNNNNNNN.h5, and the index RUN/trajectory.h5 over the parts.
 *
 * Parts are numbered in chronological order. The newest part is rewritten with more rows until the part is full. */
#ifndef WL_IO_PART_H
#define WL_IO_PART_H

#include "io/table.h"

#define WL_TRAJECTORY_FOLDER "trajectory"
#define WL_PART_PREFIX "part-"
#define WL_TRAJECTORY_INDEX "trajectory.h5"
#define WL_COORDINATE_INDEX "coordinate_index"

enum { WL_PART_NAME = 32 };

typedef struct wl_part {
  int64_t number;
  wl_table content; /* columns and numbers of rows, no data */
} wl_part;

/* The parts of a run, in order of number. Zeroed: none. */
typedef struct wl_parts {
  char run[WL_PATH_MAX], folder[WL_PATH_MAX];
  wl_part *at;
  int count, room;
  int64_t highest; /* highest number found by wl_parts_scan, also of a damaged part; 0: none */
  wl_field index;  /* coordinate_index, which is written to every file; data owned */
  int compression; /* of the parts that are written */
} wl_parts;

void wl_part_name(int64_t number, char name[WL_PART_NAME]); /* "part-00000001.h5" */

/* Finds all parts of a run. Damaged parts and parts of older schema versions are left out with a warning. */
wl_status wl_parts_scan(const char *run, wl_parts *parts);
void wl_parts_clear(wl_parts *parts);
/* Writes a table as part `number`, which is the last part or follows it. */
wl_status wl_part_write(wl_parts *parts, int64_t number, const wl_table *rows);
/* Reads the rows of part i of the list into an empty table. */
wl_status wl_part_load(const wl_parts *parts, int i, wl_table *rows);
/* Removes the last part and its file. */
wl_status wl_part_remove_last(wl_parts *parts);

/* Lists the datasets of the index over the parts: names, types, shapes. The caller frees *fields with wl_free. */
wl_status wl_index_fields(const wl_parts *parts, wl_field **fields, int *count);
/* Maps the rows of all parts to a virtual dataset of the index. */
wl_status wl_index_map(const wl_parts *parts, const wl_field *field, const char *path,
                       hid_t creation, hid_t space);
/* Rewrites RUN/trajectory.h5, the index over the parts. */
wl_status wl_index_write(const wl_parts *parts, const char *configuration);

#endif
