/* gate.c - checks the links, the objects, and the types, sizes and storage of the datasets in a
 * file.
 *
 * Links are visited in the order in which they are stored. To visit links in another order, HDF5
 * would first build a table of the links. HDF5 can crash while it builds this table from a damaged
 * file.
 *
 * The file must contain all bytes of contiguous and compact data, and all chunks of chunked data.
 * The filter deflate compresses data by a factor of at most 1032. A file that declares more data
 * than it can contain is therefore an error. */
#include "io/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum {
  MOST_OBJECTS = 1 << 16,
  MOST_CHUNKS = 1 << 14,
  DEEPEST = 8,
  NAME = 512,
  DEFLATE_LIMIT = 1032
};
static const uint64_t LARGEST_CHUNK = UINT64_C(1) << 25, LARGEST_DATASET = UINT64_C(1) << 42;

/* ---- files ---- */

wl_status wl_gate_open_file(const char *path, hid_t *file) {
  int fd = -1;
  uint64_t bytes = 0;
  *file = H5I_INVALID_HID;
  wl_h5_quiet();
  WL_TRY(wl_open_to_read(path, &fd, &bytes));
  close(fd);
  const WL_H5_SCOPED access = wl_h5_access();
  *file = H5Fopen(path, H5F_ACC_RDONLY, access);
  WL_TRY_H5(*file, WL_ERR_DATA, path, "open the HDF5 content");
  return WL_OK;
}

/* ---- links and objects ---- */

typedef struct walk {
  const char *path;
  bool virtual;
  wl_names *datasets;
  int objects;
  wl_status status;
} walk;

static bool is_bare_scale(const walk *w, hid_t dataset) {
  char *class = NULL, *name = NULL;
  const bool bare = H5Aexists(dataset, "CLASS") > 0 && H5Aexists(dataset, "NAME") > 0 &&
                    wl_h5_get_text(w->path, dataset, "CLASS", &class) == WL_OK &&
                    wl_h5_get_text(w->path, dataset, "NAME", &name) == WL_OK &&
                    strcmp(class, "DIMENSION_SCALE") == 0 &&
                    strncmp(name, WL_BARE_SCALE, sizeof WL_BARE_SCALE - 1) == 0;
  free(class);
  free(name);
  return bare;
}

static wl_status take_dataset(walk *w, hid_t file, const char *name) {
  if (w->virtual) return wl_names_add(w->datasets, name);
  const WL_H5_SCOPED dataset = H5Dopen2(file, name, H5P_DEFAULT);
  WL_TRY_H5(dataset, WL_ERR_DATA, w->path, "open dataset '%s'", name);
  return is_bare_scale(w, dataset) ? WL_OK : wl_names_add(w->datasets, name);
}

static wl_status check_group(const walk *w, const char *name) {
  int depth = 1;
  for (const char *at = name; *at; at++) depth += *at == '/';
  return depth <= DEEPEST ? WL_OK
                          : WL_FAIL(WL_ERR_DATA, "'%s' has groups that are nested more than %d "
                                                 "deep: '%s'", w->path,
                                    DEEPEST, name);
}

static wl_status take_object(walk *w, hid_t file, const char *name, H5L_type_t type) {
  H5O_info_t object = {0};
  if (++w->objects > MOST_OBJECTS)
    return WL_FAIL(WL_ERR_DATA, "'%s' has more than %d objects", w->path, MOST_OBJECTS);
  if (strlen(name) >= NAME)
    return WL_FAIL(WL_ERR_DATA, "'%s' has a name of more than %d characters", w->path, NAME);
  if (type != H5L_TYPE_HARD)
    return WL_FAIL(WL_ERR_DATA,
                   "'%s' of '%s' is a soft or external link; only hard links are read", name,
                   w->path);
#if H5_VERSION_GE(1, 12, 0)
  const herr_t got = H5Oget_info_by_name3(file, name, &object, H5O_INFO_BASIC, H5P_DEFAULT);
#else
  const herr_t got = H5Oget_info_by_name2(file, name, &object, H5O_INFO_BASIC, H5P_DEFAULT);
#endif
  WL_TRY_H5(got, WL_ERR_DATA, w->path, "look at '%s'", name);
  if (object.rc != 1)
    return WL_FAIL(WL_ERR_DATA, "'%s' of '%s' has %u links, but one link is expected", name, w->path,
                   object.rc);
  if (object.type == H5O_TYPE_DATASET) return take_dataset(w, file, name);
  if (object.type == H5O_TYPE_GROUP) return check_group(w, name);
  return WL_FAIL(WL_ERR_DATA, "'%s' of '%s' is neither a group nor a dataset", name, w->path);
}

/* Checks the link to one object and the type of the object. HDF5 calls this function for a group
 * before it visits the objects in the group. */
static herr_t take_link(hid_t file, const char *name, const H5L_info_t *link, void *context) {
  walk *const w = context;
  w->status = take_object(w, file, name, link->type);
  return w->status == WL_OK ? 0 : -1;
}

wl_status wl_gate_list(const char *path, hid_t file, bool virtual, wl_names *datasets) {
  walk w = {.path = path, .virtual = virtual, .datasets = datasets};
  *datasets = (wl_names){0};
  const herr_t visited = H5Lvisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, take_link, &w);
  if (w.status == WL_OK && visited < 0) w.status = wl_h5_fail(WL_ERR_DATA, path, "list the groups");
  if (w.status != WL_OK) wl_names_clear(datasets);
  wl_names_sort(datasets);
  return w.status;
}

/* ---- datasets ---- */

/* The properties of a dataset that is being checked. */
typedef struct candidate {
  const char *path, *name;
  hid_t dataset, creation;
  uint64_t bytes; /* number of bytes of all elements */
  uint64_t file_bytes;
  size_t element;
} candidate;

static wl_status refuse(const candidate *c, const char *what) {
  return WL_FAIL(WL_ERR_DATA, "dataset '%s' of '%s' %s", c->name, c->path, what);
}

/* Checks the storage layout of a dataset. This check must be the first one, because HDF5 would open
 * other files to find the shape of some virtual datasets. */
static wl_status check_layout(const candidate *c, bool chunked) {
  const H5D_layout_t layout = H5Pget_layout(c->creation);
  if (layout == H5D_VIRTUAL || H5Pget_external_count(c->creation) != 0)
    return refuse(c, "has its data in other files, which are not read");
  if (layout != H5D_CONTIGUOUS && layout != H5D_COMPACT && (layout != H5D_CHUNKED || !chunked))
    return refuse(c, "has a storage layout that Warploom does not write");
  return WL_OK;
}

static wl_status check_shape(candidate *c, wl_field *field) {
  hsize_t size[H5S_MAX_RANK] = {0};
  const WL_H5_SCOPED space = H5Dget_space(c->dataset);
  field->ndim = H5Sget_simple_extent_dims(space, size, NULL);
  if (H5Sget_simple_extent_type(space) == H5S_NULL || field->ndim < 0)
    return refuse(c, "has no elements");
  if (field->ndim > WL_MAX_DIMS)
    return WL_FAIL(WL_ERR_DATA, "dataset '%s' of '%s' has %d dimensions, but at most %d are "
                                "expected",
                   c->name, c->path, field->ndim, WL_MAX_DIMS);
  c->bytes = c->element;
  for (int d = 0; d < field->ndim; d++) {
    field->shape[d] = (int64_t)size[d];
    if (size[d] > LARGEST_DATASET || (size[d] > 0 && c->bytes > LARGEST_DATASET / size[d]))
      return WL_FAIL(WL_ERR_DATA, "dataset '%s' of '%s' has size %llu in dimension %d, which is "
                                  "too large", c->name,
                     c->path, (unsigned long long)size[d], d);
    c->bytes *= size[d];
  }
  return WL_OK;
}

/* Checks the filters of a dataset. The accepted filters are shuffle, deflate, shuffle followed by
 * deflate, and none. */
static wl_status check_filters(const candidate *c, bool *deflated) {
  const int count = H5Pget_nfilters(c->creation);
  bool known = count >= 0 && count <= 2;
  *deflated = false;
  for (int i = 0; known && i < count; i++) {
    unsigned flags = 0, configuration = 0;
    size_t values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(c->creation, (unsigned)i, &flags, &values, NULL, 0, NULL, &configuration);
    *deflated = filter == H5Z_FILTER_DEFLATE;
    known = *deflated ? i + 1 == count : filter == H5Z_FILTER_SHUFFLE && i == 0;
  }
  return known ? WL_OK : refuse(c, "has filters other than shuffle and deflate");
}

/* Returns true if the chunk at `corner` has `bytes` bytes after decompression. The shape of a chunk
 * requires this number, and HDF5 copies this number of bytes without a check. `stored` is a buffer
 * for the largest compressed chunk. `inflated` is a buffer for a decompressed chunk. */
static bool chunk_is_right(const candidate *c, const hsize_t *corner, bool deflated, size_t bytes,
                           unsigned char *stored, unsigned char *inflated) {
  hsize_t held = 0;
  uint32_t skipped = 0; /* bit mask of the filters that were not applied to the chunk */
  uLongf length = bytes;
  if (H5Dget_chunk_storage_size(c->dataset, corner, &held) < 0 || held == 0 ||
      held > (deflated ? compressBound(bytes) : bytes) ||
      H5Dread_chunk(c->dataset, H5P_DEFAULT, corner, &skipped, stored) < 0 || skipped != 0)
    return false;
  if (!deflated) return held == bytes;
  return uncompress(inflated, &length, stored, (uLong)held) == Z_OK && length == bytes;
}

/* Sets `corner` to the indices of the first element of the next chunk. Returns false after the last
 * chunk. */
static bool next_corner(const wl_field *field, const hsize_t *chunk, hsize_t *corner) {
  for (int d = field->ndim - 1; d >= 0; d--) {
    corner[d] += chunk[d];
    if (corner[d] < (hsize_t)field->shape[d]) return true;
    corner[d] = 0;
  }
  return false;
}

static wl_status check_each_chunk(const candidate *c, const wl_field *field, const hsize_t *chunk,
                                  size_t bytes) {
  hsize_t corner[H5S_MAX_RANK] = {0};
  bool deflated = false, right = true;
  WL_TRY(check_filters(c, &deflated));
  unsigned char *const stored = malloc(compressBound(bytes)), *const inflated = malloc(bytes);
  if (stored && inflated) do
      right = chunk_is_right(c, corner, deflated, bytes, stored, inflated);
    while (right && next_corner(field, chunk, corner));
  const bool room = stored && inflated;
  free(stored);
  free(inflated);
  if (!room) return WL_FAIL(WL_ERR_OS, "out of memory: cannot check '%s'", c->path);
  return right ? WL_OK : refuse(c, "has a chunk whose length does not match the shape of the chunks");
}

/* Checks that all chunks exist and that no chunk is too large. Also checks that the chunks do not
 * declare more data than the file can contain. */
static wl_status check_chunks(const candidate *c, const wl_field *field) {
  hsize_t chunk[H5S_MAX_RANK] = {0}, stored = 0;
  uint64_t chunks = 1, bytes = c->element;
  if (H5Pget_chunk(c->creation, H5S_MAX_RANK, chunk) != field->ndim)
    return refuse(c, "has chunks with another number of dimensions");
  for (int d = 0; d < field->ndim; d++) {
    if (chunk[d] == 0 || chunk[d] > LARGEST_CHUNK || bytes > LARGEST_CHUNK / chunk[d])
      return refuse(c, "has chunks of more than 32 MiB");
    bytes *= chunk[d];
    chunks *= ((uint64_t)field->shape[d] + chunk[d] - 1) / chunk[d];
  }
  const WL_H5_SCOPED space = H5Dget_space(c->dataset);
  const uint64_t held = H5Dget_storage_size(c->dataset);
  if (held > c->file_bytes || chunks > held || chunks * bytes / DEFLATE_LIMIT > held + 64 * chunks)
    return refuse(c, "declares more data than the file contains");
  WL_TRY_H5(H5Dget_num_chunks(c->dataset, space, &stored), WL_ERR_DATA, c->path,
            "count the chunks of '%s'", c->name);
  if (stored != chunks) return refuse(c, "does not have all of its chunks");
  if (chunks > MOST_CHUNKS) return refuse(c, "has more than 16,384 chunks");
  return check_each_chunk(c, field, chunk, bytes);
}

static wl_status check_storage(const candidate *c, const wl_field *field) {
  if (c->bytes == 0) return WL_OK;
  const H5D_layout_t layout = H5Pget_layout(c->creation);
  if (layout == H5D_CHUNKED) return check_chunks(c, field);
  if (H5Dget_storage_size(c->dataset) != c->bytes || c->bytes > c->file_bytes)
    return refuse(c, "has a number of bytes that does not match its shape");
  if (layout == H5D_COMPACT) return WL_OK;
  const haddr_t offset = H5Dget_offset(c->dataset);
  if (offset == HADDR_UNDEF || offset > c->file_bytes - c->bytes)
    return refuse(c, "extends beyond the end of the file");
  return WL_OK;
}

static wl_status check_link(const candidate *c, hid_t file) {
  H5L_info_t link;
  if (H5Lexists(file, c->name, H5P_DEFAULT) <= 0)
    return WL_FAIL(WL_ERR_DATA, "'%s' has no dataset '%s': check that this is the right file",
                   c->path, c->name);
  WL_TRY_H5(H5Lget_info(file, c->name, &link, H5P_DEFAULT), WL_ERR_DATA, c->path, "look at '%s'",
            c->name);
  return link.type == H5L_TYPE_HARD ? WL_OK
                                    : refuse(c, "is a soft or external link, which is not read");
}

static wl_status open_candidate(candidate *c, hid_t file) {
  hsize_t bytes = 0;
  WL_TRY(check_link(c, file));
  WL_TRY_H5(H5Fget_filesize(file, &bytes), WL_ERR_DATA, c->path, "read the length of the content");
  c->file_bytes = bytes;
  c->dataset = H5Dopen2(file, c->name, H5P_DEFAULT);
  WL_TRY_H5(c->dataset, WL_ERR_DATA, c->path, "open dataset '%s'", c->name);
  c->creation = H5Dget_create_plist(c->dataset);
  WL_TRY_H5(c->creation, WL_ERR_DATA, c->path, "open dataset '%s'", c->name);
  return WL_OK;
}

static wl_status check_content(candidate *c, bool chunked, int integers, wl_field *field) {
  WL_TRY(check_layout(c, chunked));
  const WL_H5_SCOPED type = H5Dget_type(c->dataset);
  c->element = H5Tget_size(type);
  if (integers == WL_OWN_TYPES && !wl_h5_known_type(type, field))
    return refuse(c, "has a type that Warploom does not write");
  if (integers != WL_OWN_TYPES &&
      (H5Tget_class(type) != H5T_INTEGER || c->element > sizeof(int64_t)))
    return refuse(c, "does not contain integers: pack the file again");
  WL_TRY(check_shape(c, field));
  if (integers != WL_OWN_TYPES && field->ndim != integers)
    return WL_FAIL(WL_ERR_DATA,
                   "dataset '%s' of '%s' has %d dimensions, expected %d: pack the file again",
                   c->name, c->path, field->ndim, integers);
  if (integers != WL_OWN_TYPES && c->bytes == 0)
    return refuse(c, "has size 0 in a dimension: pack the file again");
  return check_storage(c, field);
}

wl_status wl_gate_open_dataset(const char *path, hid_t file, const char *name, bool chunked,
                               int integers, wl_stored *out) {
  candidate c = {.path = path, .name = name};
  *out = (wl_stored){.id = H5I_INVALID_HID};
  snprintf(out->field.name, sizeof out->field.name, "%s", name);
  wl_status status = open_candidate(&c, file);
  if (status == WL_OK) status = check_content(&c, chunked, integers, &out->field);
  wl_h5_release(&c.creation);
  if (status == WL_OK) out->id = c.dataset;
  else wl_h5_release(&c.dataset);
  return status;
}
