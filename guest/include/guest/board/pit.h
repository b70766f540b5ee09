/*
 * The Intel 8254 timer (data sheet 231164), channels 0 and 2, with the PC's port 0x61. It lives in
 * user space, so that a VM whose guest never programs it pays for no kernel thread and no wake-up:
 * counters are computed from the clock when they are read, and only a running channel 0 in a mode
 * that raises IRQ 0 arms a timer. Channel 1 (memory refresh) counts like the others and drives
 * nothing. All six modes count; a gate edge restarts modes 1, 2, 3 and 5 on channel 2.
 */
#ifndef OSVM_GUEST_BOARD_PIT_H
#define OSVM_GUEST_BOARD_PIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "guest/bus.h"
#include "guest/irq.h"

#define PIT_FREQUENCY_HZ 1193182
#define PIT_CHANNELS     3

struct pit_channel {
    uint32_t reload; /* 1 to 65536 */
    uint64_t start_ns;
    uint8_t mode, access; /* access: 1 low byte, 2 high byte, 3 low then high */
    bool bcd, gate, loaded, null_count;
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
    uint8_t control;          /* port 0x61, bits 0 and 1 */
    uint64_t (*now_ns)(void); /* the clock; a test puts its own here */
};

/* `irq` is taken over. The loop is borrowed. Returns 0 or a negative errno. */
int pit_init(struct pit *pit, struct loop *loop, struct irq_line irq);
/* On the loop's thread, or after it has ended. */
void pit_destroy(struct pit *pit);

#endif
