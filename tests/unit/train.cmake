# Tests the parts of the training that do not require an inner run.
wl_add_unit_test(test_outer SOURCES test_outer.c LIBS train unroll rule precondition task tensor io comm base)
wl_add_unit_test(test_draws SOURCES test_draws.c ../harness/distribution.c
  LIBS train unroll rule precondition task tensor io comm base)
wl_add_unit_test(train_spill SOURCES test_spill.c LIBS train unroll rule precondition task tensor io comm base)
wl_add_unit_test(run_directory SOURCES test_run_directory.c
  LIBS run train estimator unroll rule precondition task tensor io comm base)
wl_add_unit_test(unit_keys SOURCES test_keys.c LIBS train)
