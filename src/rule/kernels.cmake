# Compiles each kernel once for each instruction set. At run time, kernels_pick.c selects one of these
# variants.
foreach(kernel lstm_kernel.c controller_kernel.c newton_schulz_kernel.c feature_kernel.c rnnprop_kernel.c)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    wl_add_variant(${kernel} avx512 FLAGS -march=x86-64-v4 -mprefer-vector-width=512)
    wl_add_variant(${kernel} avx2 FLAGS -march=x86-64-v3)
  endif()
  wl_add_variant(${kernel} baseline)
endforeach()
