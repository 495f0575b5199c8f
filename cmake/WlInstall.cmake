# Builds the shared library libwarploom and defines the rules that install the files of the project.
#
# The library contains the objects of src/api, and the objects of other folders that src/api uses. The library does
# not contain MPI. The file src/api/exports.map lists the symbols that the library exports.
include(CMakePackageConfigHelpers)

set(WL_EXPORTS ${CMAKE_SOURCE_DIR}/src/api/exports.map)
add_library(warploom_library SHARED $<TARGET_OBJECTS:wl_api>)
add_library(warploom::warploom ALIAS warploom_library)
set_target_properties(warploom_library PROPERTIES
  OUTPUT_NAME warploom EXPORT_NAME warploom
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${WL_EXPORTS})
target_include_directories(warploom_library INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_options(warploom_library PRIVATE
  -Wl,--as-needed -Wl,--no-undefined -Wl,--version-script=${WL_EXPORTS})
target_link_libraries(warploom_library PRIVATE wl_api)

set(WL_CMAKE_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/warploom)
install(TARGETS warploom_library EXPORT warploomTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT warploomTargets NAMESPACE warploom:: DESTINATION ${WL_CMAKE_PACKAGE})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/warploomConfig.cmake.in
  ${CMAKE_BINARY_DIR}/package/warploomConfig.cmake INSTALL_DESTINATION ${WL_CMAKE_PACKAGE}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/warploomConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/warploomConfig.cmake
  ${CMAKE_BINARY_DIR}/package/warploomConfigVersion.cmake DESTINATION ${WL_CMAKE_PACKAGE})

# The paths in warploom.pc are relative to the location of warploom.pc, so the installed tree can be moved.
file(RELATIVE_PATH WL_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/warploom.pc.in ${CMAKE_BINARY_DIR}/package/warploom.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/package/warploom.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/warploom DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY tools jobs DESTINATION ${CMAKE_INSTALL_DATADIR}/warploom USE_SOURCE_PERMISSIONS
  PATTERN "__pycache__" EXCLUDE
  # files with results that a user has measured are not installed
  REGEX "(evaluation|previous-[0-9]+)[.](h5|png)$" EXCLUDE)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DATADIR}/warploom PATTERN "__pycache__" EXCLUDE
  PATTERN "*.so" EXCLUDE)
install(FILES README.md CHANGELOG.md CITATION.cff LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
