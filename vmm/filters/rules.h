/* The system calls that each kind of thread may make once the jail is closed, and why. */
#ifndef OSVM_VMM_FILTERS_RULES_H
#define OSVM_VMM_FILTERS_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "base/thread.h"
#include "filter_sets.h"

#define RULE_CHECKS 3

/* The argument, of which the bits in `mask` are `value`. */
struct rule_check {
    unsigned argument;
    uint64_t mask; /* 0: no check */
    uint64_t value;
};

struct rule {
    unsigned threads; /* 1 << enum thread_kind, or several */
    unsigned needs;   /* enum filter_feature: any of them; 0: every machine */
    const char *call;
    struct rule_check checks[RULE_CHECKS]; /* all of them */
    int fails;                             /* not done: it fails with this errno; 0: done */
    const char *reason;
};

extern const struct rule rules[];
extern const size_t rule_count;

#endif
