# The LSTM kernels in both precisions; each program goes through the instruction sets by itself.
foreach(test lstm lstm_torch)
  set(lstm_sources test_${test}.c lstm_fixture.c lstm_reference.c)
  wl_add_unit_test(${test} SOURCES ${lstm_sources} LIBS rule base PROCESSORS 2)
  wl_add_unit_test(${test}64 SOURCES ${lstm_sources} LIBS rule base DOUBLE PROCESSORS 2)
endforeach()
