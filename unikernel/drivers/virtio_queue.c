/* Split rings from the driver's side. Section numbers are those of virtio 1.2. */
#include <stddef.h>

#include "drivers/virtio_private.h"
#include "sdk/cpu.h"
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define USED_ALIGNMENT 4 /* 2.7 */

static size_t align_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static void fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* 2.7.10: where the device says from which entry on it wants to be notified, and the driver from
 * which on it wants an interrupt. */
static volatile uint16_t *avail_event(const struct virtio_queue *q)
{
    return (volatile uint16_t *)(volatile void *)&q->used->ring[q->size];
}

static volatile uint16_t *used_event(const struct virtio_queue *q)
{
    return &q->avail->ring[q->size];
}

/* Whether a step from `old` to `new` passes `event`: 2.7.7.2. */
static bool passed(uint16_t event, uint16_t new, uint16_t old)
{
    return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool virtio_queue_create(struct virtio_queue *q, struct virtio_dev *dev, unsigned index,
                         uint16_t size)
{
    size_t desc_size = size * sizeof(struct virtq_desc);
    size_t avail_size = align_up((3 + (size_t)size) * sizeof(uint16_t), USED_ALIGNMENT);
    size_t used_size = 3 * sizeof(uint16_t) + size * sizeof(struct virtq_used_entry);
    uint8_t *rings = aligned_alloc(PAGE_SIZE, desc_size + avail_size + used_size);

    *q = (struct virtio_queue){
        .dev = dev,
        .index = (uint16_t)index,
        .size = size,
        .indirect = virtio_has(dev, VIRTIO_F_INDIRECT_DESC),
        .event_idx = virtio_has(dev, VIRTIO_F_EVENT_IDX),
        .tokens = calloc(size, sizeof(void *)),
        .lengths = calloc(size, sizeof(uint16_t)),
        .free_count = size,
        .rings = rings,
    };
    if (q->indirect)
        q->tables = aligned_alloc(16, (size_t)size * VIRTIO_CHAIN_MAX * sizeof(struct virtq_desc));
    if (!rings || !q->tokens || !q->lengths || (q->indirect && !q->tables)) {
        virtio_queue_free(q);
        return false;
    }
    memset(rings, 0, desc_size + avail_size + used_size);
    q->desc = (struct virtq_desc *)(void *)rings;
    q->avail = (struct virtq_avail *)(void *)(rings + desc_size);
    q->used = (struct virtq_used *)(void *)(rings + desc_size + avail_size);
    q->avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT; /* until somebody waits */
    for (unsigned i = 0; i < size; i++)
        q->desc[i].next = (uint16_t)(i + 1);
    return true;
}

void virtio_queue_free(struct virtio_queue *q)
{
    free(q->rings);
    free(q->tables);
    free(q->tokens);
    free(q->lengths);
    *q = (struct virtio_queue){0};
}

static void describe(struct virtq_desc *d, const struct virtio_buffer *b, bool writable, bool last)
{
    d->address = (uintptr_t)b->data;
    d->length = b->length;
    d->flags = (uint16_t)((writable ? VIRTQ_DESC_F_WRITE : 0) | (last ? 0 : VIRTQ_DESC_F_NEXT));
}

/* All in one table, which one descriptor of the ring names. */
static uint16_t add_indirect(struct virtio_queue *q, const struct virtio_buffer *buffers,
                             unsigned readable, unsigned count)
{
    struct virtq_desc *d = &q->desc[q->free_head];
    struct virtq_desc *table = q->tables + (size_t)q->free_head * VIRTIO_CHAIN_MAX;

    for (unsigned i = 0; i < count; i++) {
        describe(&table[i], &buffers[i], i >= readable, i + 1 == count);
        table[i].next = (uint16_t)(i + 1);
    }
    q->free_head = d->next;
    d->address = (uintptr_t)table;
    d->length = (uint32_t)(count * sizeof(*table));
    d->flags = VIRTQ_DESC_F_INDIRECT;
    return 1;
}

static uint16_t add_direct(struct virtio_queue *q, const struct virtio_buffer *buffers,
                           unsigned readable, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct virtq_desc *d = &q->desc[q->free_head];

        describe(d, &buffers[i], i >= readable, i + 1 == count);
        q->free_head = d->next; /* stays: the chain goes where the free list went */
    }
    return (uint16_t)count;
}

bool virtio_queue_add(struct virtio_queue *q, const struct virtio_buffer *buffers,
                      unsigned readable, unsigned writable, void *token)
{
    unsigned count = readable + writable;
    bool indirect = q->indirect && count > 1;
    uint16_t head = q->free_head, taken;

    if (count == 0 || count > VIRTIO_CHAIN_MAX || (indirect ? 1 : count) > q->free_count)
        return false;
    taken = indirect ? add_indirect(q, buffers, readable, count)
                     : add_direct(q, buffers, readable, count);
    q->free_count = (uint16_t)(q->free_count - taken);
    q->lengths[head] = taken;
    q->tokens[head] = token;
    q->avail->ring[q->next_avail % q->size] = head;
    q->next_avail++;
    return true;
}

void virtio_queue_kick(struct virtio_queue *q)
{
    uint16_t old = q->kicked;
    bool wanted;

    if (q->next_avail == old)
        return;
    __atomic_store_n(&q->avail->idx, q->next_avail, __ATOMIC_RELEASE);
    q->kicked = q->next_avail;
    fence();
    wanted = q->event_idx ? passed(*avail_event(q), q->next_avail, old)
                          : !(q->used->flags & VIRTQ_USED_F_NO_NOTIFY);
    if (wanted) {
        q->notifications++;
        q->dev->transport->notify(q->dev, q->index);
    }
}

static void put_back(struct virtio_queue *q, uint16_t head)
{
    uint16_t last = head;

    for (unsigned i = 1; i < q->lengths[head]; i++)
        last = q->desc[last].next;
    q->desc[last].next = q->free_head;
    q->free_head = head;
    q->free_count = (uint16_t)(q->free_count + q->lengths[head]);
}

static bool has_used(const struct virtio_queue *q)
{
    return q->used && __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) != q->last_used;
}

void *virtio_queue_take(struct virtio_queue *q, uint32_t *ret_length)
{
    uint32_t head;
    void *token;

    if (!has_used(q))
        return NULL;
    head = q->used->ring[q->last_used % q->size].id;
    if (ret_length)
        *ret_length = q->used->ring[q->last_used % q->size].length;
    q->last_used++;
    q->avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
    if (head >= q->size || !q->tokens[head])
        return NULL; /* a device that makes no sense: what it names was not given to it */
    token = q->tokens[head];
    q->tokens[head] = NULL;
    put_back(q, (uint16_t)head);
    return token;
}

bool virtio_queue_listen(struct virtio_queue *q)
{
    if (!q->dev->interrupts)
        return has_used(q);
    if (!q->used)
        return false; /* it was stopped */
    if (q->event_idx)
        *used_event(q) = q->last_used;
    q->avail->flags = 0; /* with EVENT_IDX it has no meaning */
    fence();
    return has_used(q);
}

bool virtio_queue_wait(struct virtio_queue *q, uint64_t microseconds)
{
    uint64_t end;

    if (has_used(q))
        return true;
    end = time_us() + microseconds;
    for (;;) {
        uint32_t seen = virtio_events();
        uint64_t now;

        if (virtio_queue_listen(q))
            return true;
        now = time_us();
        if (now >= end || virtio_is_broken(q->dev))
            return has_used(q);
        virtio_events_wait(seen, end - now);
    }
}
