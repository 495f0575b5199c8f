/* tensors.c - computes properties of theta's tensors for the update rules that use whole tensors
 * (tensors.h). */
#include "rule/tensors.h"

#include <string.h>

/* Returns the index of the largest axis other than `taken`. If several axes have this size, the
 * function returns the last of these axes. */
static int largest_axis(const wl_tensor_entry *b, int taken) {
  int best = -1;
  for (int a = 0; a < b->ndim; a++)
    if (a != taken && (best < 0 || b->shape[a] >= b->shape[best])) best = a;
  return best;
}

wl_factored wl_factored_of(const wl_tensor_entry *b) {
  if (b->ndim < 2) return (wl_factored){.rows = b->size};
  wl_factored f = {.largest = largest_axis(b, -1)};
  f.second = largest_axis(b, f.largest);
  f.rows = b->size / b->shape[f.largest];
  f.columns = b->size / b->shape[f.second];
  return f;
}

static int64_t pieces_of(const wl_tensor_entry *b) { return (b->size + WL_PIECE - 1) / WL_PIECE; }

int64_t wl_tensors_pieces(const wl_layout *theta) {
  int64_t pieces = 0;
  for (int j = 0; j < theta->count; j++) pieces += pieces_of(&theta->tensors[j]);
  return pieces;
}

static wl_tensor describe(const wl_tensor_entry *b) {
  wl_tensor t = {.offset = b->offset,
                 .size = b->size,
                 .matrix = b->ndim >= 2,
                 .fan_in = 1,
                 .fan_out = 1,
                 .height = 1,
                 .width = b->size,
                 .taps = 1,
                 .factored = wl_factored_of(b),
                 .pieces = pieces_of(b)};
  if (!t.matrix) return t;
  t.height = b->shape[0];
  t.width = b->shape[1];
  t.taps = b->size / (t.height * t.width);
  t.fan_in = (double)(b->ndim == 2 ? t.height : b->size / t.height);
  t.fan_out = (double)b->size / t.fan_in;
  return t;
}

static void cut(wl_tensors *tensors, int j) {
  const wl_tensor *const t = &tensors->tensor[j];
  for (int64_t i = 0; i < t->pieces; i++) {
    const int64_t first = i * WL_PIECE, left = t->size - first;
    tensors->piece[t->first_piece + i] =
        (wl_piece){j, t->offset + first, left < WL_PIECE ? left : WL_PIECE};
  }
}

wl_status wl_tensors_create(const wl_layout *theta, wl_tensors *out) {
  *out = (wl_tensors){.count = theta->count, .n = theta->size, .pieces = wl_tensors_pieces(theta)};
  WL_TRY(WL_NEW(out->tensor, theta->count + 1));
  WL_TRY(WL_NEW(out->piece, out->pieces + 1));
  int64_t row = 0, column = 0, piece = 0;
  for (int j = 0; j < theta->count; j++) {
    wl_tensor *const t = &out->tensor[j];
    *t = describe(&theta->tensors[j]);
    t->row_at = row;
    t->column_at = column;
    t->first_piece = piece;
    row += t->factored.rows;
    column += t->factored.columns;
    piece += t->pieces;
    cut(out, j);
  }
  return WL_OK;
}

void wl_tensors_clear(wl_tensors *tensors) {
  wl_free(tensors->tensor);
  wl_free(tensors->piece);
  *tensors = (wl_tensors){0};
}

size_t wl_tensors_bytes(const wl_layout *theta) {
  return (size_t)(theta->count + 1) * sizeof(wl_tensor) +
         (size_t)(wl_tensors_pieces(theta) + 1) * sizeof(wl_piece);
}

void wl_tensors_sum(const wl_tensors *tensors, int tensor, int stride, const double *piece_sum,
                    double *sum) {
  const wl_tensor *const t = &tensors->tensor[tensor];
  for (int i = 0; i < stride; i++) sum[i] = 0;
  for (int64_t p = t->first_piece; p < t->first_piece + t->pieces; p++)
    for (int i = 0; i < stride; i++) sum[i] += piece_sum[p * stride + i];
}

void wl_tensors_clear_padding(int64_t n, int fields, wl_real *x) {
  const int64_t pad = wl_pad(n);
  for (int f = 0; f < fields; f++) memset(x + f * pad + n, 0, (size_t)(pad - n) * sizeof *x);
}
