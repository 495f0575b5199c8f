# Configures CPack, which builds packages in the build folder. `cpack -G TGZ` builds an archive that can be unpacked
# in any folder. `cpack -G DEB` builds a Debian package. `cpack --config CPackSourceConfig.cmake` builds an archive of
# the sources. The script packaging/build-deb.sh configures, builds and packs Warploom with the paths and options of
# Debian.
set(CPACK_PACKAGE_VENDOR "The Warploom developers")
set(CPACK_PACKAGE_CONTACT "The Warploom developers <warploom@localhost>" CACHE STRING "maintainer, in the fields of packages")
set(CPACK_PACKAGE_DESCRIPTION_FILE ${CMAKE_SOURCE_DIR}/packaging/description.txt)
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_RESOURCE_FILE_README ${CMAKE_SOURCE_DIR}/README.md)
set(CPACK_GENERATOR "TGZ;DEB")
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_THREADS 2)

set(CPACK_SOURCE_GENERATOR TGZ)
set(CPACK_SOURCE_PACKAGE_FILE_NAME ${PROJECT_NAME}-${PROJECT_VERSION})
set(CPACK_SOURCE_IGNORE_FILES "/[.]git/" "/build[^/]*/" "/runs/" "/__pycache__/" "[.]egg-info/" "${CMAKE_BINARY_DIR}/")

# dpkg-shlibdeps determines which packages contain the linked libraries. The packages of mpirun and of the Python
# modules are only recommended, because warploom runs on one rank without mpirun and without Python.
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "openmpi-bin, python3, python3-h5py, python3-numpy, python3-matplotlib")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "dataset-fashion-mnist, python3-torch, python3-xarray")
configure_file(${CMAKE_SOURCE_DIR}/packaging/shlibs.in ${CMAKE_BINARY_DIR}/packaging/shlibs @ONLY)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/packaging/shlibs ${CMAKE_SOURCE_DIR}/packaging/triggers
  ${CMAKE_SOURCE_DIR}/packaging/prerm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/packaging/debian_tree.cmake)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/packaging/cpack_config.cmake)
include(CPack)
