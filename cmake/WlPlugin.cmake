# Provides what plug-ins require: exported symbols of the program, installed headers, and the compiler flags
# (docs/plugins.md).

# A task family or an update rule in a plug-in calls the functions that the installed headers declare.
set(WL_PLUGIN_HEADERS
  base/layout.h base/options.h base/plugin.h base/real.h base/rng.h base/status.h
  tensor/tape.h task/family.h task/task.h task/warp.h
  rule/elementwise.h rule/rule.h rule/schedule.h rule/tensors.h)
foreach(header ${WL_PLUGIN_HEADERS})
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${CMAKE_SOURCE_DIR}/src/${header}
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/warploom/plugin/${folder})
endforeach()
install(FILES ${CMAKE_SOURCE_DIR}/cmake/WarploomPlugin.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/warploom)

# `warploom plugin build` uses the compiler flags of the program, except the flags for warnings and sanitizers.
get_filename_component(wl_plugin_compiler ${CMAKE_C_COMPILER} NAME)
string(JOIN " " wl_plugin_flags -std=gnu17 -O3 ${WL_NUMERICS})
foreach(suffix "" "64")
  target_link_options(warploom${suffix} PRIVATE -Wl,--dynamic-list=${CMAKE_SOURCE_DIR}/src/cli/plugin.list)
  set_target_properties(warploom${suffix} PROPERTIES LINK_DEPENDS ${CMAKE_SOURCE_DIR}/src/cli/plugin.list)
  target_compile_definitions(warploom${suffix} PRIVATE
    "WL_PLUGIN_COMPILER=\"${wl_plugin_compiler}\"" "WL_PLUGIN_FLAGS=\"${wl_plugin_flags}\"")
endforeach()
