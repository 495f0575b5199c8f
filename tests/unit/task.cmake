# Task families and their data.
wl_add_unit_test(unit_task SOURCES test_task.c LIBS task)
wl_add_unit_test(unit_task64 DOUBLE SOURCES test_task.c LIBS task)
wl_add_unit_test(unit_task_data SOURCES test_task_data.c LIBS task)
wl_add_unit_test(unit_task_cifar SOURCES test_task_cifar.c LIBS task)
wl_add_unit_test(unit_task_grad DOUBLE SOURCES test_task_grad.c LIBS task)
wl_add_unit_test(unit_task_reference DOUBLE SOURCES test_task_reference.c LIBS task)
wl_add_unit_test(unit_omniglot SOURCES test_omniglot.c LIBS task)
wl_add_unit_test(unit_omniglot64 DOUBLE SOURCES test_omniglot.c LIBS task)
