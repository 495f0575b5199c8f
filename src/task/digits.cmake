# data/digits.z as an array in C.
set(digits_source ${CMAKE_BINARY_DIR}/generated/digits_data.c)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/data/digits.z)
file(READ ${CMAKE_SOURCE_DIR}/data/digits.z digits_bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" digits_bytes "${digits_bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," digits_bytes "${digits_bytes}")
file(CONFIGURE OUTPUT ${digits_source} CONTENT [[
/* Made from data/digits.z. */
#include "task/digits_data.h"
const unsigned char wl_digits_data[] = {
@digits_bytes@};
const size_t wl_digits_size = sizeof wl_digits_data;
]] @ONLY)
list(APPEND sources ${digits_source})
