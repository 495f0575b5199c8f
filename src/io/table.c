/* table.c - growing columns. */
#include "io/table.h"

#include <string.h>

/* A new array of `count` items whose first `used` are those of `old`, which is freed. */
static wl_status grow(void **array, int64_t used, int64_t count, size_t size) {
  void *bigger = NULL;
  WL_TRY(wl_alloc(&bigger, (size_t)count, size));
  if (used > 0) memcpy(bigger, *array, (size_t)used * size);
  wl_free(*array);
  *array = bigger;
  return WL_OK;
}

wl_status wl_table_add_column(wl_table *table, const wl_field *like, bool half) {
  WL_CHECK(table->rows == 0 && table->room == 0 && like->ndim >= 1);
  if (table->count == table->capacity) {
    const int capacity = 2 * table->capacity + 16;
    WL_TRY(grow((void **)&table->columns, table->count, capacity, sizeof *table->columns));
    table->capacity = capacity;
  }
  wl_column *const column = &table->columns[table->count++];
  *column = (wl_column){*like, half, 1};
  column->field.data = NULL;
  for (int d = 1; d < like->ndim; d++) column->width *= like->shape[d];
  return WL_OK;
}

wl_status wl_table_like(wl_table *table, const wl_table *like) {
  for (int i = 0; i < like->count; i++)
    WL_TRY(wl_table_add_column(table, &like->columns[i].field, like->columns[i].half));
  return WL_OK;
}

int64_t wl_table_bytes(const wl_table *table) {
  int64_t width = 0;
  for (int i = 0; i < table->count; i++)
    width += table->columns[i].width * (int64_t)wl_type_size(table->columns[i].field.type);
  return width * table->rows;
}

wl_column *wl_table_find(wl_table *table, const char *name) {
  for (int i = 0; i < table->count; i++)
    if (strcmp(table->columns[i].field.name, name) == 0) return &table->columns[i];
  return NULL;
}

void *wl_table_cell(const wl_column *column, int64_t row) {
  return (char *)column->field.data +
         (size_t)(row * column->width) * wl_type_size(column->field.type);
}

static void fill_open(const wl_column *column, int64_t first, int64_t rows) {
  void *const cells = wl_table_cell(column, first);
  for (int64_t i = 0; i < rows * column->width; i++) {
    if (column->field.type == WL_FLOAT32) ((float *)cells)[i] = __builtin_nanf("");
    else if (column->field.type == WL_FLOAT64) ((double *)cells)[i] = __builtin_nan("");
    else if (column->field.type == WL_INT64) ((int64_t *)cells)[i] = -1;
  }
}

/* Each column grows for itself: when one cannot, the others have room to spare and no row is added. */
static wl_status reserve(wl_table *table, int64_t rows) {
  if (rows <= table->room) return WL_OK;
  const int64_t room = rows > 2 * table->room ? rows : 2 * table->room;
  for (int i = 0; i < table->count; i++) {
    wl_column *const c = &table->columns[i];
    WL_TRY(
        grow(&c->field.data, table->rows * c->width, room * c->width, wl_type_size(c->field.type)));
  }
  table->room = room;
  return WL_OK;
}

wl_status wl_table_extend(wl_table *table, int64_t rows) {
  WL_TRY(reserve(table, table->rows + rows));
  for (int i = 0; i < table->count; i++) fill_open(&table->columns[i], table->rows, rows);
  table->rows += rows;
  return WL_OK;
}

int wl_table_items(const wl_table *table, int compression, wl_item *items) {
  for (int i = 0; i < table->count; i++) {
    const wl_column *const c = &table->columns[i];
    items[i] = (wl_item){.field = c->field, .half = c->half, .compression = compression};
    items[i].field.shape[0] = table->rows;
  }
  return table->count;
}

void wl_table_clear(wl_table *table) {
  for (int i = 0; i < table->count; i++) wl_free(table->columns[i].field.data);
  wl_free(table->columns);
  *table = (wl_table){0};
}
