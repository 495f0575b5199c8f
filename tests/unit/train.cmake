# What the training and the evaluation decide without running anything.
wl_add_unit_test(test_vary SOURCES test_vary.c LIBS train unroll rule precondition task tensor io comm base)
