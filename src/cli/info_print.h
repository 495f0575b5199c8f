/* info_print.h - prints the description of a file or run as text. */
#ifndef WL_CLI_INFO_PRINT_H
#define WL_CLI_INFO_PRINT_H

#include <jansson.h>
#include <stdio.h>

/* Prints the description that wl_describe returned. */
void wl_info_print(const json_t *description, FILE *out);

#endif
