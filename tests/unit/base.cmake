wl_add_unit_test(unit_base SOURCES test_base.c LIBS base)
wl_add_unit_test(unit_cores SOURCES test_cores.c LIBS base)
wl_add_unit_test(unit_float_state SOURCES test_float_state.c LIBS base)
wl_add_unit_test(unit_float_state64 SOURCES test_float_state.c LIBS base DOUBLE)
wl_add_unit_test(unit_rng SOURCES test_rng.c LIBS base)
wl_add_unit_test(unit_rng64 SOURCES test_rng.c LIBS base DOUBLE)
wl_add_unit_test(unit_options SOURCES test_options.c options_fixture.c LIBS base)
wl_add_unit_test(unit_options_errors SOURCES test_options_errors.c options_fixture.c LIBS base)
wl_add_unit_test(unit_arguments
  SOURCES test_arguments.c ${CMAKE_SOURCE_DIR}/src/cli/arguments.c LIBS base)
wl_add_unit_test(unit_duration
  SOURCES test_duration.c ${CMAKE_SOURCE_DIR}/src/cli/duration.c LIBS base)
