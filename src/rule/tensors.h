/* tensors.h - declares the functions shared by the update rules that receive whole tensors instead
 * of single coordinates. The functions describe the tensors of theta, divide the tensors into
 * pieces for the threads, and find the fields of the state.
 *
 * A tensor with two or more dimensions is treated as a matrix. The factored second moments of a
 * matrix use the two largest axes, `largest` and `second`, as in Adafactor (Shazeer and Stern
 * 2018). If two axes have the same size, the later axis counts as the larger one. There is one row
 * for each combination of indices along all axes except the largest. There is one column for each
 * combination of indices along all axes except the second largest. Each element of a vector is a
 * row, and a vector has no columns. A scalar is a vector of one element.
 *
 * A piece is a range of at most WL_PIECE coordinates of one tensor. Each piece is processed by one
 * thread. The sums of the pieces are added in a fixed order, in double precision. The bits of a sum
 * over a tensor therefore do not depend on the number of threads. */
#ifndef WL_RULE_TENSORS_H
#define WL_RULE_TENSORS_H

#include "rule/rule.h"

#ifdef _OPENMP
#include <omp.h>
static inline int wl_thread_index(void) { return omp_get_thread_num(); }
#else
static inline int wl_thread_index(void) { return 0; }
#endif

enum { WL_PIECE = 2048 };

typedef struct wl_factored {
  int largest, second; /* indices of the two largest axes; 0 for vectors and scalars */
  /* numbers of rows and columns; for a matrix: size / shape[largest] and size / shape[second]; for
   * a vector: size and 0 */
  int64_t rows, columns;
} wl_factored;

typedef struct wl_tensor {
  int64_t offset, size;
  bool matrix; /* true: the tensor has two or more dimensions */
  /* fan-in of the weight of a dense layer (in, out) or of a convolution (out, in, ...) */
  double fan_in;
  double fan_out;        /* fan-out: size / fan_in for a matrix, 1 for a vector */
  int64_t height, width; /* sizes of the first two axes; for a vector, 1 and its size */
  /* number of taps, which is the product of the sizes of all axes after the first two; element (r,
   * c, tap) has the index (r * width + c) * taps + tap */
  int64_t taps;
  wl_factored factored;
  /* index of the tensor's first row in a field of rows, and index of its first column in a field
   * of columns */
  int64_t row_at, column_at;
  int64_t first_piece, pieces;
} wl_tensor;

typedef struct wl_piece {
  int tensor;
  int64_t first, count; /* index of the first coordinate in theta, and number of coordinates */
} wl_piece;

typedef struct wl_tensors {
  int count;
  int64_t n;         /* number of coordinates of theta */
  wl_tensor *tensor; /* [count] */
  int64_t pieces;
  wl_piece *piece; /* [pieces] */
} wl_tensors;

wl_factored wl_factored_of(const wl_tensor_entry *block);
wl_status wl_tensors_create(const wl_layout *theta, wl_tensors *out);
void wl_tensors_clear(wl_tensors *tensors);
size_t wl_tensors_bytes(const wl_layout *theta);
int64_t wl_tensors_pieces(const wl_layout *theta);

/* For each of `stride` quantities, adds up the values of one tensor's pieces, and writes the sums
 * to sum [stride]. The array piece_sum [pieces][stride] contains the values of the pieces of all
 * tensors. */
void wl_tensors_sum(const wl_tensors *tensors, int tensor, int stride, const double *piece_sum,
                    double *sum);

/* Calls work(data, i) for 0 <= i < count on `threads` threads. If `threads` is 1, the function does
 * not start a team of threads, because starting a team would need as much time as a small amount of
 * work. */
static inline void wl_share_out(int threads, int64_t count, void (*work)(void *data, int64_t i),
                                void *data) {
  if (threads <= 1) {
    for (int64_t i = 0; i < count; i++) work(data, i);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < count; i++) work(data, i);
}

/* Returns the index of a field's first element in the state of a rule that uses
 * the shapes of tensors. */
int64_t wl_rule_field_offset(const wl_rule *rule, const wl_layout *theta, int field);
/* Sets the padding elements of `fields` consecutive arrays over n coordinates to zero. */
void wl_tensors_clear_padding(int64_t n, int fields, wl_real *x);

#endif
