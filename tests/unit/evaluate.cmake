# Tests the parts of the evaluation that run before any inner run.
wl_add_unit_test(test_vary SOURCES test_vary.c LIBS evaluate)
wl_add_unit_test(test_curves SOURCES test_curves.c LIBS evaluate)
