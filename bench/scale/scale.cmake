# Builds warploom_smpi, the program for the simulated MPI of SimGrid, if SimGrid is installed. The program has the same
# sources as warploom. Only the sources that include mpi.h are compiled again, with the header of SMPI. The linker
# option --wrap redirects the trainer's calls of certain functions to folded.c. The other sources therefore contain no
# code for the simulation.
find_program(WL_SMPIRUN smpirun)
find_path(WL_SMPI_INCLUDE smpi/smpi.h)
find_library(WL_SIMGRID_LIBRARY simgrid)
if(NOT WL_SMPIRUN OR NOT WL_SMPI_INCLUDE OR NOT WL_SIMGRID_LIBRARY)
  message(STATUS "SimGrid not found (Debian: libsimgrid-dev): bench/scale.sh cannot run")
  return()
endif()

set(WL_FOLDED wl_trainer_meta_step wl_outer_update wl_plan_begin wl_window_run wl_unit_create_with wl_unit_copy wl_unit_start
  wl_unroll_ws_create wl_unroll_ws_destroy wl_unroll_set_phi wl_unroll_set_interrupt wl_dataset_open wl_dataset_close
  wl_comm_finish wl_seconds MPI_Init_thread MPI_Iallreduce MPI_Wait)
list(TRANSFORM WL_FOLDED PREPEND "-Wl,--wrap=" OUTPUT_VARIABLE WL_FOLDED_OPTIONS)

file(GLOB WL_SMPI_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/comm/*.c ${CMAKE_SOURCE_DIR}/src/cli/*.c)
set(WL_SMPI_FOLDERS measure evaluate check run train estimator unroll rule precondition task tensor io base)
add_library(warploom_smpi MODULE ${WL_SMPI_SOURCES} ${CMAKE_CURRENT_LIST_DIR}/folded.c)
wl_configure_target(warploom_smpi "" "" "")
set_target_properties(warploom_smpi PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
# Compiled with the header of SMPI, comm.c reads the simulated clock instead of the system's clock.
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/comm/comm.c PROPERTIES
  COMPILE_OPTIONS "-include;smpi/smpi_helpers.h" COMPILE_DEFINITIONS SMPI_NO_OVERRIDE_MALLOC)
target_include_directories(warploom_smpi SYSTEM BEFORE PRIVATE ${WL_SMPI_INCLUDE}/smpi ${WL_SMPI_INCLUDE})
target_compile_definitions(warploom_smpi PRIVATE WL_LIBEXEC_FROM_BIN="" WL_SIMULATED)
target_link_options(warploom_smpi PRIVATE ${WL_FOLDED_OPTIONS} -Wl,-s)
# The libraries are linked by file name, because linking their CMake targets would also link the real MPI.
foreach(folder ${WL_SMPI_FOLDERS})
  if(TARGET wl_${folder})
    add_dependencies(warploom_smpi wl_${folder})
    target_link_libraries(warploom_smpi PRIVATE $<TARGET_FILE:wl_${folder}>)
    set_property(TARGET warploom_smpi APPEND PROPERTY LINK_DEPENDS $<TARGET_FILE:wl_${folder}>)
  endif()
endforeach()
target_link_libraries(warploom_smpi PRIVATE wl::jansson wl::hdf5 wl::yaml wl::openblas wl::random123 wl::xxhash
  ZLIB::ZLIB ${WL_SIMGRID_LIBRARY})
