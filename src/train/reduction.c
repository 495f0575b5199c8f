/* reduction.c - allocates the units' contributions and defines their layout for the exact sum. */
#include "train/reduction.h"

/* Divides a contribution into blocks. The exact sum rounds all numbers of a block to multiples of
 * one quantum. Each tensor of phi in a contribution is one block. Each of the WL_SUM_COUNT numbers
 * at the end is also one block. */
static wl_status lay_out(const wl_layout *phi, wl_reduction *r) {
  const int64_t copies = phi->size > 0 ? r->width / phi->size : 0;
  r->n_quanta = copies * phi->count + WL_SUM_COUNT;
  WL_TRY(WL_NEW(r->quanta, r->n_quanta + 1));
  for (int64_t c = 0; c < copies; c++)
    for (int i = 0; i < phi->count; i++)
      r->quanta[c * phi->count + i] = c * phi->size + phi->tensors[i].offset;
  for (int64_t i = 0; i <= WL_SUM_COUNT; i++) r->quanta[copies * phi->count + i] = r->width + i;
  return WL_OK;
}

wl_status wl_reduction_create(const wl_layout *phi, int64_t width, wl_reduction *r) {
  *r = (wl_reduction){.width = width, .vector = width + WL_SUM_COUNT};
  WL_TRY(lay_out(phi, r));
  WL_TRY(WL_NEW(r->sum, r->vector));
  return WL_NEW(r->gradient, phi->size);
}

void wl_reduction_clear(wl_reduction *r) {
  void *const owned[] = {r->quanta, r->vectors, r->counted, r->sum, r->gradient};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
  *r = (wl_reduction){0};
}

wl_status wl_reduction_reserve(wl_reduction *r, int64_t own) {
  if (own <= r->room) return WL_OK;
  r->room = 0;
  wl_free(r->vectors);
  wl_free(r->counted);
  r->vectors = NULL;
  r->counted = NULL;
  WL_TRY(WL_NEW(r->vectors, own * r->vector));
  WL_TRY(WL_NEW(r->counted, own));
  r->room = own;
  return WL_OK;
}

wl_exact_sum wl_reduction_sum(const wl_reduction *r, int64_t own, int64_t total) {
  return (wl_exact_sum){.vectors = r->vectors,
                        .units = own,
                        .counted = r->counted,
                        .count = r->vector,
                        .blocks = r->quanta,
                        .n_blocks = r->n_quanta,
                        .total = total,
                        .sum = r->sum};
}
