/* picture.h - draws an output file with one of the Python tools. */
#ifndef WL_CLI_PICTURE_H
#define WL_CLI_PICTURE_H

/* Runs `tool` from the source tree's or the installation's tools on `file`; the picture's name is that of
 * the file with .png. Where Python or matplotlib is missing, says how to draw it later. */
void wl_picture_draw(const char *tool, const char *file);

#endif
