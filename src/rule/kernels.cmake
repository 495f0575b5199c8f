# lstm_kernel.c once for each instruction set; lstm_isa.c chooses at run time.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  wl_add_variant(lstm_kernel.c avx512 FLAGS -march=x86-64-v4 -mprefer-vector-width=512)
  wl_add_variant(lstm_kernel.c avx2 FLAGS -march=x86-64-v3)
endif()
wl_add_variant(lstm_kernel.c baseline)
