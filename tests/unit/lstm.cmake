# Tests the LSTM kernels in float32 and in float64. Each program tests all instruction sets, one after another.
# In these tests, waiting OpenMP threads sleep instead of spinning. On a machine with high load, spinning threads
# would delay the threads for which they wait.
foreach(test lstm lstm_torch)
  set(lstm_sources test_${test}.c lstm_fixture.c lstm_reference.c)
  foreach(suffix "" "64")
    set(precision)
    if(suffix)
      set(precision DOUBLE)
    endif()
    wl_add_unit_test(${test}${suffix} SOURCES ${lstm_sources} LIBS rule base ${precision}
      PROCESSORS 2 ENVIRONMENT OMP_WAIT_POLICY=passive)
  endforeach()
endforeach()
