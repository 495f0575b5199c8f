/* h5_support.c - quiet errors, types, attributes and names for the HDF5 users of this folder. */
#include "io/h5_support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "io/atomic_file.h"
#include "io/h5_printing.h"

enum { TEXT = 1024, NAME = 512 };

void wl_h5_release(const hid_t *id) {
  if (*id > 0) H5Idec_ref(*id);
}

/* ---- errors ---- */

void wl_h5_quiet(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

wl_h5_printing wl_h5_save_printing(void) {
  H5E_auto2_t function = NULL;
  wl_h5_printing now = {.known = true};
  now.known = H5Eget_auto2(H5E_DEFAULT, &function, &now.data) >= 0;
  now.function = (void (*)(void))function;
  return now;
}

void wl_h5_restore_printing(wl_h5_printing printing) {
  if (printing.known) H5Eset_auto2(H5E_DEFAULT, (H5E_auto2_t)printing.function, printing.data);
}

/* Keeps the innermost description: what the library met first. */
static herr_t keep_description(unsigned number, const H5E_error2_t *error, void *text) {
  (void)number;
  if (error->desc) snprintf(text, TEXT, "%s", error->desc);
  return 0;
}

wl_status wl_h5_fail(wl_status code, const char *path, const char *format, ...) {
  char doing[TEXT], cause[TEXT] = "no further description";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(doing, sizeof doing, format, arguments);
  va_end(arguments);
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_description, cause);
  H5Eclear2(H5E_DEFAULT);
  return WL_FAIL(code, "cannot %s of '%s': HDF5 says: %s", doing, path, cause);
}

/* ---- types ---- */

static hid_t half_type(void) {
  const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

hid_t wl_h5_type(wl_type type, bool half) {
  switch (type) {
    case WL_FLOAT32: return half ? half_type() : H5Tcopy(H5T_IEEE_F32LE);
    case WL_FLOAT64: return half ? half_type() : H5Tcopy(H5T_IEEE_F64LE);
    case WL_INT64: return H5Tcopy(H5T_STD_I64LE);
    case WL_UINT64: return H5Tcopy(H5T_STD_U64LE);
    case WL_UINT8: return H5Tcopy(H5T_STD_U8LE);
  }
  return H5I_INVALID_HID;
}

bool wl_h5_known_type(hid_t stored, wl_type *type, bool *half) {
  const WL_H5_SCOPED small = half_type();
  *half = H5Tequal(stored, small) > 0;
  *type = WL_FLOAT32;
  if (*half) return true;
  for (int t = WL_FLOAT32; t <= WL_UINT8; t++) {
    const WL_H5_SCOPED ours = wl_h5_type((wl_type)t, false);
    *type = (wl_type)t;
    if (H5Tequal(stored, ours) > 0) return true;
  }
  return false;
}

/* ---- attributes ---- */

wl_status wl_h5_put_text(const char *path, hid_t object, const char *name, const char *value) {
  const WL_H5_SCOPED type = H5Tcopy(H5T_C_S1);
  const WL_H5_SCOPED space = H5Screate(H5S_SCALAR);
  H5Tset_size(type, strlen(value) + 1);
  H5Tset_cset(type, H5T_CSET_UTF8);
  const WL_H5_SCOPED attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  WL_TRY_H5(attribute, WL_ERR_IO, path, "create attribute '%s'", name);
  WL_TRY_H5(H5Awrite(attribute, type, value), WL_ERR_IO, path, "write attribute '%s'", name);
  return WL_OK;
}

static wl_status put_number(const char *path, hid_t object, const char *name, hid_t stored,
                            hid_t memory, const void *value) {
  const WL_H5_SCOPED space = H5Screate(H5S_SCALAR);
  const WL_H5_SCOPED attribute = H5Acreate2(object, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
  WL_TRY_H5(attribute, WL_ERR_IO, path, "create attribute '%s'", name);
  WL_TRY_H5(H5Awrite(attribute, memory, value), WL_ERR_IO, path, "write attribute '%s'", name);
  return WL_OK;
}

wl_status wl_h5_put_uint64(const char *path, hid_t object, const char *name, uint64_t value) {
  return put_number(path, object, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value);
}

wl_status wl_h5_put_int64(const char *path, hid_t object, const char *name, int64_t value) {
  return put_number(path, object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

wl_status wl_h5_get_text(const char *path, hid_t object, const char *name, char **value) {
  *value = NULL;
  if (H5Aexists(object, name) <= 0)
    return WL_FAIL(WL_ERR_DATA, "'%s' has no attribute '%s'", path, name);
  const WL_H5_SCOPED attribute = H5Aopen(object, name, H5P_DEFAULT);
  const WL_H5_SCOPED type = H5Aget_type(attribute);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0)
    return WL_FAIL(WL_ERR_DATA, "attribute '%s' of '%s' is no text of fixed length", name, path);
  const size_t size = H5Tget_size(type);
  char *const text = calloc(size + 1, 1);
  if (!text) return WL_FAIL(WL_ERR_OS, "out of memory for attribute '%s' of '%s'", name, path);
  if (H5Aread(attribute, type, text) < 0) {
    free(text);
    return wl_h5_fail(WL_ERR_DATA, path, "read attribute '%s'", name);
  }
  *value = text;
  return WL_OK;
}

wl_status wl_h5_get_uint64(const char *path, hid_t object, const char *name, uint64_t *value) {
  if (H5Aexists(object, name) <= 0)
    return WL_FAIL(WL_ERR_DATA, "'%s' has no attribute '%s'", path, name);
  const WL_H5_SCOPED attribute = H5Aopen(object, name, H5P_DEFAULT);
  WL_TRY_H5(H5Aread(attribute, H5T_NATIVE_UINT64, value), WL_ERR_DATA, path, "read attribute '%s'",
            name);
  return WL_OK;
}

/* ---- files and names ---- */

hid_t wl_h5_access(void) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7) && !(H5_VERS_MAJOR == 1 && H5_VERS_MINOR == 12 && H5_VERS_RELEASE < 1)
  H5Pset_file_locking(access, false, true);
#endif
  return access;
}

bool wl_h5_is_bare_scale(hid_t dataset) {
  char name[sizeof WL_BARE_SCALE] = "";
  return H5DSis_scale(dataset) > 0 && H5DSget_scale_name(dataset, name, sizeof name) >= 0 &&
         strncmp(name, WL_BARE_SCALE, sizeof WL_BARE_SCALE - 1) == 0;
}

typedef struct name_list {
  char **names;
  int count, room;
} name_list;

static wl_status add_name(const char *path, name_list *list, const char *name) {
  if (list->count == list->room) {
    list->room = 2 * list->room + 32;
    char **const more = realloc(list->names, (size_t)list->room * sizeof *more);
    if (!more) return WL_FAIL(WL_ERR_OS, "out of memory while listing '%s'", path);
    list->names = more;
  }
  list->names[list->count] = strdup(name);
  if (!list->names[list->count])
    return WL_FAIL(WL_ERR_OS, "out of memory while listing '%s'", path);
  list->count++;
  return WL_OK;
}

static wl_status list_group(const char *path, hid_t group, const char *prefix, name_list *list);

static wl_status list_member(const char *path, hid_t group, const char *name, const char *prefix,
                             name_list *list) {
  char full[NAME];
  if (snprintf(full, sizeof full, "%s%s", prefix, name) >= NAME - 1)
    return WL_FAIL(WL_ERR_DATA, "'%s' has a name of more than %d characters: %s", path, NAME, full);
  const WL_H5_SCOPED object = H5Oopen(group, name, H5P_DEFAULT);
  WL_TRY_H5(object, WL_ERR_DATA, path, "open '%s'", full);
  if (H5Iget_type(object) == H5I_DATASET)
    return wl_h5_is_bare_scale(object) ? WL_OK : add_name(path, list, full);
  if (H5Iget_type(object) != H5I_GROUP) return WL_OK;
  strcat(full, "/");
  return list_group(path, object, full, list);
}

static wl_status list_group(const char *path, hid_t group, const char *prefix, name_list *list) {
  H5G_info_t info;
  WL_TRY_H5(H5Gget_info(group, &info), WL_ERR_DATA, path, "list group '%s'", prefix);
  for (hsize_t i = 0; i < info.nlinks; i++) {
    char name[NAME];
    const ssize_t length = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name,
                                              sizeof name, H5P_DEFAULT);
    if (length < 0 || length >= NAME)
      return wl_h5_fail(WL_ERR_DATA, path, "list group '%s'", prefix);
    WL_TRY(list_member(path, group, name, prefix, list));
  }
  return WL_OK;
}

wl_status wl_h5_list(const char *path, hid_t file, char ***names, int *count) {
  name_list list = {0};
  const wl_status status = list_group(path, file, "", &list);
  if (status != WL_OK) {
    wl_free_names(list.names, list.count);
    list = (name_list){0};
  }
  *names = list.names;
  *count = list.count;
  return status;
}

wl_status wl_h5_checksum(const char *path, const char *name, hid_t dataset, uint64_t *checksum) {
  const WL_H5_SCOPED type = H5Dget_type(dataset);
  const WL_H5_SCOPED space = H5Dget_space(dataset);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 0) return wl_h5_fail(WL_ERR_DATA, path, "read dataset '%s'", name);
  const size_t bytes = (size_t)count * H5Tget_size(type);
  char *const data = malloc(bytes + 1);
  if (!data)
    return WL_FAIL(WL_ERR_OS, "out of memory: %zu bytes wanted for dataset '%s' of '%s'", bytes,
                   name, path);
  const herr_t read = H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
  *checksum = XXH3_64bits(data, bytes);
  free(data);
  WL_TRY_H5(read, WL_ERR_DATA, path, "read dataset '%s'", name);
  return WL_OK;
}
