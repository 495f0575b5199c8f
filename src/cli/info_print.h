/* info_print.h - prints a description of a file or run as text for people. */
#ifndef WL_CLI_INFO_PRINT_H
#define WL_CLI_INFO_PRINT_H

#include <jansson.h>
#include <stdio.h>

/* Prints what wl_describe found. */
void wl_info_print(const json_t *description, FILE *out);

#endif
