# Defines functions that register tests. The script run_test.sh runs every test in a separate empty folder,
# WL_TEST_SCRATCH, and with the environment variables below. Exit code 77 reports that the test was skipped.
#
#   wl_add_unit_test(<name> SOURCES <files>... LIBS <folders>... [DOUBLE] [common])
#   wl_add_mpi_test(<name> RANKS <n>... SOURCES <files>... LIBS <folders>... [DOUBLE] [common])
#   wl_add_script_test(<name> SCRIPT <file> [ARGS <arguments>...] [common])
#
# - wl_add_unit_test adds a cmocka program as a test.
# - wl_add_mpi_test adds a program, and one test <name>_n<ranks> for each number of ranks.
# - wl_add_script_test adds a shell or Python script as a test. The environment variable WL_BIN is the path of the
#   tested warploom, and WL_SOURCE is the path of the source tree.
#
# DOUBLE links the program with the float64 libraries and defines WL_DOUBLE. [common] stands for these arguments:
#
#   [PROCESSORS <n>] [TIMEOUT <seconds>] [LABELS <labels>...] [LINK <targets>...] [ENVIRONMENT <name=value>...]
#
# ENVIRONMENT may contain ${WL_NO_GRACE}. With this variable, Open MPI kills the other ranks immediately if a rank
# ends with an exit code other than 0. Without this variable, Open MPI waits two seconds. Tests that send signals to
# the launcher must not use WL_NO_GRACE.
#
# LIBS is a list of folders of src ("base", "task"). The libraries of these folders, and all libraries on which these
# libraries depend, are linked to the test. The labels always include the name of the test's folder (unit, mpi, ...).

set(WL_NO_GRACE OMPI_MCA_odls_base_sigkill_timeout=0)
set(WL_TEST_RUNNER ${CMAKE_CURRENT_LIST_DIR}/run_test.sh)
# The MPI processes exchange their connection data through PMIx. PMIx 4 and earlier versions store these data in
# shared memory (components ds21 and ds12). On a machine with high load, a rank sometimes reads this memory before the
# data are complete. MPI_Init then ends with a segmentation fault or an error about a missing segment (openpmix issue
# 1114, ompi issue 6761). With the component `hash`, the ranks instead request the data by messages.
set(WL_TEST_ENVIRONMENT
  PMIX_MCA_gds=hash
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
  OMPI_MCA_hwloc_base_binding_policy=none
  OPENBLAS_NUM_THREADS=1
  "WL_MPIEXEC=${MPIEXEC_EXECUTABLE}" "WL_PYTHON=${WL_PYTHON}" "WL_SOURCE=${CMAKE_SOURCE_DIR}"
  "WL_BIN=${CMAKE_BINARY_DIR}/warploom")

function(wl_add_unit_test name)
  cmake_parse_arguments(ARG "DOUBLE" "PROCESSORS;TIMEOUT" "SOURCES;LIBS;LABELS;LINK;ENVIRONMENT" ${ARGN})
  wl_require_libraries(${name} ${ARG_LIBS})
  wl_add_test_program(${name})
  add_test(NAME ${name} COMMAND ${WL_TEST_RUNNER} $<TARGET_FILE:${name}>)
  wl_set_test_properties(${name})
endfunction()

function(wl_add_mpi_test name)
  cmake_parse_arguments(ARG "DOUBLE" "PROCESSORS;TIMEOUT" "RANKS;SOURCES;LIBS;LABELS;LINK;ENVIRONMENT" ${ARGN})
  if(NOT ARG_RANKS)
    message(FATAL_ERROR "wl_add_mpi_test(${name}): give RANKS")
  endif()
  wl_require_libraries(${name} ${ARG_LIBS})
  wl_add_test_program(${name})
  foreach(ranks ${ARG_RANKS})
    set(ARG_PROCESSORS ${ranks})
    add_test(NAME ${name}_n${ranks} COMMAND ${WL_TEST_RUNNER}
      ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:${name}>)
    wl_set_test_properties(${name}_n${ranks})
  endforeach()
endfunction()

function(wl_add_script_test name)
  cmake_parse_arguments(ARG "" "SCRIPT;PROCESSORS;TIMEOUT" "ARGS;LABELS;ENVIRONMENT" ${ARGN})
  get_filename_component(script ${ARG_SCRIPT} ABSOLUTE)
  if(NOT EXISTS ${script})
    message(FATAL_ERROR "wl_add_script_test(${name}): no ${script}")
  endif()
  set(interpreter bash)
  if(script MATCHES "[.]py$")
    set(interpreter ${WL_PYTHON})
  endif()
  add_test(NAME ${name} COMMAND ${WL_TEST_RUNNER} ${interpreter} ${script} ${ARG_ARGS})
  wl_set_test_properties(${name})
endfunction()

# If a library that a test requires is missing, CMake must stop with an error. Without this check, CMake would omit
# the test without a message.
function(wl_require_libraries test)
  foreach(folder ${ARGN})
    if(NOT TARGET wl_${folder})
      message(FATAL_ERROR "${test}: no library of src/${folder}")
    endif()
  endforeach()
endfunction()

# Adds the program of a unit test or an MPI test. The function uses the variables ARG_* of the caller.
function(wl_add_test_program name)
  set(suffix "")
  if(ARG_DOUBLE)
    set(suffix "64")
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_include_directories(${name} SYSTEM PRIVATE ${WL_CMOCKA_INCLUDE})
  wl_configure_target(${name} "${suffix}" "${ARG_LIBS}" "${ARG_LINK}")
  target_link_libraries(${name} PRIVATE ${WL_CMOCKA_LIBRARY})
endfunction()

function(wl_set_test_properties name)
  if(NOT ARG_PROCESSORS)
    set(ARG_PROCESSORS 1)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  set(labels ${folder} ${ARG_LABELS})
  list(REMOVE_DUPLICATES labels)
  set_tests_properties(${name} PROPERTIES
    PROCESSORS ${ARG_PROCESSORS} TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77 LABELS "${labels}")
  set_property(TEST ${name} PROPERTY ENVIRONMENT ${WL_TEST_ENVIRONMENT} ${ARG_ENVIRONMENT}
    "WL_TEST_SCRATCH=${CMAKE_BINARY_DIR}/scratch/${name}")
endfunction()
