/* body.c - the large parts first, by a thread where they are very large; the caller reads back behind.
 *
 * Reading back compares XXH3 of what is in the file with that of what is in memory, part by part: nothing
 * but the read bytes enters the hash of the body. */
#include "io/body.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* BUFFER stays in the second-level cache. */
enum { BUFFER = 1 << 17, WIDE = 1 << 25 };

/* ---- the writing thread ---- */

/* Tells how far writing has come; false when it shall stop. */
static bool report(wl_body *b, uint64_t reached) {
  pthread_mutex_lock(&b->lock);
  b->reached = reached;
  const bool go_on = !b->given_up;
  pthread_cond_signal(&b->moved);
  pthread_mutex_unlock(&b->lock);
  return go_on;
}

static wl_status write_direct(wl_body *b) {
  for (int i = 0; i < b->n_direct; i++) {
    const wl_part *const p = &b->direct[i];
    for (uint64_t at = 0; at < p->bytes; at += WL_ATOMIC_SLICE) {
      const uint64_t left = p->bytes - at, bytes = left < WL_ATOMIC_SLICE ? left : WL_ATOMIC_SLICE;
      WL_TRY(wl_atomic_put(b->file, p->offset + at, (const char *)p->data + at, bytes));
      if (!report(b, p->offset + at + bytes)) return WL_OK;
    }
  }
  return WL_OK;
}

static wl_status run_writing(void *data) {
  wl_body *const b = data;
  const wl_status status = write_direct(b);
  pthread_mutex_lock(&b->lock);
  b->over = true;
  pthread_cond_signal(&b->moved);
  pthread_mutex_unlock(&b->lock);
  return status;
}

bool wl_body_is_wide(const wl_part *direct, int n_direct) {
  uint64_t bytes = 0;
  for (int i = 0; i < n_direct; i++) bytes += direct[i].bytes;
  return bytes >= WIDE;
}

void wl_body_start(wl_body *b, const wl_atomic_file *file, const wl_part *direct, int n_direct) {
  *b = (wl_body){.file = file, .direct = direct, .n_direct = n_direct, .over = n_direct == 0};
  pthread_mutex_init(&b->lock, NULL);
  pthread_cond_init(&b->moved, NULL);
  const bool wide = wl_body_is_wide(direct, n_direct);
  if (n_direct > 0) (wide ? wl_aside_start : wl_aside_run)(&b->writing, run_writing, b);
}

void wl_body_end(wl_body *b) {
  pthread_mutex_lock(&b->lock);
  b->given_up = true;
  pthread_mutex_unlock(&b->lock);
  wl_aside_drop(&b->writing);
  pthread_cond_destroy(&b->moved);
  pthread_mutex_destroy(&b->lock);
}

/* ---- reading back ---- */

/* Waits until the direct parts are written up to `end`; returns the error that they stopped with before. */
static wl_status wait_for(wl_body *b, uint64_t end) {
  pthread_mutex_lock(&b->lock);
  while (b->reached < end && !b->over) pthread_cond_wait(&b->moved, &b->lock);
  const bool written = b->reached >= end;
  pthread_mutex_unlock(&b->lock);
  if (written) return WL_OK;
  WL_TRY(wl_aside_wait(&b->writing));
  return WL_FAIL(WL_ERR_SOFTWARE, "'%s': writing stopped early", b->file->path);
}

/* What reading back needs. */
typedef struct reader {
  XXH3_state_t *body, *part;
  char *buffer;
} reader;

static wl_status read_part(wl_body *b, const wl_part *p, const reader *r) {
  XXH3_64bits_reset(r->part);
  for (uint64_t at = 0; at < p->bytes; at += BUFFER) {
    const size_t left = p->bytes - at, bytes = left < BUFFER ? left : BUFFER;
    if (p->hash) WL_TRY(wait_for(b, p->offset + at + bytes));
    WL_TRY(wl_atomic_get(b->file, p->offset + at, r->buffer, bytes));
    XXH3_64bits_update(r->body, r->buffer, bytes);
    XXH3_64bits_update(r->part, r->buffer, bytes);
  }
  const uint64_t expected = p->hash ? *p->hash : XXH3_64bits(p->data, p->bytes);
  if (XXH3_64bits_digest(r->part) == expected) return WL_OK;
  return WL_FAIL(
      WL_ERR_DATA,
      "'%s': what is read back is not what was written: the disk or the memory is faulty, "
      "or the state was changed while it was written",
      b->file->path);
}

static wl_status read_back(wl_body *b, const wl_part *parts, int n_parts, uint64_t *hash) {
  const reader r = {XXH3_createState(), XXH3_createState(), malloc(BUFFER)};
  wl_status status = r.body && r.part && r.buffer
                         ? WL_OK
                         : WL_FAIL(WL_ERR_OS, "out of memory while writing '%s'", b->file->path);
  if (status == WL_OK) XXH3_64bits_reset(r.body);
  for (int i = 0; status == WL_OK && i < n_parts; i++) status = read_part(b, &parts[i], &r);
  if (status == WL_OK) *hash = XXH3_64bits_digest(r.body);
  free(r.buffer);
  XXH3_freeState(r.part);
  XXH3_freeState(r.body);
  return status;
}

wl_status wl_body_finish(wl_body *b, const wl_part *parts, int n_parts, uint64_t *hash) {
  for (int i = 0; i < n_parts; i++)
    if (!parts[i].hash)
      WL_TRY(wl_atomic_put(b->file, parts[i].offset, parts[i].data, parts[i].bytes));
  WL_TRY(read_back(b, parts, n_parts, hash));
  return wl_aside_wait(&b->writing);
}
