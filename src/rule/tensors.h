/* tensors.h - what tensorwise rules share: axes, state fields, and sums over tensors.
 *
 * A tensor of rank 2 or more is factored over its two largest axes, as in Adafactor (Shazeer and
 * Stern 2018): `largest` and `second` (of equal ones the later is the larger). Rows are the indices
 * of the tensor without its largest axis, columns those without its second largest. */
#ifndef WL_RULE_TENSORS_H
#define WL_RULE_TENSORS_H

#include "rule/rule.h"

typedef struct wl_factored {
  bool whole;            /* rank below 2: nothing is factored, rows = columns = 0 */
  int largest, second;   /* axes */
  int64_t rows, columns; /* size / shape[largest], size / shape[second] */
} wl_factored;

static inline wl_factored wl_factored_of(const wl_block *b) {
  wl_factored f = {.whole = b->ndim < 2};
  if (f.whole) return f;
  for (int a = 1; a < b->ndim; a++)
    if (b->shape[a] >= b->shape[f.largest]) f.largest = a;
  f.second = f.largest == 0 ? 1 : 0;
  for (int a = f.second + 1; a < b->ndim; a++)
    if (a != f.largest && b->shape[a] >= b->shape[f.second]) f.second = a;
  f.rows = b->size / b->shape[f.largest];
  f.columns = b->size / b->shape[f.second];
  return f;
}

/* First real of a tensorwise rule's field in the state. */
int64_t wl_rule_field_offset(const wl_rule *rule, const wl_layout *theta, int field);

#endif
