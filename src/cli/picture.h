/* picture.h - draws an output file with one of the Python tools. */
#ifndef WL_CLI_PICTURE_H
#define WL_CLI_PICTURE_H

/* Runs the tool `tool`, from the source tree or the installation, on `file`. The picture has the name of `file` with
 * the ending .png. If Python or matplotlib is missing, prints how to draw the picture later. */
void wl_picture_draw(const char *tool, const char *file);

#endif
