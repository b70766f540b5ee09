/* Interrupt lines into the in-kernel interrupt controllers, by irqfd. */
#ifndef OSVM_GUEST_IRQ_H
#define OSVM_GUEST_IRQ_H

#include <stdint.h>

/*
 * An edge-triggered line. A device only ever pulses it; what is pulsed may be another thing in a
 * test (an eventfd that the test reads).
 */
struct irq_line {
    int fd; /* eventfd, owned; -1: not connected, pulses go nowhere */
    uint32_t gsi;
};

/* Raise an edge. Any thread; never blocks. */
void irq_line_pulse(const struct irq_line *line);

/* Close it. Does nothing where fd is -1. */
void irq_line_destroy(struct irq_line *line);

#endif
