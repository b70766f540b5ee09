/*
 * What the unit tests share: a cmocka group put together from tables, so that each row is a test
 * of its own with its own name, and its row as *state.
 */
#ifndef OSVM_TESTS_UNIT_H
#define OSVM_TESTS_UNIT_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define UNIT_MAX_TESTS 256

struct unit {
    struct CMUnitTest tests[UNIT_MAX_TESTS];
    size_t count;
};

static inline void unit_add(struct unit *unit, const char *name, CMUnitTestFunction test,
                            const void *row)
{
    if (unit->count == UNIT_MAX_TESTS)
        abort();
    unit->tests[unit->count++] = (struct CMUnitTest){
        .name = name,
        .test_func = test,
        .initial_state = (void *)(uintptr_t)row,
    };
}

/* Add each row of a table whose rows have a `name`. */
#define unit_add_rows(unit, table, test)                                  \
    do {                                                                  \
        for (size_t unit_i = 0; unit_i < ARRAY_SIZE(table); unit_i++)     \
            unit_add(unit, (table)[unit_i].name, test, &(table)[unit_i]); \
    } while (0)

/* Returns what main() is to return. */
static inline int unit_run(struct unit *unit, const char *group)
{
    return _cmocka_run_group_tests(group, unit->tests, unit->count, NULL, NULL) != 0;
}

#endif
