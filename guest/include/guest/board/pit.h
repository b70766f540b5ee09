/*
 * The Intel 8254 timer (data sheet 231164), channels 0 and 2, with the PC's port 0x61. It lives in
 * user space, so that a VM whose guest never programs it pays for no kernel thread and no wake-up:
 * counters are computed from the clock when they are read, and only a running channel 0 in a mode
 * that raises IRQ 0 arms a timer. Channel 1 (memory refresh) counts like the others and drives
 * nothing. All six modes count; a gate edge restarts modes 1, 2, 3 and 5 on channel 2.
 *
 * Two things differ from the chip. A new count in modes 2 and 3 begins at once, not at the end of
 * the period (so do QEMU's and KVM's). IRQ 0 comes at most each PIT_MIN_PERIOD_NS, so that a guest
 * cannot make the host's timers its load; the counters themselves keep the time asked for.
 * Before the guest programs it, each channel counts in mode 3 from 65536, as a firmware leaves
 * channel 0, but without the tick.
 */
#ifndef OSVM_GUEST_BOARD_PIT_H
#define OSVM_GUEST_BOARD_PIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/loop.h"
#include "guest/bus.h"
#include "guest/irq.h"

#define PIT_FREQUENCY_HZ 1193182
#define PIT_CHANNELS     3

#define PIT_MIN_PERIOD_NS (100 * NS_PER_US)

/* Counts are 1 to 65536, in BCD 1 to 10000. Time is in ns of the device's clock. */
struct pit_channel {
    uint32_t written;     /* the count register: what the guest wrote last, 0 for nothing */
    uint32_t count;       /* the count in use */
    bool loaded;          /* a count is in use (not after a control word, nor before a trigger) */
    bool running;         /* the counter moves */
    uint64_t start_ns;    /* while it moves: when it began */
    uint64_t held_ns;     /* while it stands: how long it had moved */
    uint8_t mode, access; /* access: 1 low byte, 2 high byte, 3 low then high */
    bool bcd, gate, null_count;
    bool write_high_next, read_high_next;
    uint8_t write_low;
    bool count_latched, status_latched;
    uint16_t latched_count;
    uint8_t latched_status;
};

struct pit {
    struct bus_range range;         /* 0x40–0x43 */
    struct bus_range control_range; /* 0x61 */
    pthread_mutex_t lock;
    struct irq_line irq; /* owned */
    struct loop *loop;
    struct loop_timer timer;
    struct pit_channel channels[PIT_CHANNELS];
    uint8_t control;          /* port 0x61, bits 0 to 3 */
    uint64_t (*now_ns)(void); /* the clock; a test puts its own here */
};

/**
 * Set it up; its timer joins the loop, disarmed. The loop is borrowed.
 * Returns 0 (`irq` is taken over then) or a negative errno. On the loop's thread.
 */
int pit_init(struct pit *pit, struct loop *loop, struct irq_line irq);
/* On the loop's thread, or after it has ended. */
void pit_destroy(struct pit *pit);

#endif
