#include "deadlines.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/util.h"

static void put(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
    deadlines->heap[place] = deadline;
    deadline->place = place;
}

/* Move the deadline at a place to where it belongs. */
static void settle(struct deadlines *deadlines, size_t place)
{
    struct deadline *moved = deadlines->heap[place];

    while (place > 1 && deadlines->heap[place / 2]->at_ns > moved->at_ns) {
        put(deadlines, place, deadlines->heap[place / 2]);
        place /= 2;
    }
    for (;;) {
        size_t child = place * 2;

        if (child < deadlines->count &&
            deadlines->heap[child + 1]->at_ns < deadlines->heap[child]->at_ns)
            child++;
        if (child > deadlines->count || deadlines->heap[child]->at_ns >= moved->at_ns)
            break;
        put(deadlines, place, deadlines->heap[child]);
        place = child;
    }
    put(deadlines, place, moved);
}

/* The kernel's timer to the first of them. */
static void arm(struct deadlines *deadlines)
{
    uint64_t now = clock_monotonic_ns();

    if (deadlines->count == 0)
        loop_timer_disarm(&deadlines->timer);
    else
        loop_timer_arm(&deadlines->timer,
                       deadlines->heap[1]->at_ns > now ? deadlines->heap[1]->at_ns - now : 0, 0);
}

static void take_out(struct deadlines *deadlines, struct deadline *deadline)
{
    size_t place = deadline->place;
    struct deadline *last = deadlines->heap[deadlines->count--];

    deadline->place = 0;
    if (last == deadline)
        return;
    put(deadlines, place, last);
    settle(deadlines, place);
}

static void on_timer(struct loop_timer *timer)
{
    struct deadlines *deadlines = container_of(timer, struct deadlines, timer);
    uint64_t now = clock_monotonic_ns();

    while (deadlines->count && deadlines->heap[1]->at_ns <= now) {
        struct deadline *due = deadlines->heap[1];

        take_out(deadlines, due);
        due->callback(due);
    }
    arm(deadlines);
}

int deadlines_init(struct deadlines *deadlines, struct loop *loop)
{
    *deadlines = (struct deadlines){.loop = loop, .timer.callback = on_timer};
    return loop_timer_add(loop, &deadlines->timer);
}

void deadlines_destroy(struct deadlines *deadlines)
{
    loop_timer_remove(deadlines->loop, &deadlines->timer);
    free(deadlines->heap);
}

int deadline_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t after_ns)
{
    if (!deadline->place && deadlines->count + 1 >= deadlines->room) {
        size_t room = deadlines->room ? deadlines->room * 2 : 64;
        struct deadline **heap = reallocarray(deadlines->heap, room, sizeof(*heap));

        if (!heap)
            return -ENOMEM;
        deadlines->heap = heap;
        deadlines->room = room;
    }
    deadline->at_ns = clock_monotonic_ns() + after_ns;
    if (!deadline->place)
        put(deadlines, ++deadlines->count, deadline);
    settle(deadlines, deadline->place);
    arm(deadlines);
    return 0;
}

void deadline_clear(struct deadlines *deadlines, struct deadline *deadline)
{
    if (!deadline->place)
        return;
    take_out(deadlines, deadline);
    arm(deadlines);
}
