# warploom_add_plugin(<name> <source>...) builds the plug-in <name>.so, which warploom can load in float32 and float64.
#
# find_package(warploom) loads this file. The function runs `warploom plugin build`. The variable warploom_PROGRAM is
# the path of the program.
if(NOT warploom_PROGRAM)
  find_program(warploom_PROGRAM warploom HINTS ${CMAKE_CURRENT_LIST_DIR}/../../../bin
    ${CMAKE_CURRENT_LIST_DIR}/../../../../bin)
endif()

function(warploom_add_plugin name)
  if(NOT warploom_PROGRAM)
    message(FATAL_ERROR "warploom_add_plugin: the program warploom was not found; set warploom_PROGRAM")
  endif()
  set(sources)
  foreach(source ${ARGN})
    get_filename_component(path ${source} ABSOLUTE)
    list(APPEND sources ${path})
  endforeach()
  set(plugin ${CMAKE_CURRENT_BINARY_DIR}/${name}.so)
  add_custom_command(OUTPUT ${plugin}
    COMMAND ${warploom_PROGRAM} plugin build ${sources} --output ${plugin}
    DEPENDS ${sources} ${warploom_PROGRAM} VERBATIM)
  add_custom_target(${name} ALL DEPENDS ${plugin})
endfunction()
