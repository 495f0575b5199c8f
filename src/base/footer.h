/* footer.h - writes and checks the text at the end of each file. This footer contains a hash of all
 * bytes before the footer.
 *
 * HDF5 ignores bytes after its data. Any HDF5 reader can therefore open a file with a footer. With the footer, a
 * truncated, unfinished or changed file is detected before HDF5 parses the file.
 *
 * The footer consists of an end of line, the line "warploom footer" and the line "end A B C D". A
 * is the number of bytes of the file image. B is the XXH3-64 hash of the image. C is the number of
 * bytes of the footer before "end". D is the XXH3-64 hash of the bytes of the footer before D. Each
 * of the numbers A to D is written with 16 hexadecimal digits. Files of schema version 1 have
 * further lines before "end". */
#ifndef WL_BASE_FOOTER_H
#define WL_BASE_FOOTER_H

#include "base/status.h"

enum { WL_FOOTER_BYTES = 17 + 72 };

/* Writes the footer of a file image to `footer`, as a string with a terminating zero byte. */
void wl_footer_make(const char *image, uint64_t bytes, char footer[WL_FOOTER_BYTES + 1]);
/* Reads the whole file. Returns WL_OK if the bytes match the hashes in the footer. Errors:
 * WL_ERR_NO_INPUT (no regular file of that name), WL_ERR_PERMISSION, WL_ERR_IO, WL_ERR_DATA. */
wl_status wl_footer_check(const char *path);

#endif
