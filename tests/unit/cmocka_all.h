/* cmocka_all.h - includes cmocka and the headers that cmocka requires before it. */
#ifndef WL_TESTS_CMOCKA_ALL_H
#define WL_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
