/* Interrupt lines into the in-kernel interrupt controllers. */
#ifndef OSVM_GUEST_IRQ_H
#define OSVM_GUEST_IRQ_H

#include <stdbool.h>
#include <stdint.h>

/*
 * An edge-triggered line. A device only ever pulses it; what is pulsed may be another thing in a
 * test (an eventfd that the test reads).
 *
 * A message (MSI) is an irqfd: KVM delivers it where it is written. A pin of the controllers is
 * pulsed by an ioctl, because KVM has a worker thread do what an irqfd asks of a pin, and the guest
 * waits for that thread to be scheduled.
 */
struct irq_line {
    int fd;       /* eventfd, owned; -1: not connected, pulses go nowhere */
    uint32_t gsi; /* the pin, or the message's route */
    bool is_pin;  /* fd is the VM's, borrowed */
};

/* Raise an edge. Any thread, but one at a time for a line: its owner's lock sees to that. Never
 * blocks. */
void irq_line_pulse(const struct irq_line *line);

/* Close it. Does nothing where fd is -1. */
void irq_line_destroy(struct irq_line *line);

#endif
