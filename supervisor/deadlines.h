/*
 * Many deadlines on one timer: a heap. A component has several, and there may be thousands of
 * components; a timer of the kernel's for each would cost a descriptor each. The loop's thread.
 */
#ifndef OSVM_SUPERVISOR_DEADLINES_H
#define OSVM_SUPERVISOR_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

struct deadline;
typedef void deadline_fn(struct deadline *deadline);

/* Embedded in its owner; zero-initialised but for the callback means "not set". */
struct deadline {
    deadline_fn *callback;
    uint64_t at_ns; /* CLOCK_MONOTONIC: a clock that is set back moves no deadline */
    size_t place;   /* in the heap, from 1; 0: not set */
};

struct deadlines {
    struct loop *loop;
    struct loop_timer timer;
    struct deadline **heap; /* from 1 on */
    size_t count, room;
};

/* Returns 0 or a negative errno. */
int deadlines_init(struct deadlines *deadlines, struct loop *loop);
void deadlines_destroy(struct deadlines *deadlines);

/* Have it called back once, `after_ns` from now; one that is set is moved. Returns 0 or -ENOMEM. */
int deadline_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t after_ns);

/* Does nothing where it is not set. */
void deadline_clear(struct deadlines *deadlines, struct deadline *deadline);

#endif
