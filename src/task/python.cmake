# python_bridge.py as an array in C.
set(python_source ${CMAKE_BINARY_DIR}/generated/python_bridge.c)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/task/python_bridge.py)
file(READ ${CMAKE_SOURCE_DIR}/src/task/python_bridge.py python_bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" python_bytes "${python_bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," python_bytes "${python_bytes}")
file(CONFIGURE OUTPUT ${python_source} CONTENT [[
/* Made from src/task/python_bridge.py. */
#include "task/python_process.h"
const unsigned char wl_python_bridge[] = {
@python_bytes@};
const size_t wl_python_bridge_size = sizeof wl_python_bridge;
]] @ONLY)
list(APPEND sources ${python_source})
