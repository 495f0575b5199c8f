# Compiles each kernel once for each instruction set. At run time, kernels_pick.c selects one of these
# variants.
foreach(kernel_source kernels.c kernels_gemm.c)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    wl_add_variant(${kernel_source} avx512 FLAGS -march=x86-64-v4 -mprefer-vector-width=512)
    wl_add_variant(${kernel_source} avx2 FLAGS -march=x86-64-v3)
  endif()
  # the warning about the ABI does not matter, because only inlined functions have vector arguments
  wl_add_variant(${kernel_source} baseline FLAGS -Wno-psabi)
endforeach()
