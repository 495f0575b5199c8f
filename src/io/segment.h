/* segment.h - the files RUN/trajectory/segment-NNNNNNNN.h5, and the one virtual file over them.
 *
 * Segments are numbered in the order in which they are written, and a number is never used twice in a
 * run. A segment stands for the numbers [from, to]: a plain one for its own, one made by merging or
 * trimming for those it replaces. A segment is live unless a later one stands for its numbers. */
#ifndef WL_IO_SEGMENT_H
#define WL_IO_SEGMENT_H

#include "io/table.h"

enum { WL_SEGMENT_NAME = 32 };

typedef struct wl_segment {
  int64_t number, from, to;
  int level;                        /* 0 as written, n + 1 when merged from level n */
  int64_t records, metrics;         /* rows */
  int64_t last_record, last_metric; /* meta-step of the last row of each, -1 without rows */
  int64_t bytes;                    /* of all data in memory */
  wl_field *fields;                 /* [n_fields] what it holds, data NULL */
  bool *half;                       /* [n_fields] */
  int n_fields;
} wl_segment;

typedef struct wl_segment_list { /* live, in order of time */
  wl_segment *at;
  int count, capacity;
} wl_segment_list;

void wl_segment_name(int64_t number, char name[WL_SEGMENT_NAME]); /* "segment-00000001.h5" */
/* The number of a file name, -1 when it is no segment's. */
int64_t wl_segment_number(const char *name);
void wl_segment_clear(wl_segment *segment);
void wl_segment_list_clear(wl_segment_list *list);

/* Reads what a segment file holds, after checking every byte of it. */
wl_status wl_segment_read(const char *folder, const char *name, wl_segment *out);
/* Writes two tables as a segment; `identity` gives number, from, to, level. *out describes it. */
wl_status wl_segment_write(const char *folder, const wl_segment *identity, const wl_table *records,
                           const wl_table *metrics, const wl_field *index, int compression,
                           wl_segment *out);
/* Reads segments [first, first + count) of the list into empty tables, row after row. */
wl_status wl_segment_load(const char *folder, const wl_segment_list *list, int first, int count,
                          wl_table *records, wl_table *metrics);

/* All live segments of a folder, damaged ones left out with a warning; superseded files are removed
 * when `remove`. *highest is the highest number seen. */
wl_status wl_segment_scan(const char *folder, bool remove, wl_segment_list *list, int64_t *highest);
wl_status wl_segment_list_append(wl_segment_list *list, const wl_segment *segment);

/* Whether a dataset of a segment has a row for each metrics line (else for each record, unless it is
 * the index of coordinates). */
bool wl_is_metric(const char *name);

/* Renews RUN/trajectory.h5 over the live segments. */
wl_status wl_master_write(const char *run, const wl_segment_list *list, const wl_field *index,
                          const wl_attribute *attributes, int n_attributes);

#define WL_TRAJECTORY_FOLDER "trajectory"
#define WL_TRAJECTORY_MASTER "trajectory.h5"
#define WL_COORDINATE_INDEX "coordinate_index"

#endif
