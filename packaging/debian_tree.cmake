# cpack runs this script. The script changes the staged tree of a .deb to follow Debian's rules. The script compresses
# manual pages, removes run paths, and adds the copyright and the changelog. The script moves the completion of zsh to
# the folder for packages, and the Python package to the path of Debian's Python. The script does nothing for other
# packages.
if(NOT CPACK_GENERATOR STREQUAL "DEB")
  return()
endif()
set(usr ${CPACK_TEMPORARY_DIRECTORY}/usr)
set(doc ${usr}/share/doc/${CPACK_PACKAGE_NAME})

file(GLOB pages ${usr}/share/man/man*/*.[0-9])
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${doc}/changelog "${CPACK_PACKAGE_NAME} (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium\n\n"
  "  * CHANGELOG.md in this folder lists the changes.\n\n -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
execute_process(COMMAND gzip -9 -n -f ${pages} ${doc}/changelog COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${doc}/LICENSE ${doc}/copyright)

foreach(file bin/warploom libexec/warploom/warploom64)
  file(RPATH_REMOVE FILE ${usr}/${file}) # the program finds its libraries in the folders of the system
endforeach()
file(GLOB_RECURSE libraries ${usr}/lib/libwarploom.so.*.*)
foreach(library ${libraries})
  file(RPATH_REMOVE FILE ${library})
endforeach()

if(EXISTS ${usr}/share/zsh/site-functions)
  file(RENAME ${usr}/share/zsh/site-functions ${usr}/share/zsh/vendor-completions)
endif()

set(python ${usr}/lib/python3/dist-packages)
file(MAKE_DIRECTORY ${python})
file(CREATE_LINK ../../../share/warploom/python/warploom ${python}/warploom SYMBOLIC)
