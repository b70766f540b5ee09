/*
 * The VM process's end of the channel: what the guardian asks of the machine is done on the
 * machine's own loop. A machine without an API has none of it.
 */
#ifndef OSVM_VMM_API_CONTROL_H
#define OSVM_VMM_API_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "guest/gate.h"

struct machine;

/* Embedded in the machine. */
struct control {
    struct machine *machine;   /* borrowed */
    struct loop_source source; /* fd -1: there is no channel */
    struct gate_hold hold;     /* the API's own */
    bool paused;               /* all CPUs stand still by it */
    uint32_t pause_number;     /* of the command that waits for that; 0: none */
};

/* @fd  the channel's end, taken over; -1: none */
void control_init(struct control *control, struct machine *machine, int fd);
void control_destroy(struct control *control);

/**
 * The machine runs: say so, and take commands from now on. Returns 0 or a negative errno. The
 * loop's thread.
 */
int control_start(struct control *control);

/* It will never run: say why. @fd  the channel's end, or -1 */
void control_fail(int fd, const char *why);

#endif
