/* How a part of the board ends the machine: it tells one sink, which the builder gave it. */
#ifndef OSVM_GUEST_POWER_H
#define OSVM_GUEST_POWER_H

#include <stdint.h>

enum power_event {
    POWER_OFF,   /* an orderly end: ACPI S5 */
    POWER_RESET, /* the guest asked for a reset */
    POWER_EXIT,  /* the guest gave a status of its own */
};

/*
 * @status  the guest's status, 0 to 255, for POWER_EXIT; else 0
 * Called on a vCPU's thread, perhaps by several at once: the first call counts.
 */
struct power_sink {
    void (*event)(struct power_sink *sink, enum power_event event, uint8_t status);
};

#endif
