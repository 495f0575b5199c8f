# Tests update rules and preconditioners in float32 and in float64.
foreach(test rules tensor_rules lbfgs precondition)
  wl_add_unit_test(test_${test} DOUBLE SOURCES test_${test}.c ../harness/rule_fixture.c
    LIBS rule precondition base)
  wl_add_unit_test(test_${test}_float32 SOURCES test_${test}.c ../harness/rule_fixture.c
    LIBS rule precondition base)
endforeach()
