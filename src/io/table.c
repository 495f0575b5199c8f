/* table.c - adds rows to columns and moves them between tables. */
#include "io/table.h"

#include <string.h>

const char *const wl_meta_step_columns[] = {"meta_step", "metrics/meta_step"};

wl_row_kind wl_row_kind_of(const char *name) {
  return strncmp(name, "metrics/", 8) == 0 ? WL_METRICS : WL_RECORDS;
}

wl_status wl_table_add_column(wl_table *table, const wl_field *like) {
  WL_CHECK(like->ndim >= 1 && table->count < WL_TABLE_COLUMNS);
  WL_CHECK(table->room[wl_row_kind_of(like->name)] == 0);
  wl_column *const column = &table->columns[table->count++];
  *column = (wl_column){*like, 1};
  column->field.data = NULL;
  for (int d = 1; d < like->ndim; d++) column->width *= like->shape[d];
  return WL_OK;
}

static size_t cell_bytes(const wl_column *c) {
  return (size_t)c->width * wl_type_size(c->field.type);
}

static int64_t rows_of(const wl_table *table, const wl_column *c) {
  return table->rows[wl_row_kind_of(c->field.name)];
}

int64_t wl_table_bytes(const wl_table *table) {
  int64_t bytes = 0;
  for (int i = 0; i < table->count; i++)
    bytes += (int64_t)cell_bytes(&table->columns[i]) * rows_of(table, &table->columns[i]);
  return bytes;
}

const wl_column *wl_table_find(const wl_table *table, const char *name) {
  for (int i = 0; i < table->count; i++)
    if (strcmp(table->columns[i].field.name, name) == 0) return &table->columns[i];
  return NULL;
}

bool wl_table_alike(const wl_table *a, const wl_table *b) {
  bool alike = a->count == b->count;
  for (int i = 0; alike && i < a->count; i++) {
    const wl_field *const x = &a->columns[i].field;
    const wl_column *const other = wl_table_find(b, x->name);
    const wl_field *const y = other ? &other->field : NULL;
    alike = y && x->type == y->type && x->half == y->half && x->ndim == y->ndim;
    for (int d = 1; alike && d < x->ndim; d++) alike = x->shape[d] == y->shape[d];
  }
  return alike;
}

void *wl_table_cell(const wl_column *column, int64_t row) {
  return (char *)column->field.data + (size_t)row * cell_bytes(column);
}

static void fill_open(const wl_column *column, int64_t first, int64_t rows) {
  void *const cells = wl_table_cell(column, first);
  for (int64_t i = 0; i < rows * column->width; i++) {
    if (column->field.type == WL_FLOAT32) ((float *)cells)[i] = __builtin_nanf("");
    else if (column->field.type == WL_FLOAT64) ((double *)cells)[i] = __builtin_nan("");
    else if (column->field.type == WL_INT64) ((int64_t *)cells)[i] = -1;
  }
}

/* Allocates memory for more rows in each column. If an allocation fails, no row is added, and some columns may have
 * unused memory. */
static wl_status reserve(wl_table *table, wl_row_kind kind, int64_t rows) {
  if (rows <= table->room[kind]) return WL_OK;
  const int64_t room = rows > 2 * table->room[kind] ? rows : 2 * table->room[kind];
  for (int i = 0; i < table->count; i++) {
    wl_column *const c = &table->columns[i];
    void *bigger = NULL;
    if (wl_row_kind_of(c->field.name) != kind) continue;
    WL_TRY(wl_alloc(&bigger, (size_t)room * cell_bytes(c), 1));
    if (table->rows[kind] > 0)
      memcpy(bigger, c->field.data, (size_t)table->rows[kind] * cell_bytes(c));
    wl_free(c->field.data);
    c->field.data = bigger;
  }
  table->room[kind] = room;
  return WL_OK;
}

wl_status wl_table_extend(wl_table *table, wl_row_kind kind, int64_t rows) {
  WL_TRY(reserve(table, kind, table->rows[kind] + rows));
  for (int i = 0; i < table->count; i++)
    if (wl_row_kind_of(table->columns[i].field.name) == kind)
      fill_open(&table->columns[i], table->rows[kind], rows);
  table->rows[kind] += rows;
  return WL_OK;
}

wl_status wl_table_move_rows(wl_table *from, wl_table *to) {
  for (int i = 0; to->count < from->count; i++) /* only if `to` has no columns */
    WL_TRY(wl_table_add_column(to, &from->columns[i].field));
  WL_CHECK(wl_table_alike(from, to));
  for (int k = 0; k < WL_ROW_KINDS; k++) WL_TRY(reserve(to, k, to->rows[k] + from->rows[k]));
  for (int i = 0; i < from->count; i++) {
    const wl_column *const c = &from->columns[i], *const target = wl_table_find(to, c->field.name);
    if (rows_of(from, c) > 0)
      memcpy(wl_table_cell(target, rows_of(to, c)), c->field.data,
             (size_t)rows_of(from, c) * cell_bytes(c));
  }
  for (int k = 0; k < WL_ROW_KINDS; k++) {
    to->rows[k] += from->rows[k];
    from->rows[k] = 0;
  }
  return WL_OK;
}

wl_item wl_table_item(const wl_table *table, int i, int compression) {
  const wl_column *const c = &table->columns[i];
  wl_item item = {.field = c->field, .compression = compression};
  item.field.shape[0] = rows_of(table, c);
  return item;
}

void wl_table_clear(wl_table *table) {
  for (int i = 0; i < table->count; i++) wl_free(table->columns[i].field.data);
  *table = (wl_table){0};
}
