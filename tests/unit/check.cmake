# Tests how `warploom check` judges differences.
wl_add_unit_test(test_check_ladder SOURCES test_check_ladder.c LIBS check)
