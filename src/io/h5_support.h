/* h5_support.h - declares the functions with which src/io converts HDF5's errors and types, and
 * reads and writes attributes. */
#ifndef WL_IO_H5_SUPPORT_H
#define WL_IO_H5_SUPPORT_H

#include <hdf5.h>
#include <hdf5_hl.h>

#include "base/field.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "Warploom's files contain little-endian data, so the machine must be little-endian");

enum { WL_SCHEMA_VERSION = 3 };

/* The start of the value of the attribute NAME of a scale without coordinates. The netCDF-4
 * convention defines this string. */
#define WL_BARE_SCALE "This is a netCDF dimension but not a netCDF variable."

/* An HDF5 identifier that is released at the end of the block in which it is declared. */
#define WL_H5_SCOPED __attribute__((cleanup(wl_h5_release))) hid_t
void wl_h5_release(const hid_t *id);

/* Turns off HDF5's printing of errors. Each public function of this folder calls wl_h5_quiet. */
void wl_h5_quiet(void);
/* Sets an error and returns `code`. The message contains the given text, the path and HDF5's
 * description of the error, for example "cannot write dataset 'x' of 'file': HDF5 says: ...". */
wl_status wl_h5_fail(wl_status code, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define WL_TRY_H5(call, code, path, ...)                            \
  do {                                                              \
    if ((call) < 0) return wl_h5_fail((code), (path), __VA_ARGS__); \
  } while (0)

/* Returns the HDF5 type with which files store numbers of the type `type`. The caller releases the
 * returned type. If `half` is true, real numbers are stored with 16 bits (IEEE binary16). */
hid_t wl_h5_type(wl_type type, bool half);
/* Sets field->type and field->half from the HDF5 type of a dataset. Returns false if Warploom does
 * not write this type. For half precision, field->type is WL_FLOAT32. */
bool wl_h5_known_type(hid_t stored, wl_field *field);

/* These functions write attributes of an object. A string is written in UTF-8, with a fixed length
 * and a zero byte at the end. */
wl_status wl_h5_put_text(const char *path, hid_t object, const char *name, const char *value);
wl_status wl_h5_put_integer(const char *path, hid_t object, const char *name, wl_type type,
                            const void *value);
/* Reads an attribute that is a string. *value is malloc'ed, and the caller frees it. Returns
 * WL_ERR_DATA if the attribute does not exist or is not a single string of fixed length. */
wl_status wl_h5_get_text(const char *path, hid_t object, const char *name, char **value);
/* Reads an attribute that is an integer. Returns WL_ERR_DATA if the attribute does not exist or is
 * not a single integer. For a stored value above INT64_MAX, *value has the same 64 bits. */
wl_status wl_h5_get_integer(const char *path, hid_t object, const char *name, int64_t *value);

/* Returns an HDF5 property list for opening files without file locks. Locks are not needed, because
 * a file never changes after it has its final name. The caller releases the returned id. */
hid_t wl_h5_access(void);

#endif
