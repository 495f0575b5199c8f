/* digits_data.h - the bytes of data/digits.z, a zlib stream. data/pack_digits.py describes the format. Private to
 * src/task. */
#ifndef WL_TASK_DIGITS_DATA_H
#define WL_TASK_DIGITS_DATA_H

#include <stddef.h>

extern const unsigned char wl_digits_data[];
extern const size_t wl_digits_data_size;

#endif
