/* cmocka_all.h - cmocka with the headers that it expects before it. */
#ifndef WL_TESTS_CMOCKA_ALL_H
#define WL_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
