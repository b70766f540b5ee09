/* Interrupts of virtio devices: vectors, what each means, and waiting for any. */
#include "drivers/virtio_private.h"
#include "sdk/apic.h"
#include "sdk/cpu.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/time.h"

#define VECTOR_COUNT (VIRTIO_VECTOR_LAST - VIRTIO_VECTOR_FIRST + 1)
#define TIMER_MAX_US 1000000

static struct target {
    struct virtio_dev *dev; /* NULL: free */
    struct virtio_queue *queue;
    bool line;      /* the device's, for whatever it says */
    uint32_t flags; /* of the line */
} targets[VECTOR_COUNT];

static volatile uint32_t events;
static volatile uint64_t timer_end; /* when the timer will have woken us; 0: it is off */

/* Of the devices on one line each has a vector, but the I/O APIC sends only the one that was routed
 * last: so all are asked. */
static RING0_CODE void ask(struct virtio_dev *dev)
{
    uint32_t cause = dev->transport->interrupt_cause(dev);

    if (cause & VIRTIO_CAUSE_CONFIG)
        dev->config_changes++;
    if (cause & VIRTIO_CAUSE_QUEUE)
        for (unsigned i = 0; i < dev->queue_count; i++)
            dev->queues[i].interrupts++;
}

static RING0_CODE void on_interrupt(struct interrupt_frame *frame)
{
    const struct target *target = &targets[frame->vector - VIRTIO_VECTOR_FIRST];

    events++;
    if (target->line) {
        for (unsigned i = 0; i < VECTOR_COUNT; i++)
            if (targets[i].dev && targets[i].line && targets[i].dev->gsi == target->dev->gsi)
                ask(targets[i].dev);
    } else if (target->queue) {
        target->queue->interrupts++;
    } else if (target->dev) {
        target->dev->config_changes++;
    }
}

static RING0_CODE void on_timer(struct interrupt_frame *frame)
{
    (void)frame;
    timer_end = 0;
    events++;
}

static unsigned take(struct target target)
{
    for (unsigned i = 0; i < VECTOR_COUNT; i++) {
        if (targets[i].dev)
            continue;
        targets[i] = target;
        interrupt_set_handler(VIRTIO_VECTOR_FIRST + i, on_interrupt);
        return VIRTIO_VECTOR_FIRST + i;
    }
    return 0;
}

unsigned virtio_vector_take(struct virtio_dev *dev, struct virtio_queue *queue)
{
    return take((struct target){.dev = dev, .queue = queue});
}

unsigned virtio_line_take(struct virtio_dev *dev, uint32_t flags)
{
    unsigned vector = take((struct target){.dev = dev, .line = true, .flags = flags});

    if (vector)
        ioapic_route(dev->gsi, vector, apic_id(), flags);
    return vector;
}

static void hand_on_line(uint32_t gsi)
{
    for (unsigned i = 0; i < VECTOR_COUNT; i++)
        if (targets[i].dev && targets[i].line && targets[i].dev->gsi == gsi) {
            ioapic_route(gsi, VIRTIO_VECTOR_FIRST + i, apic_id(), targets[i].flags);
            return;
        }
    ioapic_mask(gsi);
}

void virtio_vectors_release(const struct virtio_dev *dev)
{
    for (unsigned i = 0; i < VECTOR_COUNT; i++) {
        bool line = targets[i].line;

        if (targets[i].dev != dev)
            continue;
        targets[i] = (struct target){0};
        if (line)
            hand_on_line(dev->gsi);
        interrupt_set_handler(VIRTIO_VECTOR_FIRST + i, NULL);
    }
}

uint32_t virtio_events(void)
{
    return __atomic_load_n(&events, __ATOMIC_ACQUIRE);
}

static bool any_interrupts(void)
{
    for (unsigned i = 0; i < VECTOR_COUNT; i++)
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
    cpu_halt_while(&events, seen);
}
