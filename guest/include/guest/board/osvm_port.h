/*
 * The paravirtual port of osvm-vmm, 0x700–0x70f, for guests that know it (the SDK in unikernel/).
 *
 * offset  width  read                                     write
 * 0x0     4      0x4d56534f ("OSVM", little-endian)       milestone: 1 first instruction, 2 ready
 * 0x4     4      version of this interface: 1             end with this status (its low 8 bits)
 * 0x8     4      µs from the start of the process to      —
 *                milestone 1 (0 before it)
 * 0xc     4      µs from the start of the process to now  —
 *
 * Any other access reads all ones and does nothing.
 */
#ifndef OSVM_GUEST_BOARD_OSVM_PORT_H
#define OSVM_GUEST_BOARD_OSVM_PORT_H

#include <stdint.h>

#include "guest/bus.h"
#include "guest/power.h"

#define OSVM_PORT_SIZE              16
#define OSVM_PORT_SIGNATURE         UINT32_C(0x4d56534f)
#define OSVM_PORT_VERSION           1
#define OSVM_PORT_MILESTONE         0x0
#define OSVM_PORT_EXIT              0x4
#define OSVM_PORT_FIRST_INSTRUCTION 0x8
#define OSVM_PORT_NOW               0xc

#define OSVM_MILESTONE_FIRST_INSTRUCTION 1
#define OSVM_MILESTONE_READY             2
#define OSVM_MILESTONE_COUNT             3

/* Told, once each, of the milestones that the guest reaches. The thread of the CPU that does. */
struct milestone_observer {
    void (*reached)(struct milestone_observer *observer, unsigned milestone);
};

struct osvm_port {
    struct bus_range range;
    struct power_sink *power;
    struct milestone_observer *observer; /* borrowed; NULL: nobody */
    uint64_t process_start_ns;           /* CLOCK_MONOTONIC */
    uint64_t
        milestones_ns[OSVM_MILESTONE_COUNT]; /* CLOCK_MONOTONIC of the first; 0: not yet; atomic */
};

void osvm_port_init(struct osvm_port *port, uint64_t process_start_ns, struct power_sink *power);

/* CLOCK_MONOTONIC of a milestone, or 0. Any thread. */
uint64_t osvm_port_milestone(const struct osvm_port *port, unsigned milestone);

#endif
