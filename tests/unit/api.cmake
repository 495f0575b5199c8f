# Tests the public functions that optimizer.h declares.
wl_add_unit_test(test_optimizer SOURCES test_optimizer.c LIBS api evaluate train unroll rule precondition task tensor io comm base)
