/* footer.h - writes and checks the text at the end of each file. This footer contains a hash of all
 * bytes before the footer.
 *
 * HDF5 ignores bytes after its data. Any HDF5 reader can therefore open a file with a footer. With the footer, a
 * truncated, unfinished or changed file is detected before HDF5 parses the file.
 *
 *   (newline)warploom footer
 *   end <bytes of the image> <XXH3-64 of the image> <bytes of the text before "end"> <XXH3-64 of all text up to here>
 *
 * Each number is written with 16 hexadecimal digits. Files of schema version 1 have further lines
 * before "end". */
#ifndef WL_BASE_FOOTER_H
#define WL_BASE_FOOTER_H

#include "base/status.h"

enum { WL_FOOTER_BYTES = 17 + 72 };

/* Writes the footer of a file image, as a text with a terminating zero, to `footer`. */
void wl_footer_make(const char *image, uint64_t bytes, char footer[WL_FOOTER_BYTES + 1]);
/* Reads the whole file. Returns WL_OK if the bytes match the hashes in the footer. Errors:
 * WL_ERR_NO_INPUT (no regular file of that name), WL_ERR_PERMISSION, WL_ERR_IO, WL_ERR_DATA. */
wl_status wl_footer_check(const char *path);

#endif
