/* Interrupts of virtio devices: vectors, what each means, and waiting for any. */
#include "drivers/virtio_entry.h"
#include "drivers/virtio_private.h"
#include "sdk/apic.h"
#include "sdk/cpu.h"
#include "sdk/cpu_state.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/time.h"

#define TIMER_MAX_US 1000000

static struct target {
    struct virtio_dev *dev; /* NULL: free */
    bool line;              /* the device's, for whatever it says */
    bool asks_later;        /* the line is its own: it is asked what for where the guest waits */
    uint32_t flags;         /* of the line */
    uint32_t asked;         /* the count when it was asked last */
} targets[VIRTIO_VECTORS];
static unsigned target_end; /* behind the last that ever was taken */

volatile uint32_t virtio_interrupt_counts[VIRTIO_VECTORS];
volatile uint32_t virtio_event_count;

static volatile uint64_t timer_end; /* when the timer will have woken us; 0: it is off */

static RING0_CODE void ask(struct virtio_dev *dev)
{
    uint32_t cause = dev->transport->interrupt_cause(dev);

    dev->line_config += (cause & VIRTIO_CAUSE_CONFIG) != 0;
    dev->line_queues += (cause & VIRTIO_CAUSE_QUEUE) != 0;
}

/* Of the devices on one line each has a vector, but the I/O APIC sends only the one that was routed
 * last: so all are asked. A level must be taken back before the interrupt ends. */
static RING0_CODE void on_interrupt(struct interrupt_frame *frame)
{
    unsigned n = (unsigned)frame->vector - VIRTIO_VECTOR_FIRST;

    virtio_interrupt_counts[n]++;
    virtio_event_count++;
    if (!targets[n].line || targets[n].asks_later)
        return;
    for (unsigned i = 0; i < target_end; i++)
        if (targets[i].dev && targets[i].line && targets[i].dev->gsi == targets[n].dev->gsi)
            ask(targets[i].dev);
}

static void ask_lines(void)
{
    for (unsigned i = 0; i < target_end; i++) {
        struct target *t = &targets[i];
        uint32_t count = virtio_interrupt_counts[i];

        if (!t->dev || !t->asks_later || t->asked == count)
            continue;
        t->asked = count; /* first: one that comes meanwhile is asked for once more */
        ask(t->dev);
    }
}

static uint32_t count_of(unsigned vector)
{
    return vector ? virtio_interrupt_counts[vector - VIRTIO_VECTOR_FIRST] : 0;
}

uint32_t virtio_queue_interrupts(const struct virtio_queue *queue)
{
    ask_lines();
    return queue->dev->line_queues + count_of(queue->vector);
}

uint32_t virtio_config_interrupts(const struct virtio_dev *dev)
{
    ask_lines();
    return dev->line_config + count_of(dev->config_vector);
}

static RING0_CODE void on_timer(struct interrupt_frame *frame)
{
    (void)frame;
    timer_end = 0;
    virtio_event_count++;
}

static unsigned sharers(uint32_t gsi)
{
    unsigned count = 0;

    for (unsigned i = 0; i < target_end; i++)
        count += targets[i].dev && targets[i].line && targets[i].dev->gsi == gsi;
    return count;
}

/* By the short entry where that is enough: it only counts, and knows the APIC in memory alone. */
static void connect(unsigned n)
{
    struct target *t = &targets[n];
    bool counts;

    t->asks_later = t->line && t->flags == 0 && sharers(t->dev->gsi) == 1;
    counts = (!t->line || t->asks_later) && !apic_is_x2apic();
    interrupt_set_handler(VIRTIO_VECTOR_FIRST + n, on_interrupt);
    interrupt_set_entry(VIRTIO_VECTOR_FIRST + n,
                        counts ? virtio_entries + (size_t)n * VIRTIO_ENTRY_SIZE : NULL);
}

static unsigned take(struct target target)
{
    for (unsigned i = 0; i < VIRTIO_VECTORS; i++) {
        if (targets[i].dev)
            continue;
        targets[i] = target;
        virtio_interrupt_counts[i] = 0;
        if (i >= target_end)
            target_end = i + 1;
        connect(i);
        return VIRTIO_VECTOR_FIRST + i;
    }
    return 0;
}

unsigned virtio_vector_take(struct virtio_dev *dev)
{
    return take((struct target){.dev = dev});
}

bool virtio_line_take(struct virtio_dev *dev, uint32_t flags)
{
    unsigned vector = take((struct target){.dev = dev, .line = true, .flags = flags});

    if (vector)
        ioapic_route(dev->gsi, vector, apic_id(), flags);
    return vector != 0;
}

static void hand_on_line(uint32_t gsi)
{
    for (unsigned i = 0; i < target_end; i++)
        if (targets[i].dev && targets[i].line && targets[i].dev->gsi == gsi) {
            connect(i);
            ioapic_route(gsi, VIRTIO_VECTOR_FIRST + i, apic_id(), targets[i].flags);
            return;
        }
    ioapic_mask(gsi);
}

void virtio_vectors_release(struct virtio_dev *dev)
{
    dev->config_vector = 0;
    for (unsigned i = 0; i < target_end; i++) {
        bool line = targets[i].line;

        if (targets[i].dev != dev)
            continue;
        targets[i] = (struct target){0};
        if (line)
            hand_on_line(dev->gsi);
        interrupt_set_entry(VIRTIO_VECTOR_FIRST + i, NULL);
        interrupt_set_handler(VIRTIO_VECTOR_FIRST + i, NULL);
    }
}

uint32_t virtio_events(void)
{
    return __atomic_load_n(&virtio_event_count, __ATOMIC_ACQUIRE);
}

static bool any_interrupts(void)
{
    for (unsigned i = 0; i < target_end; i++)
        if (targets[i].dev)
            return true;
    return false;
}

void virtio_events_wait(uint32_t seen, uint64_t microseconds)
{
    uint64_t now;

    if (!any_interrupts()) {
        cpu_pause();
        return;
    }
    now = time_us();
    if (microseconds > TIMER_MAX_US)
        microseconds = TIMER_MAX_US;
    /* A timer that is on and goes off early enough is left alone: to set it costs exits. */
    if (timer_end <= now || timer_end > now + microseconds) {
        interrupt_set_handler(VIRTIO_VECTOR_TIMER, on_timer);
        timer_end = now + microseconds;
        apic_timer_once(VIRTIO_VECTOR_TIMER, microseconds);
    }
    cpu_halt_while(&virtio_event_count, seen);
    ask_lines();
}
