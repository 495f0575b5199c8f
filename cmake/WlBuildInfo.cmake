# On each build, writes generated/wl_build.h. The header contains the version, the git revision, the build type, the
# compiler and its flags, and the version of HDF5. If none of these values has changed, the header remains unchanged,
# so base/build_info.c is not compiled again.
string(TOUPPER "${CMAKE_BUILD_TYPE}" wl_build_type)
string(JOIN " " wl_build_flags "-std=gnu17" ${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${wl_build_type}} ${WL_NUMERICS})
if(WL_SANITIZE)
  string(APPEND wl_build_flags " -fsanitize=${WL_SANITIZE}")
endif()
set(WL_GENERATED ${CMAKE_BINARY_DIR}/generated)

add_custom_target(wl_build_header
  COMMAND ${CMAKE_COMMAND}
    -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${WL_GENERATED}/wl_build.h
    -DVERSION=${PROJECT_VERSION} -DTYPE=${CMAKE_BUILD_TYPE} "-DCOMPILER=${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}"
    "-DFLAGS=${wl_build_flags}" -DHDF5=${HDF5_VERSION}
    -P ${CMAKE_SOURCE_DIR}/cmake/write_build_header.cmake
  BYPRODUCTS ${WL_GENERATED}/wl_build.h
  COMMENT "" VERBATIM)
