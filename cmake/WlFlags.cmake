# Defines the interface target wl_flags, which contains the compiler flags of every target.
#
# -ffast-math is not used, because results must be reproducible. The three flags of WL_NUMERICS allow the compiler to
# vectorise. With these flags, results are still reproducible on one type of processor.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# The static libraries are also linked into the shared library libwarploom, so their code must be
# position-independent.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# The warning about missing initialisers is off, because rows of tables may omit their last fields, which are then
# zero.
set(WL_WARNINGS -Wall -Wextra -Wpedantic -Wno-missing-field-initializers)
set(WL_NUMERICS -fno-math-errno -fno-trapping-math -ffp-contract=fast)

add_library(wl_flags INTERFACE)
target_compile_options(wl_flags INTERFACE ${WL_WARNINGS} ${WL_NUMERICS}
  # __FILE__ is relative to the source tree, so that messages and binaries do not contain paths of the build machine.
  -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/= -fdebug-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(WL_WERROR)
  target_compile_options(wl_flags INTERFACE -Werror)
endif()
target_include_directories(wl_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(wl_flags INTERFACE OpenMP::OpenMP_C Threads::Threads m)
if(WL_SANITIZE)
  target_compile_options(wl_flags INTERFACE -fsanitize=${WL_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(wl_flags INTERFACE -fsanitize=${WL_SANITIZE})
endif()
