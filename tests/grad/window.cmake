# Tests the code that runs windows. The unit tests run in float32 and in float64. The script check_reference.py
# compares `check --dump` with PyTorch. The script check_grid.py runs `check` on many configurations.
foreach(precision "" DOUBLE)
  set(suffix "")
  if(precision)
    set(suffix "64")
  endif()
  wl_add_unit_test(window${suffix} ${precision} PROCESSORS 2 SOURCES test_window.c window_fixture.c LIBS train base)
  wl_add_unit_test(window_closed_form${suffix} ${precision} SOURCES test_window_closed_form.c window_fixture.c
    LIBS train base)
endforeach()
wl_add_unit_test(estimators DOUBLE SOURCES test_estimators.c window_fixture.c LIBS train estimator base)
wl_add_script_test(check_reference SCRIPT check_reference.py TIMEOUT 900)
wl_add_script_test(check_grid SCRIPT check_grid.py TIMEOUT 900)
