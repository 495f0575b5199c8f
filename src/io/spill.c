/* spill.c - a chunked dataset, one chunk for each row, read and written around HDF5's chunk cache: a row is
 * used once and then not for long. */
#include "io/spill.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/h5_support.h"

enum { PATH_SIZE = 4096 };

struct wl_spill {
  char folder[PATH_SIZE]; /* for messages */
  hid_t file, dataset, type;
  int64_t rows, width;
};

/* A file of a name that nobody else has. */
static wl_status make_name(const char *folder, char path[PATH_SIZE]) {
  if (snprintf(path, PATH_SIZE, "%s/warploom-replay-XXXXXX", folder) >= PATH_SIZE)
    return WL_FAIL(WL_ERR_CANNOT_CREATE, "%.200s...: the path of the folder is too long", folder);
  const int descriptor = mkstemp(path);
  if (descriptor < 0)
    return WL_FAIL(errno == EACCES ? WL_ERR_PERMISSION : WL_ERR_CANNOT_CREATE,
                   "%s: no scratch file can be made there: %s", folder, strerror(errno));
  close(descriptor);
  return WL_OK;
}

static wl_status create_dataset(wl_spill *s) {
  const hsize_t size[2] = {(hsize_t)s->rows, (hsize_t)s->width}, chunk[2] = {1, (hsize_t)s->width};
  const WL_H5_SCOPED space = H5Screate_simple(2, size, NULL);
  const WL_H5_SCOPED layout = H5Pcreate(H5P_DATASET_CREATE);
  const WL_H5_SCOPED uncached = H5Pcreate(H5P_DATASET_ACCESS);
  WL_TRY_H5(H5Pset_chunk(layout, 2, chunk), WL_ERR_CANNOT_CREATE, s->folder,
            "lay out a scratch file");
  H5Pset_fill_time(layout, H5D_FILL_TIME_NEVER);
  H5Pset_chunk_cache(uncached, 0, 0, 1.0);
  s->dataset = H5Dcreate2(s->file, "points", s->type, space, H5P_DEFAULT, layout, uncached);
  WL_TRY_H5(s->dataset, WL_ERR_CANNOT_CREATE, s->folder, "create the scratch dataset");
  return WL_OK;
}

static wl_status create_file(wl_spill *s) {
  char path[PATH_SIZE];
  WL_TRY(make_name(s->folder, path));
  const WL_H5_SCOPED access = wl_h5_access();
  s->file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
  unlink(path);
  WL_TRY_H5(s->file, WL_ERR_CANNOT_CREATE, s->folder, "create a scratch file");
  return create_dataset(s);
}

wl_status wl_spill_open(const char *folder, int64_t rows, int64_t width, wl_type type, bool half,
                        wl_spill **out) {
  wl_spill *s = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(s, 1));
  *s =
      (wl_spill){.file = H5I_INVALID_HID, .dataset = H5I_INVALID_HID, .rows = rows, .width = width};
  snprintf(s->folder, sizeof s->folder, "%s", folder);
  wl_h5_lock();
  wl_h5_quiet();
  s->type = wl_h5_type(type, half);
  const wl_status status = create_file(s);
  wl_h5_unlock();
  if (status != WL_OK) wl_spill_close(&s);
  *out = s;
  return status;
}

void wl_spill_close(wl_spill **spill) {
  wl_spill *s = *spill;
  if (!s) return;
  wl_h5_lock();
  wl_h5_release(&s->dataset);
  wl_h5_release(&s->type);
  wl_h5_release(&s->file);
  wl_h5_unlock();
  wl_free(s);
  *spill = NULL;
}

/* The selection of a row in the file, and of as many elements in memory. */
static wl_status select_row(const wl_spill *s, int64_t row, hid_t *in_file, hid_t *in_memory) {
  const hsize_t start[2] = {(hsize_t)row, 0}, count[2] = {1, (hsize_t)s->width};
  WL_CHECK(row >= 0 && row < s->rows);
  *in_file = H5Dget_space(s->dataset);
  *in_memory = H5Screate_simple(2, count, NULL);
  WL_TRY_H5(H5Sselect_hyperslab(*in_file, H5S_SELECT_SET, start, NULL, count, NULL), WL_ERR_IO,
            s->folder, "select row %lld of the scratch file", (long long)row);
  return WL_OK;
}

static wl_status write_row(wl_spill *s, int64_t row, const void *elements) {
  hid_t in_file = H5I_INVALID_HID, in_memory = H5I_INVALID_HID;
  const wl_status status = select_row(s, row, &in_file, &in_memory);
  const WL_H5_SCOPED from = in_memory, to = in_file;
  WL_TRY(status);
  WL_TRY_H5(H5Dwrite(s->dataset, s->type, from, to, H5P_DEFAULT, elements), WL_ERR_IO, s->folder,
            "write row %lld of the scratch file", (long long)row);
  return WL_OK;
}

static wl_status read_row(wl_spill *s, int64_t row, void *elements) {
  hid_t in_file = H5I_INVALID_HID, in_memory = H5I_INVALID_HID;
  const wl_status status = select_row(s, row, &in_file, &in_memory);
  const WL_H5_SCOPED to = in_memory, from = in_file;
  WL_TRY(status);
  WL_TRY_H5(H5Dread(s->dataset, s->type, to, from, H5P_DEFAULT, elements), WL_ERR_IO, s->folder,
            "read row %lld of the scratch file", (long long)row);
  return WL_OK;
}

wl_status wl_spill_write(wl_spill *s, int64_t row, const void *elements) {
  wl_h5_lock();
  const wl_status status = write_row(s, row, elements);
  wl_h5_unlock();
  return status;
}

wl_status wl_spill_read(wl_spill *s, int64_t row, void *elements) {
  wl_h5_lock();
  const wl_status status = read_row(s, row, elements);
  wl_h5_unlock();
  return status;
}
