/* segment.h - the files RUN/trajectory/segment-NNNNNNNN.h5, and the index over them, RUN/trajectory.h5.
 *
 * Segments are numbered in order of time. The newest one is rewritten with more rows until it is full. */
#ifndef WL_IO_SEGMENT_H
#define WL_IO_SEGMENT_H

#include "io/table.h"

#define WL_TRAJECTORY_FOLDER "trajectory"
#define WL_TRAJECTORY_INDEX "trajectory.h5"
#define WL_COORDINATE_INDEX "coordinate_index"

enum { WL_SEGMENT_NAME = 32 };

typedef struct wl_segment {
  int64_t number;
  int64_t records, metrics;          /* rows */
  int64_t last_record, last_metric;  /* meta-step of the last row of each, -1 without rows */
  wl_field fields[WL_TABLE_COLUMNS]; /* [n_fields] its datasets, data NULL */
  bool half[WL_TABLE_COLUMNS];
  int n_fields;
} wl_segment;

typedef struct wl_segment_list { /* in order of number */
  wl_segment *at;
  int count, room;
} wl_segment_list;

void wl_segment_name(int64_t number, char name[WL_SEGMENT_NAME]); /* "segment-00000001.h5" */
/* The number of a file name, -1 when it is no segment's. */
int64_t wl_segment_number(const char *name);
wl_status wl_segment_list_append(wl_segment_list *list, const wl_segment *segment);
void wl_segment_list_clear(wl_segment_list *list);

/* Whether a dataset of a segment has a row for each metrics line (else for each record, unless it is
 * the index of coordinates). */
bool wl_is_metric(const char *name);

/* Writes two tables as segment `number`; *out describes it. */
wl_status wl_segment_write(const char *folder, int64_t number, const wl_table *records,
                           const wl_table *metrics, const wl_field *index, int compression,
                           wl_segment *out);
/* Reads the rows of a segment into empty tables. */
wl_status wl_segment_load(const char *folder, const wl_segment *segment, wl_table *records,
                          wl_table *metrics);
/* All segments of a folder, damaged ones left out with a warning. *highest is the highest number seen. */
wl_status wl_segment_scan(const char *folder, wl_segment_list *list, int64_t *highest);

/* The datasets of the index over a list: names, types, shapes; malloc'ed for wl_free. */
wl_status wl_index_items(const wl_segment_list *list, wl_item **items, int *count);
/* Rewrites RUN/trajectory.h5, the index over the segments. */
wl_status wl_index_write(const char *run, const wl_segment_list *list, const wl_field *index,
                         const wl_attribute *attributes, int n_attributes);

#endif
