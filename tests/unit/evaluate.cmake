# Tests decisions of the evaluation that do not depend on the result of an inner run.
wl_add_unit_test(test_vary SOURCES test_vary.c LIBS evaluate)
wl_add_unit_test(test_curves SOURCES test_curves.c LIBS evaluate)
