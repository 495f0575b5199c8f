/* table.h - stores rows in memory, as one array for each column, before the rows are written to a file.
 *
 * A column is a field whose first dimension is the index of the row. There are two kinds of rows. A
 * record contains the values of one recorded window, and a row of metrics contains the values of
 * one meta-step. The name of a column of metrics starts with "metrics/". The value of an element
 * that is not set is NaN in a column of reals, and -1 in a column of integers. */
#ifndef WL_BASE_TABLE_H
#define WL_BASE_TABLE_H

#include "base/field.h"
#include "base/status.h"

typedef enum wl_row_kind { WL_RECORDS, WL_METRICS, WL_ROW_KINDS } wl_row_kind;

/* For each kind of rows, the name of the column that contains the number of meta-steps. */
extern const char *const wl_meta_step_columns[WL_ROW_KINDS];

enum { WL_TABLE_COLUMNS = 64 };

typedef struct wl_table { /* A zeroed table is empty. */
  wl_field columns[WL_TABLE_COLUMNS];
  int count;
  int64_t rows[WL_ROW_KINDS], room[WL_ROW_KINDS];
} wl_table;

/* Returns the kind of rows that a column with this name has. The dataset coordinate_index is not a
 * column and has no rows. */
wl_row_kind wl_row_kind_of(const char *name);
/* Returns the number of elements in a row of a column. */
int64_t wl_row_width(const wl_field *column);
/* Appends an empty column with the name, type, dimensions, unit and description of `like`. All
 * columns must be added before the first row. */
wl_status wl_table_add_column(wl_table *table, const wl_field *like);
int64_t wl_table_bytes(const wl_table *table); /* Returns the number of bytes that all rows occupy. */
/* Returns the column of that name, or NULL if there is no such column. */
const wl_field *wl_table_find(const wl_table *table, const char *name);
/* Returns true if both tables have columns with the same names, types and row shapes. */
bool wl_table_alike(const wl_table *a, const wl_table *b);
/* Sets the number of rows of one kind. Each column must have memory for these rows, or must have no
 * data. */
void wl_table_set_rows(wl_table *table, wl_row_kind kind, int64_t rows);
/* Appends `rows` rows with values that are not set (NaN and -1). If the function fails, no row is
 * appended. */
wl_status wl_table_extend(wl_table *table, wl_row_kind kind, int64_t rows);
/* Moves all rows to the end of a table that has the same columns or no columns. If the function
 * fails, no row is moved. */
wl_status wl_table_move_rows(wl_table *from, wl_table *to);
/* Returns the address of the first element of a row in a column. */
void *wl_table_cell(const wl_field *column, int64_t row);
void wl_table_clear(wl_table *table);

#endif
