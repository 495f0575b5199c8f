# Finds the libraries that Warploom needs, and defines one imported target for each library. If a library is missing,
# the error message names the Debian package that contains it.

find_package(MPI REQUIRED COMPONENTS C)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(ZLIB REQUIRED)

# Warploom works with serial and with parallel builds of HDF5, because only one rank writes to a file at a time.
set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 REQUIRED COMPONENTS C HL)

set(BLA_VENDOR OpenBLAS)
find_package(BLAS REQUIRED)

# wl_find_target(<target> HEADER <file> [LIBRARY <name>] PACKAGE <debian> [SUFFIXES ...]) finds a library that has no
# CMake package, and defines the interface target wl::<target> for it.
function(wl_find_target target)
  cmake_parse_arguments(ARG "" "HEADER;LIBRARY;PACKAGE" "SUFFIXES" ${ARGN})
  find_path(WL_${target}_INCLUDE ${ARG_HEADER} PATH_SUFFIXES ${ARG_SUFFIXES})
  if(NOT WL_${target}_INCLUDE)
    message(FATAL_ERROR "${ARG_HEADER} not found: install ${ARG_PACKAGE} or set WL_${target}_INCLUDE")
  endif()
  add_library(wl::${target} INTERFACE IMPORTED)
  target_include_directories(wl::${target} SYSTEM INTERFACE ${WL_${target}_INCLUDE})
  if(ARG_LIBRARY)
    find_library(WL_${target}_LIBRARY ${ARG_LIBRARY})
    if(NOT WL_${target}_LIBRARY)
      message(FATAL_ERROR "lib${ARG_LIBRARY} not found: install ${ARG_PACKAGE} or set WL_${target}_LIBRARY")
    endif()
    target_link_libraries(wl::${target} INTERFACE ${WL_${target}_LIBRARY})
  endif()
  mark_as_advanced(WL_${target}_INCLUDE WL_${target}_LIBRARY)
endfunction()

wl_find_target(yaml HEADER yaml.h LIBRARY yaml PACKAGE libyaml-dev)
wl_find_target(jansson HEADER jansson.h LIBRARY jansson PACKAGE libjansson-dev)
wl_find_target(xxhash HEADER xxhash.h PACKAGE libxxhash-dev)
wl_find_target(random123 HEADER Random123/philox.h PACKAGE librandom123-dev)
wl_find_target(openblas HEADER cblas.h PACKAGE libopenblas-dev SUFFIXES openblas openblas-pthread)
target_link_libraries(wl::openblas INTERFACE ${BLAS_LIBRARIES})

add_library(wl::hdf5 INTERFACE IMPORTED)
target_include_directories(wl::hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
target_link_libraries(wl::hdf5 INTERFACE ${HDF5_C_HL_LIBRARIES} ${HDF5_C_LIBRARIES})
target_compile_definitions(wl::hdf5 INTERFACE ${HDF5_DEFINITIONS})

# The system's interpreter is used if it exists, because Debian installs the packages h5py and numpy for this
# interpreter. Other interpreters in PATH may lack these packages.
find_program(WL_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(WL_PYTHON NAMES python3)
