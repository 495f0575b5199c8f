# wl_add_library and wl_add_program compile each folder of src twice, for float32 and for float64.

# wl_add_library(<folder> [DEPS <folders>...] [LINK <targets>...])
#
# Compiles src/<folder>/*.c into the library wl_<folder>, and compiles the same sources with WL_DOUBLE into
# wl_<folder>64.
#
# Before compiling, the function includes every file src/<folder>/*.cmake. Such a file may change the list `sources`,
# which contains absolute paths. The file may also call wl_add_variant for a source that must be compiled several
# times.
function(wl_add_library folder)
  cmake_parse_arguments(ARG "" "" "DEPS;LINK" ${ARGN})
  wl_folder_sources(${folder})
  foreach(suffix "" "64")
    set(library wl_${folder}${suffix})
    add_library(${library} STATIC ${sources} ${variant_objects${suffix}})
    wl_configure_target(${library} "${suffix}" "${ARG_DEPS}" "${ARG_LINK}")
  endforeach()
endfunction()

# wl_add_program(<name> FOLDER <folder> [DEPS ...] [LINK ...]) builds the executables <name> and <name>64 from
# src/<folder>/*.c. `warploom check` runs the float64 program <name>64, which is installed in libexec.
function(wl_add_program name)
  cmake_parse_arguments(ARG "" "FOLDER" "DEPS;LINK" ${ARGN})
  wl_folder_sources(${ARG_FOLDER})
  foreach(suffix "" "64")
    add_executable(${name}${suffix} ${sources} ${variant_objects${suffix}})
    wl_configure_target(${name}${suffix} "${suffix}" "${ARG_DEPS}" "${ARG_LINK}")
    set_target_properties(${name}${suffix} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  endforeach()
  target_compile_definitions(${name} PRIVATE
    WL_LIBEXEC_FROM_BIN="../${CMAKE_INSTALL_LIBEXECDIR}/${PROJECT_NAME}")
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(TARGETS ${name}64 RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/${PROJECT_NAME})
endfunction()

# wl_add_variant(<source> <variant> FLAGS <flags>... [DEFINES <definitions>...])
#
# Call this macro in src/<folder>/*.cmake. The macro removes <source> (relative to the folder) from the list of sources.
# The macro then compiles <source> in both precisions with FLAGS and with WL_VARIANT=<variant>. The objects become part
# of the folder's libraries. Call the macro once for each instruction set. DEFINES are additional macro definitions.
macro(wl_add_variant source variant)
  cmake_parse_arguments(VARIANT "" "" "FLAGS;DEFINES" ${ARGN})
  get_filename_component(variant_stem ${source} NAME_WE)
  list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/src/${folder}/${source})
  foreach(variant_suffix "" "64")
    set(variant_target wl_${folder}_${variant_stem}_${variant}${variant_suffix})
    add_library(${variant_target} OBJECT ${CMAKE_SOURCE_DIR}/src/${folder}/${source})
    wl_configure_target(${variant_target} "${variant_suffix}" "" "")
    target_compile_options(${variant_target} PRIVATE ${VARIANT_FLAGS})
    target_compile_definitions(${variant_target} PRIVATE WL_VARIANT=${variant} ${VARIANT_DEFINES})
    list(APPEND variant_objects${variant_suffix} $<TARGET_OBJECTS:${variant_target}>)
  endforeach()
endmacro()

# wl_embed(<name> <file> <header>)
#
# Call this macro in src/<folder>/*.cmake. The macro adds a C source to the sources of the folder. This source
# defines the array <name>, which contains the bytes of <file>, and the number of bytes <name>_size. The path <file> is
# relative to the project. The header <header> declares <name> and <name>_size.
macro(wl_embed name file header)
  set(embed_source ${CMAKE_BINARY_DIR}/generated/${name}.c)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${file})
  file(READ ${CMAKE_SOURCE_DIR}/${file} embed_bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" embed_bytes "${embed_bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," embed_bytes "${embed_bytes}")
  file(CONFIGURE OUTPUT ${embed_source} CONTENT "/* Made from ${file}. */
#include \"${header}\"
const unsigned char ${name}[] = {
${embed_bytes}};
const size_t ${name}_size = sizeof ${name};
" @ONLY)
  list(APPEND sources ${embed_source})
endmacro()

# Sets the variable `sources` of the caller to the list of the folder's sources. The included files also set
# variant_objects and variant_objects64.
macro(wl_folder_sources folder_name)
  set(folder ${folder_name})
  set(variant_objects)
  set(variant_objects64)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.c)
  file(GLOB folder_rules CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cmake)
  foreach(rules ${folder_rules})
    include(${rules})
  endforeach()
endmacro()

# Sets the compiler flags, the precision, and the libraries of a target. The libraries are those of the given folders,
# in the precision of the target and in the given order.
function(wl_configure_target target suffix folders link)
  target_link_libraries(${target} PUBLIC wl_flags ${link})
  foreach(dependency ${folders})
    if(NOT TARGET wl_${dependency}${suffix})
      message(FATAL_ERROR "${target} depends on src/${dependency}, which has no library")
    endif()
    target_link_libraries(${target} PUBLIC wl_${dependency}${suffix})
  endforeach()
  if(suffix STREQUAL "64")
    target_compile_definitions(${target} PRIVATE WL_DOUBLE)
  endif()
  if(target MATCHES "^wl_base")
    add_dependencies(${target} wl_build_header)
    target_include_directories(${target} PRIVATE ${WL_GENERATED})
  endif()
endfunction()
