/* Test results in TAP (testanything.org, version 13): `ok 1 - name`, and the plan at the end. */
#ifndef SDK_REPORT_H
#define SDK_REPORT_H

#include <stdbool.h>

/* One result with its name. Returns `passed`. */
bool report(bool passed, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A result that this machine cannot give; counts as passed. */
void report_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print the plan. Returns main's status: 0, or 1 where a result was bad or there was none. */
int report_summary(void);

#endif
