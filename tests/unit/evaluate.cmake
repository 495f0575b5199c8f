# Tests decisions of the evaluation for which no inner run is necessary.
wl_add_unit_test(test_vary SOURCES test_vary.c LIBS evaluate)
wl_add_unit_test(test_curves SOURCES test_curves.c LIBS evaluate)
