/* shared.c - keeps a list of the data that tasks share. Each entry of the list counts its users. */
#include "task/shared.h"

#include <stdio.h>
#include <string.h>
#include <threads.h>

enum { KEY_SIZE = 4096 + 128 };

typedef struct entry {
  char key[KEY_SIZE]; /* name of the kind, a blank, and the key of wl_shared_open */
  const wl_shared_kind *kind;
  int users;
  void *object;
  struct entry *next;
} entry;

static entry *opened; /* the list of open entries; a thread must hold `lock` to use it */
static mtx_t lock;
static once_flag lock_once = ONCE_FLAG_INIT;

static void make_lock(void) { mtx_init(&lock, mtx_plain); }

static void free_entry(entry *e) {
  if (e->object) e->kind->destroy(e->object);
  wl_free(e);
}

/* Finds the open entry with this key, or makes a new entry. The caller holds the lock. */
static wl_status find_or_make(const wl_shared_kind *kind, const char *key, const void *request,
                              entry **out) {
  for (entry *e = opened; e; e = e->next)
    if (strcmp(e->key, key) == 0) {
      *out = e;
      return WL_OK;
    }
  entry *e = NULL;
  WL_TRY(WL_NEW(e, 1));
  snprintf(e->key, sizeof e->key, "%s", key);
  e->kind = kind;
  const wl_status status = kind->make(request, &e->object);
  if (status != WL_OK) {
    free_entry(e);
    return status;
  }
  e->next = opened;
  opened = *out = e;
  return WL_OK;
}

wl_status wl_shared_open(const wl_shared_kind *kind, const char *key, const void *request,
                         const void **out) {
  char full[KEY_SIZE];
  WL_CHECK(snprintf(full, sizeof full, "%s %s", kind->name, key) < (int)sizeof full);
  call_once(&lock_once, make_lock);
  mtx_lock(&lock);
  entry *e = NULL;
  const wl_status status = find_or_make(kind, full, request, &e);
  if (status == WL_OK) {
    e->users++;
    *out = e->object;
  }
  mtx_unlock(&lock);
  return status;
}

void wl_shared_close(const void *object) {
  mtx_lock(&lock);
  for (entry **at = &opened; *at; at = &(*at)->next) {
    entry *e = *at;
    if (e->object != object) continue;
    if (--e->users == 0) {
      *at = e->next;
      free_entry(e);
    }
    break;
  }
  mtx_unlock(&lock);
}
