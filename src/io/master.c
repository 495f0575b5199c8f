/* master.c - RUN/trajectory.h5: every dataset of the segments as one, without a copy of the data.
 *
 * Dataset D of N segments becomes the virtual dataset D: rows follow one another, and where segments
 * differ beyond the first dimension (a resume with other settings) the largest length counts and the
 * rest reads as NaN or -1, as does a segment that is missing. */
#include <stdio.h>
#include <string.h>

#include "io/segment.h"

/* The virtual datasets on their way: one item for each name, the sources of all of them in one array. */
typedef struct master {
  const wl_segment_list *list;
  wl_item *items;
  int n_items;
  wl_source *sources; /* [n_items][segments] */
  char (*files)[WL_SEGMENT_NAME + sizeof WL_TRAJECTORY_FOLDER];
} master;

static int find_item(const master *m, const char *name) {
  int i = 0;
  while (i < m->n_items && strcmp(m->items[i].field.name, name) != 0) i++;
  return i;
}

/* Makes the item of a segment's dataset, or widens it so that the dataset fits. */
static void fit_item(master *m, const wl_field *field, bool half) {
  const int i = find_item(m, field->name);
  wl_item *const item = &m->items[i];
  if (i == m->n_items) {
    *item = (wl_item){.field = *field, .half = half};
    m->n_items++;
  }
  for (int d = 1; d < field->ndim; d++)
    if (field->shape[d] > item->field.shape[d]) item->field.shape[d] = field->shape[d];
  if (field->type == WL_FLOAT64) item->field.type = WL_FLOAT64;
  item->half = item->half && half;
}

static void fit_items(master *m) {
  for (int s = 0; s < m->list->count; s++)
    for (int i = 0; i < m->list->at[s].n_fields; i++)
      fit_item(m, &m->list->at[s].fields[i], m->list->at[s].half[i]);
}

static void map_segment(master *m, int number, int64_t record, int64_t metric) {
  const wl_segment *const s = &m->list->at[number];
  for (int i = 0; i < s->n_fields; i++) {
    const wl_field *const field = &s->fields[i];
    if (wl_field_count(field) == 0) continue;
    const int at = find_item(m, field->name);
    wl_source *const source =
        m->sources + (size_t)at * (size_t)m->list->count + m->items[at].n_sources++;
    *source =
        (wl_source){.file = m->files[number], .at = wl_is_metric(field->name) ? metric : record};
    memcpy(source->shape, field->shape, sizeof source->shape);
  }
}

static void map_segments(master *m) {
  int64_t record = 0, metric = 0;
  for (int i = 0; i < m->list->count; i++) {
    char name[WL_SEGMENT_NAME];
    wl_segment_name(m->list->at[i].number, name);
    snprintf(m->files[i], sizeof m->files[i], WL_TRAJECTORY_FOLDER "/%s", name);
    map_segment(m, i, record, metric);
    record += m->list->at[i].records;
    metric += m->list->at[i].metrics;
  }
  for (int i = 0; i < m->n_items; i++) {
    m->items[i].field.shape[0] = wl_is_metric(m->items[i].field.name) ? metric : record;
    m->items[i].sources = m->sources + (size_t)i * (size_t)m->list->count;
  }
}

static wl_status write(const char *run, master *m, const wl_field *index,
                       const wl_attribute *attributes, int n_attributes) {
  char path[WL_PATH_MAX];
  int64_t most = 1;
  for (int i = 0; i < m->list->count; i++) most += m->list->at[i].n_fields;
  WL_TRY(WL_NEW(m->items, most));
  fit_items(m);
  WL_TRY(WL_NEW(m->sources, m->n_items * m->list->count));
  WL_TRY(WL_NEW(m->files, m->list->count));
  map_segments(m);
  if (index->shape[0] > 0) m->items[m->n_items++] = (wl_item){.field = *index};
  WL_TRY(wl_join(path, run, WL_TRAJECTORY_MASTER));
  return wl_items_write(path, "trajectory", m->items, m->n_items, attributes, n_attributes, NULL);
}

wl_status wl_master_write(const char *run, const wl_segment_list *list, const wl_field *index,
                          const wl_attribute *attributes, int n_attributes) {
  master m = {.list = list};
  const wl_status status = write(run, &m, index, attributes, n_attributes);
  wl_free(m.items);
  wl_free(m.sources);
  wl_free(m.files);
  return status;
}
