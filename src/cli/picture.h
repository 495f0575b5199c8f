/* picture.h - draws an output file with one of the Python tools. */
#ifndef WL_CLI_PICTURE_H
#define WL_CLI_PICTURE_H

/* Draws `file` with the Python tool `tool` of the source tree or the installation. The name of the
 * picture is the name of `file`, in which .png replaces the ending. If the tool fails, for example
 * because matplotlib is missing, prints the command that draws the picture later. */
void wl_picture_draw(const char *tool, const char *file);

#endif
