/* part_index.c - RUN/trajectory.h5: joins the datasets of all parts as virtual datasets, without a copy of the
 * data.
 *
 * Dataset D of N parts becomes the virtual dataset D: rows follow one another, and where parts
 * differ beyond the first dimension (a resume with other settings) the largest length counts and the
 * rest reads as NaN or -1, as does a part that is missing. The attribute `parts` has their numbers. */
#include <stdio.h>
#include <string.h>

#include "io/part.h"

static int find_item(const wl_item *items, int count, const char *name) {
  int i = 0;
  while (i < count && strcmp(items[i].field.name, name) != 0) i++;
  return i;
}

/* Creates the item of a part's dataset, or enlarges it so that the dataset fits; adds its rows. */
static wl_status fit_item(wl_item *items, int *count, const wl_field *field, bool half) {
  const int i = find_item(items, *count, field->name);
  wl_item *const item = &items[i];
  if (i == *count) {
    *item = (wl_item){.field = *field, .half = half};
    ++*count;
    return WL_OK;
  }
  if (field->ndim != item->field.ndim)
    return WL_FAIL(WL_ERR_DATA, "dataset '%s' has other dimensions in one part than in another",
                   field->name);
  item->field.shape[0] += field->shape[0];
  for (int d = 1; d < field->ndim; d++)
    if (field->shape[d] > item->field.shape[d]) item->field.shape[d] = field->shape[d];
  if (field->type == WL_FLOAT64) item->field.type = WL_FLOAT64;
  item->half = item->half && half;
  return WL_OK;
}

/* Datasets that some parts lack have the same number of rows as the others. */
static void set_rows(const wl_part_list *list, wl_item *items, int count) {
  int64_t records = 0, metrics = 0;
  for (int s = 0; s < list->count; s++) {
    records += list->at[s].records;
    metrics += list->at[s].metrics;
  }
  for (int i = 0; i < count; i++)
    items[i].field.shape[0] = wl_is_metric(items[i].field.name) ? metrics : records;
}

wl_status wl_index_items(const wl_part_list *list, wl_item **items, int *count) {
  int most = 1;
  for (int s = 0; s < list->count; s++) most += list->at[s].n_fields;
  *count = 0;
  WL_TRY(WL_NEW(*items, most));
  for (int s = 0; s < list->count; s++)
    for (int i = 0; i < list->at[s].n_fields; i++)
      WL_TRY(fit_item(*items, count, &list->at[s].fields[i], list->at[s].half[i]));
  set_rows(list, *items, *count);
  return WL_OK;
}

/* Contents of the index: sources [n_items][parts] and their file names [parts]. */
typedef struct sources {
  wl_source *at;
  char (*files)[WL_PART_NAME + sizeof WL_TRAJECTORY_FOLDER];
} sources;

static void map_part(const wl_part_list *list, int number, const int64_t first[2],
                     const sources *sources, wl_item *items, int count) {
  const wl_part *const s = &list->at[number];
  for (int i = 0; i < s->n_fields; i++) {
    const wl_field *const field = &s->fields[i];
    if (wl_field_count(field) == 0) continue;
    const int at = find_item(items, count, field->name);
    wl_source *const source = sources->at + (size_t)at * (size_t)list->count;
    items[at].sources = source;
    source[items[at].n_sources] =
        (wl_source){.file = sources->files[number], .at = first[wl_is_metric(field->name)]};
    memcpy(source[items[at].n_sources++].shape, field->shape, sizeof source->shape);
  }
}

static void map_parts(const wl_part_list *list, const sources *sources, wl_item *items, int count) {
  int64_t first[2] = {0, 0}; /* records, metrics */
  for (int i = 0; i < list->count; i++) {
    char name[WL_PART_NAME];
    wl_part_name(list->at[i].number, name);
    snprintf(sources->files[i], sizeof sources->files[i], WL_TRAJECTORY_FOLDER "/%s", name);
    map_part(list, i, first, sources, items, count);
    first[0] += list->at[i].records;
    first[1] += list->at[i].metrics;
  }
}

/* "1 2 5" */
static wl_status print_numbers(const wl_part_list *list, char **text) {
  const size_t room = (size_t)list->count * 21 + 1;
  size_t at = 0;
  WL_TRY(wl_alloc((void **)text, room, 1));
  for (int i = 0; i < list->count; i++)
    at += (size_t)snprintf(*text + at, room - at, "%s%lld", i > 0 ? " " : "",
                           (long long)list->at[i].number);
  return WL_OK;
}

static wl_status write_index(const char *path, wl_item *items, int count, const wl_field *index,
                             const wl_attribute *given, int n_given, const char *numbers) {
  wl_attribute attributes[8];
  WL_CHECK(n_given < 8);
  for (int i = 0; i < n_given; i++) attributes[i] = given[i];
  attributes[n_given] = (wl_attribute){"parts", numbers};
  if (index->shape[0] > 0) items[count++] = (wl_item){.field = *index};
  const wl_file_content content = {path,       WL_KIND_INDEX, items, count,
                                   attributes, n_given + 1,   NULL,  NULL};
  return wl_items_write(&content);
}

wl_status wl_index_write(const char *run, const wl_part_list *list, const wl_field *index,
                         const wl_attribute *attributes, int n_attributes) {
  wl_item *items = NULL;
  sources sources = {0};
  char path[WL_PATH_MAX], *numbers = NULL;
  int count = 0;
  wl_status status = wl_index_items(list, &items, &count);
  if (status == WL_OK) status = WL_NEW(sources.at, (int64_t)count * list->count + 1);
  if (status == WL_OK) status = WL_NEW(sources.files, list->count + 1);
  if (status == WL_OK) status = print_numbers(list, &numbers);
  if (status == WL_OK) status = wl_path_join(path, run, WL_TRAJECTORY_INDEX);
  if (status == WL_OK) {
    map_parts(list, &sources, items, count);
    status = write_index(path, items, count, index, attributes, n_attributes, numbers);
  }
  wl_free(items);
  wl_free(sources.at);
  wl_free(sources.files);
  wl_free(numbers);
  return status;
}
