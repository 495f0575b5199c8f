# cpack reads this file once for each generator. Debian requires the prefix /usr for the files of a .deb package.
if(CPACK_GENERATOR STREQUAL "DEB")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
endif()
