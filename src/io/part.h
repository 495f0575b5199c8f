/* part.h - the files RUN/trajectory/part-NNNNNNNN.h5, and the index over them, RUN/trajectory.h5.
 *
 * Parts are numbered in order of time. The newest one is rewritten with more rows until it is full. */
#ifndef WL_IO_PART_H
#define WL_IO_PART_H

#include "io/table.h"

#define WL_TRAJECTORY_FOLDER "trajectory"
#define WL_TRAJECTORY_INDEX "trajectory.h5"
#define WL_COORDINATE_INDEX "coordinate_index"

enum { WL_PART_NAME = 32 };

typedef struct wl_part {
  int64_t number;
  int64_t records, metrics;          /* rows */
  int64_t last_record, last_metric;  /* meta-step of the last row of each, -1 without rows */
  wl_field fields[WL_TABLE_COLUMNS]; /* [n_fields] its datasets, data NULL */
  bool half[WL_TABLE_COLUMNS];
  int n_fields;
} wl_part;

typedef struct wl_part_list { /* in order of number */
  wl_part *at;
  int count, room;
} wl_part_list;

void wl_part_name(int64_t number, char name[WL_PART_NAME]); /* "part-00000001.h5" */
/* The number of a file name, -1 when it is no part's. */
int64_t wl_part_number(const char *name);
wl_status wl_part_list_append(wl_part_list *list, const wl_part *part);
void wl_part_list_clear(wl_part_list *list);

/* Whether a dataset of a part has a row for each metrics line (else for each record, unless it is
 * the index of coordinates). */
bool wl_is_metric(const char *name);

/* Writes two tables as part `number`; *out describes it. */
wl_status wl_part_write(const char *folder, int64_t number, const wl_table *records,
                        const wl_table *metrics, const wl_field *index, int compression,
                        wl_part *out);
/* Reads the rows of a part into empty tables. */
wl_status wl_part_load(const char *folder, const wl_part *part, wl_table *records,
                       wl_table *metrics);
/* All parts of a folder; damaged ones and those of older schema versions are left out with a warning. *highest is the highest number seen. */
wl_status wl_part_scan(const char *folder, wl_part_list *list, int64_t *highest);

/* The datasets of the index over a list: names, types, shapes; malloc'ed for wl_free. */
wl_status wl_index_items(const wl_part_list *list, wl_item **items, int *count);
/* Rewrites RUN/trajectory.h5, the index over the parts. */
wl_status wl_index_write(const char *run, const wl_part_list *list, const wl_field *index,
                         const wl_attribute *attributes, int n_attributes);

#endif
