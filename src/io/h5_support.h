/* h5_support.h - helpers for HDF5 in this folder: errors as statuses, types, attributes. */
#ifndef WL_IO_H5_SUPPORT_H
#define WL_IO_H5_SUPPORT_H

#include <hdf5.h>
#include <hdf5_hl.h>

#include "base/field.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "files hold little-endian data");

enum { WL_SCHEMA_VERSION = 3 };

/* The first words of the name of a scale without coordinates, by the netCDF-4 convention. */
#define WL_BARE_SCALE "This is a netCDF dimension but not a netCDF variable."

/* An id that is released when it goes out of scope. */
#define WL_H5_SCOPED __attribute__((cleanup(wl_h5_release))) hid_t
void wl_h5_release(const hid_t *id);

/* Turns off HDF5's printing of errors. Each public function of this folder calls wl_h5_quiet. */
void wl_h5_quiet(void);
/* Sets an error and returns `code`. The message is the given text and HDF5's description of the error, for example
 * "cannot write dataset 'x' of 'file': ...". */
wl_status wl_h5_fail(wl_status code, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define WL_TRY_H5(call, code, path, ...)                            \
  do {                                                              \
    if ((call) < 0) return wl_h5_fail((code), (path), __VA_ARGS__); \
  } while (0)

/* Returns the stored type; the caller releases it. `half`: floats are stored as IEEE binary16. */
hid_t wl_h5_type(wl_type type, bool half);
/* Sets type and half of a field from the stored type of a dataset. Returns false if Warploom does not write that type.
 * The field type of half precision is float32. */
bool wl_h5_known_type(hid_t stored, wl_field *field);

/* These functions write attributes of an object. Text is UTF-8, has a fixed length and ends in a zero byte. */
wl_status wl_h5_put_text(const char *path, hid_t object, const char *name, const char *value);
wl_status wl_h5_put_integer(const char *path, hid_t object, const char *name, wl_type type,
                            const void *value);
/* Reads a text; *value is malloc'ed. Returns WL_ERR_DATA if the attribute does not exist or is not one text of fixed
 * length. */
wl_status wl_h5_get_text(const char *path, hid_t object, const char *name, char **value);
/* Reads an integer. Returns WL_ERR_DATA if the attribute does not exist or is not one integer. A stored value above
 * INT64_MAX keeps its 64 bits. */
wl_status wl_h5_get_integer(const char *path, hid_t object, const char *name, int64_t *value);

/* Returns access properties without file locks. Locks are not needed because no file is ever changed in place. The
 * caller releases the returned id. */
hid_t wl_h5_access(void);

#endif
