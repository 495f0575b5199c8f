/* tensors.h - common code of rules that see tensors: the tensors of theta, pieces of tensors for threads, and state
 * fields.
 *
 * A tensor with two or more dimensions is treated as a matrix. The factored second moments of a matrix use the two
 * largest axes, `largest` and `second`, as in Adafactor (Shazeer and Stern 2018). Of two equal axes, the later one
 * counts as the larger. Rows are the indices of the tensor without its largest axis, and columns are the indices
 * without its second largest axis. A vector or scalar has no columns; each element is a row.
 *
 * A piece is a range of at most WL_PIECE coordinates of one tensor. Threads process pieces. The sums of all pieces are
 * added in order in double. The bits of a sum over a tensor therefore do not depend on the number of threads. */
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
  int largest, second; /* indices of axes; 0 for vectors and scalars */
  int64_t rows,
      columns; /* size / shape[largest], size / shape[second]; for vectors and scalars size and 0 */
} wl_factored;

typedef struct wl_tensor {
  int64_t offset, size;
  bool matrix;           /* rank 2 or more */
  double fan_in;         /* fan-in of a dense (in, out) or a convolution's (out, in, ...) tensor */
  double fan_out;        /* size / fan_in of a matrix */
  int64_t height, width; /* the first two axes; for a vector 1 and its size */
  int64_t taps; /* product of the other axes; element (r, c, tap) is (r width + c) taps + tap */
  wl_factored factored;
  int64_t row_at, column_at; /* offset of the tensor in fields of rows and of columns */
  int64_t first_piece, pieces;
} wl_tensor;

typedef struct wl_piece {
  int tensor;
  int64_t first, count; /* range of coordinates of theta */
} wl_piece;

typedef struct wl_tensors {
  int count;
  int64_t n;         /* number of coordinates */
  wl_tensor *tensor; /* [count] */
  int64_t pieces;
  wl_piece *piece; /* [pieces] */
} wl_tensors;

wl_factored wl_factored_of(const wl_tensor_entry *block);
wl_status wl_tensors_create(const wl_layout *theta, wl_tensors *out);
void wl_tensors_clear(wl_tensors *tensors);
size_t wl_tensors_bytes(const wl_layout *theta);
int64_t wl_tensors_pieces(const wl_layout *theta);

/* Sets sum [stride] to the sums over the tensor's pieces. `piece_sum` [pieces][stride] holds the values of all
 * pieces. */
void wl_tensors_sum(const wl_tensors *tensors, int tensor, int stride, const double *piece_sum,
                    double *sum);

/* Calls work(data, i) for 0 <= i < count on `threads` threads. With one thread, it does not start a team of threads: for
 * a small task, this would take as long as the work. */
static inline void wl_share_out(int threads, int64_t count, void (*work)(void *data, int64_t i),
                                void *data) {
  if (threads <= 1) {
    for (int64_t i = 0; i < count; i++) work(data, i);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < count; i++) work(data, i);
}

/* Returns the index of a field's first real in the state of a rule that sees tensors. */
int64_t wl_rule_field_offset(const wl_rule *rule, const wl_layout *theta, int field);
/* Sets the padding of `fields` consecutive arrays over coordinates to zero. */
void wl_tensors_clear_padding(int64_t n, int fields, wl_real *x);

#endif
