/* table.c - adds columns and rows to tables, and moves rows from one table to another. */
#include "base/table.h"

#include <string.h>

const char *const wl_meta_step_columns[] = {"meta_step", "metrics/meta_step"};

wl_row_kind wl_row_kind_of(const char *name) {
  return strncmp(name, "metrics/", 8) == 0 ? WL_METRICS : WL_RECORDS;
}

int64_t wl_row_width(const wl_field *column) {
  int64_t width = 1;
  for (int d = 1; d < column->ndim; d++) width *= column->shape[d];
  return width;
}

static size_t row_bytes(const wl_field *c) {
  return (size_t)wl_row_width(c) * wl_type_size(c->type);
}

wl_status wl_table_add_column(wl_table *table, const wl_field *like) {
  WL_CHECK(like->ndim >= 1 && table->count < WL_TABLE_COLUMNS);
  WL_CHECK(table->room[wl_row_kind_of(like->name)] == 0);
  wl_field *const column = &table->columns[table->count++];
  *column = *like;
  column->data = NULL;
  column->shape[0] = 0;
  return WL_OK;
}

void wl_table_set_rows(wl_table *table, wl_row_kind kind, int64_t rows) {
  table->rows[kind] = rows;
  for (int i = 0; i < table->count; i++)
    if (wl_row_kind_of(table->columns[i].name) == kind) table->columns[i].shape[0] = rows;
}

int64_t wl_table_bytes(const wl_table *table) {
  int64_t bytes = 0;
  for (int i = 0; i < table->count; i++)
    bytes += table->columns[i].shape[0] * (int64_t)row_bytes(&table->columns[i]);
  return bytes;
}

const wl_field *wl_table_find(const wl_table *table, const char *name) {
  for (int i = 0; i < table->count; i++)
    if (strcmp(table->columns[i].name, name) == 0) return &table->columns[i];
  return NULL;
}

bool wl_table_alike(const wl_table *a, const wl_table *b) {
  bool alike = a->count == b->count;
  for (int i = 0; alike && i < a->count; i++) {
    const wl_field *const x = &a->columns[i], *const y = wl_table_find(b, x->name);
    alike = y && x->type == y->type && x->half == y->half && x->ndim == y->ndim;
    for (int d = 1; alike && d < x->ndim; d++) alike = x->shape[d] == y->shape[d];
  }
  return alike;
}

void *wl_table_cell(const wl_field *column, int64_t row) {
  return (char *)column->data + (size_t)row * row_bytes(column);
}

static void fill_open(const wl_field *column, int64_t first, int64_t rows) {
  void *const cells = wl_table_cell(column, first);
  for (int64_t i = 0; i < rows * wl_row_width(column); i++) {
    if (column->type == WL_FLOAT32) ((float *)cells)[i] = __builtin_nanf("");
    else if (column->type == WL_FLOAT64) ((double *)cells)[i] = __builtin_nan("");
    else if (column->type == WL_INT64) ((int64_t *)cells)[i] = -1;
  }
}

/* Allocates memory for `rows` rows in each column of one kind. If an allocation fails, the numbers
 * of rows are unchanged. */
static wl_status reserve(wl_table *table, wl_row_kind kind, int64_t rows) {
  if (rows <= table->room[kind]) return WL_OK;
  const int64_t room = rows > 2 * table->room[kind] ? rows : 2 * table->room[kind];
  for (int i = 0; i < table->count; i++) {
    wl_field *const c = &table->columns[i];
    void *bigger = NULL;
    if (wl_row_kind_of(c->name) != kind) continue;
    WL_TRY(wl_alloc(&bigger, (size_t)room * row_bytes(c), 1));
    if (table->rows[kind] > 0) memcpy(bigger, c->data, (size_t)table->rows[kind] * row_bytes(c));
    wl_free(c->data);
    c->data = bigger;
  }
  table->room[kind] = room;
  return WL_OK;
}

wl_status wl_table_extend(wl_table *table, wl_row_kind kind, int64_t rows) {
  WL_TRY(reserve(table, kind, table->rows[kind] + rows));
  for (int i = 0; i < table->count; i++)
    if (wl_row_kind_of(table->columns[i].name) == kind)
      fill_open(&table->columns[i], table->rows[kind], rows);
  wl_table_set_rows(table, kind, table->rows[kind] + rows);
  return WL_OK;
}

wl_status wl_table_move_rows(wl_table *from, wl_table *to) {
  for (int i = 0; to->count < from->count; i++) /* this loop runs only if `to` has no columns */
    WL_TRY(wl_table_add_column(to, &from->columns[i]));
  WL_CHECK(wl_table_alike(from, to));
  for (int k = 0; k < WL_ROW_KINDS; k++) WL_TRY(reserve(to, k, to->rows[k] + from->rows[k]));
  for (int i = 0; i < from->count; i++) {
    const wl_field *const c = &from->columns[i], *const target = wl_table_find(to, c->name);
    if (c->shape[0] > 0)
      memcpy(wl_table_cell(target, target->shape[0]), c->data, (size_t)c->shape[0] * row_bytes(c));
  }
  for (int k = 0; k < WL_ROW_KINDS; k++) {
    wl_table_set_rows(to, k, to->rows[k] + from->rows[k]);
    wl_table_set_rows(from, k, 0);
  }
  return WL_OK;
}

void wl_table_clear(wl_table *table) {
  for (int i = 0; i < table->count; i++) wl_free(table->columns[i].data);
  *table = (wl_table){0};
}
