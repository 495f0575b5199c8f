/* field.c - returns the sizes of types and of fields (field.h). */
#include "base/field.h"

size_t wl_type_size(wl_type type) {
  switch (type) {
    case WL_FLOAT32: return sizeof(float);
    case WL_FLOAT64: return sizeof(double);
    case WL_INT64: return sizeof(int64_t);
    case WL_UINT64: return sizeof(uint64_t);
    case WL_UINT8: return sizeof(uint8_t);
  }
  return 0;
}

const char *wl_type_name(wl_type type) {
  static const char *const names[] = {"float32", "float64", "int64", "uint64", "uint8"};
  return names[type];
}

int64_t wl_field_count(const wl_field *field) {
  int64_t count = 1;
  for (int d = 0; d < field->ndim; ++d) count *= field->shape[d];
  return count;
}
