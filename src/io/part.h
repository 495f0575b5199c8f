/* part.h - the parts of a trajectory, RUN/trajectory/part-NNNNNNNN.h5, and the index RUN/trajectory.h5 over the parts.
 *
 * Parts are numbered in chronological order. The newest part is rewritten with more rows until the part is full. */
#ifndef WL_IO_PART_H
#define WL_IO_PART_H

#include "io/table.h"

#define WL_TRAJECTORY_FOLDER "trajectory"
#define WL_TRAJECTORY_INDEX "trajectory.h5"
#define WL_COORDINATE_INDEX "coordinate_index"

enum { WL_PART_NAME = 32 };

typedef struct wl_part {
  int64_t number;
  wl_table content; /* columns and numbers of rows, no data */
} wl_part;

typedef struct wl_part_list { /* in order of number */
  wl_part *at;
  int count, room;
} wl_part_list;

void wl_part_name(int64_t number, char name[WL_PART_NAME]); /* "part-00000001.h5" */
wl_status wl_part_path(const char *folder, int64_t number, char path[WL_PATH_MAX]);
/* Returns the part's number from a file name, or -1 if the file is not a part. */
int64_t wl_part_number(const char *name);
wl_status wl_part_list_append(wl_part_list *list, const wl_part *part);
void wl_part_list_clear(wl_part_list *list);

/* Writes a table as part `number`, with the indices of the sampled coordinates. *out describes the part. */
wl_status wl_part_write(const char *folder, int64_t number, const wl_table *rows,
                        const wl_field *index, int compression, wl_part *out);
/* Reads the rows of a part into an empty table. */
wl_status wl_part_load(const char *folder, const wl_part *part, wl_table *rows);
/* Finds all parts in a folder. Damaged parts and parts of older schema versions are left out with a warning. *highest
 * is the highest number found. */
wl_status wl_part_scan(const char *folder, wl_part_list *list, int64_t *highest);

/* Lists the datasets of the index over a list of parts: names, types, shapes. The caller frees *fields with wl_free. */
wl_status wl_index_fields(const wl_part_list *list, wl_field **fields, int *count);
/* Maps the rows of all parts to a virtual dataset of the index. */
wl_status wl_index_map(const wl_part_list *list, const wl_field *field, const char *path,
                       hid_t creation, hid_t space);
/* Rewrites RUN/trajectory.h5, the index over the parts. */
wl_status wl_index_write(const char *run, const wl_part_list *list, const wl_field *index,
                         const char *configuration);

#endif
