/* h5_support.c - converts the errors and types of HDF5, and reads and writes attributes, for the
 * other files of src/io. */
#include "io/h5_support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5_library.h"

enum { TEXT = 1024, LONGEST_TEXT = 1 << 24 };

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

/* Copies the description of an error to `text`. HDF5 calls this function for each error of its
 * stack. The last call is for the innermost error, which is the original cause. */
static herr_t keep_description(unsigned number, const H5E_error2_t *error, void *text) {
  (void)number;
  if (error->desc) snprintf(text, TEXT, "%s", error->desc);
  return 0;
}

wl_status wl_h5_fail(wl_status code, const char *path, const char *format, ...) {
  char doing[TEXT], cause[TEXT] = "there is no description of the error";
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

bool wl_h5_known_type(hid_t stored, wl_field *field) {
  const WL_H5_SCOPED small = half_type();
  field->half = H5Tequal(stored, small) > 0;
  field->type = WL_FLOAT32;
  if (field->half) return true;
  for (int t = WL_FLOAT32; t <= WL_UINT8; t++) {
    const WL_H5_SCOPED ours = wl_h5_type((wl_type)t, false);
    field->type = (wl_type)t;
    if (H5Tequal(stored, ours) > 0) return true;
  }
  return false;
}

/* ---- attributes ---- */

static wl_status put_scalar(const char *path, hid_t object, const char *name, hid_t type,
                            const void *value) {
  const WL_H5_SCOPED space = H5Screate(H5S_SCALAR);
  const WL_H5_SCOPED attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  WL_TRY_H5(attribute, WL_ERR_IO, path, "create attribute '%s'", name);
  WL_TRY_H5(H5Awrite(attribute, type, value), WL_ERR_IO, path, "write attribute '%s'", name);
  return WL_OK;
}

wl_status wl_h5_put_text(const char *path, hid_t object, const char *name, const char *value) {
  const WL_H5_SCOPED type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, strlen(value) + 1);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return put_scalar(path, object, name, type, value);
}

wl_status wl_h5_put_integer(const char *path, hid_t object, const char *name, wl_type type,
                            const void *value) {
  const WL_H5_SCOPED stored = wl_h5_type(type, false);
  return put_scalar(path, object, name, stored, value);
}

/* Opens an attribute with one element, which must be a string or an integer. `class` selects the
 * type of the element. */
static wl_status open_scalar(const char *path, hid_t object, const char *name, H5T_class_t class,
                             hid_t *attribute) {
  if (H5Aexists(object, name) <= 0)
    return WL_FAIL(WL_ERR_DATA, "'%s' has no attribute '%s'", path, name);
  *attribute = H5Aopen(object, name, H5P_DEFAULT);
  WL_TRY_H5(*attribute, WL_ERR_DATA, path, "open attribute '%s'", name);
  const WL_H5_SCOPED type = H5Aget_type(*attribute);
  const WL_H5_SCOPED space = H5Aget_space(*attribute);
  if (H5Tget_class(type) != class || H5Sget_simple_extent_npoints(space) != 1)
    return WL_FAIL(WL_ERR_DATA, "attribute '%s' of '%s' is not a single %s", name, path,
                   class == H5T_STRING ? "text" : "integer");
  return WL_OK;
}

wl_status wl_h5_get_text(const char *path, hid_t object, const char *name, char **value) {
  WL_H5_SCOPED attribute = H5I_INVALID_HID;
  *value = NULL;
  WL_TRY(open_scalar(path, object, name, H5T_STRING, &attribute));
  const WL_H5_SCOPED type = H5Aget_type(attribute);
  const size_t size = H5Tget_size(type);
  if (H5Tis_variable_str(type) != 0 || size > LONGEST_TEXT)
    return WL_FAIL(WL_ERR_DATA, "attribute '%s' of '%s' is not a text of fixed length", name, path);
  char *const text = calloc(size + 1, 1);
  if (!text) return WL_FAIL(WL_ERR_OS, "out of memory: cannot read the attribute '%s' of '%s'", name, path);
  if (H5Aread(attribute, type, text) < 0) {
    free(text);
    return wl_h5_fail(WL_ERR_DATA, path, "read attribute '%s'", name);
  }
  *value = text;
  return WL_OK;
}

wl_status wl_h5_get_integer(const char *path, hid_t object, const char *name, int64_t *value) {
  WL_H5_SCOPED attribute = H5I_INVALID_HID;
  WL_TRY(open_scalar(path, object, name, H5T_INTEGER, &attribute));
  const WL_H5_SCOPED type = H5Aget_type(attribute);
  const hid_t memory = H5Tget_sign(type) == H5T_SGN_NONE ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64;
  WL_TRY_H5(H5Aread(attribute, memory, value), WL_ERR_DATA, path, "read attribute '%s'", name);
  return WL_OK;
}

hid_t wl_h5_access(void) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7) && !(H5_VERS_MAJOR == 1 && H5_VERS_MINOR == 12 && H5_VERS_RELEASE < 1)
  H5Pset_file_locking(access, false, true);
#endif
  return access;
}

const char *wl_h5_version(void) {
  static _Thread_local char text[48];
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
  return text;
}
