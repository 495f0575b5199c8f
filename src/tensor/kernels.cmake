# kernels.c once for each instruction set; kernels_pick.c chooses at run time.
wl_add_variant(kernels.c base FLAGS -O3)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  wl_add_variant(kernels.c avx2 FLAGS -mavx2 -mfma)
  wl_add_variant(kernels.c avx512 FLAGS -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -mprefer-vector-width=512)
endif()
