# What the training and the evaluation decide without running anything.
wl_add_unit_test(test_vary SOURCES test_vary.c LIBS train unroll rule precondition task tensor io comm base)
wl_add_unit_test(test_check_ladder SOURCES test_check_ladder.c LIBS train unroll rule precondition task tensor io comm base)
