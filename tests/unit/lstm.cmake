# The LSTM kernels: both precisions, and each instruction set that this processor has.
set(lstm_sources test_lstm.c lstm_fixture.c lstm_reference.c)
foreach(isa avx512 avx2 baseline)
  wl_add_unit_test(lstm_${isa} SOURCES ${lstm_sources} LIBS rule base ENVIRONMENT WARPLOOM_ISA=${isa})
  wl_add_unit_test(lstm64_${isa} SOURCES ${lstm_sources} LIBS rule base DOUBLE ENVIRONMENT WARPLOOM_ISA=${isa})
endforeach()
