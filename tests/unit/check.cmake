# Tests how `warploom check` classifies the difference between a gradient and finite differences.
wl_add_unit_test(test_check_ladder SOURCES test_check_ladder.c LIBS check)
