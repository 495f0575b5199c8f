/* digits_data.h - declares the bytes of the file data/digits.z, which is compressed with zlib. The script
 * data/pack_digits.py describes the format of the decompressed bytes. Only files of src/task include this header. */
#ifndef WL_TASK_DIGITS_DATA_H
#define WL_TASK_DIGITS_DATA_H

#include <stddef.h>

extern const unsigned char wl_digits_data[];
extern const size_t wl_digits_data_size;

#endif
