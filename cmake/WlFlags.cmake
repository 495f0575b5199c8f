# Compiler flags of every target, as the interface target wl_flags.
#
# Determinism rules out -ffast-math; the three -f flags below cost no reproducibility on one
# kind of processor and let the compiler vectorise.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# The static libraries also go into the shared one of the C interface, libwarploom.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Rows of tables leave out the fields at their end that are zero.
set(WL_WARNINGS -Wall -Wextra -Wpedantic -Wno-missing-field-initializers)
set(WL_NUMERICS -fno-math-errno -fno-trapping-math -ffp-contract=fast)

add_library(wl_flags INTERFACE)
target_compile_options(wl_flags INTERFACE ${WL_WARNINGS} ${WL_NUMERICS}
  # __FILE__ is relative to the source tree: messages and binaries hold no machine's paths.
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
