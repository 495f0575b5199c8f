/* mpi_test.h - defines the main function of cmocka programs that run on every rank. A test must make all its collective
 * calls before its assertions. Otherwise, other ranks would wait for a rank whose assertion has failed. */
#ifndef WL_TESTS_MPI_MPI_TEST_H
#define WL_TESTS_MPI_MPI_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "comm/comm.h"

/* Runs `tests`. Each test receives the communicator as its state. Returns the exit code that main must return. */
#define WL_MPI_TEST_MAIN(tests)                                                                   \
  int main(int argc, char **argv) {                                                               \
    wl_comm *comm = NULL;                                                                         \
    if (wl_comm_start(&argc, &argv, &comm) != WL_OK) {                                            \
      fprintf(stderr, "%s\n", wl_last_error());                                                   \
      return 1;                                                                                   \
    }                                                                                             \
    for (size_t i = 0; i < sizeof(tests) / sizeof *(tests); i++) (tests)[i].initial_state = comm; \
    const int failures = cmocka_run_group_tests((tests), NULL, NULL);                             \
    wl_comm_finish(&comm);                                                                        \
    return failures != 0;                                                                         \
  }

#endif
