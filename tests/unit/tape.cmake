# Tests the tape in float32, in float64, and with each instruction set. The tests compare values with simple loops,
# compare the kernels of different instruction sets, and check errors.
foreach(isa avx512 avx2 baseline)
  wl_add_unit_test(tape_kernels_${isa} SOURCES test_tape_kernels.c LIBS tensor base ENVIRONMENT WARPLOOM_ISA=${isa})
endforeach()
wl_add_unit_test(tape_kernels64 SOURCES test_tape_kernels.c LIBS tensor base DOUBLE)
wl_add_unit_test(tape_values SOURCES test_tape_values.c LIBS tensor base)
wl_add_unit_test(tape_values64 SOURCES test_tape_values.c LIBS tensor base DOUBLE)
wl_add_unit_test(tape_build SOURCES test_tape_build.c LIBS tensor base)
