/* Section numbers are those of virtio 1.2. */
#include "virtio/virtqueue.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

/* 2.7.5, struct virtq_desc. */
#define DESC_SIZE       16
#define DESC_F_NEXT     1
#define DESC_F_WRITE    2
#define DESC_F_INDIRECT 4

/* 2.7.6 and 2.7.8: the rings. */
#define RING_FLAGS           0
#define RING_IDX             2
#define RING_ENTRIES         4
#define AVAIL_ENTRY_SIZE     2
#define USED_ENTRY_SIZE      8
#define AVAIL_F_NO_INTERRUPT 1
#define USED_F_NO_NOTIFY     1

/* 2.7: alignments. */
#define DESC_ALIGNMENT  16
#define AVAIL_ALIGNMENT 2
#define USED_ALIGNMENT  4

struct descriptor {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, next;
};

/* 16-bit words of a ring that the driver reads or writes at the same time. */
static uint16_t ring_load(const uint8_t *ring, size_t offset, int order)
{
    const uint16_t *word = (const uint16_t *)(const void *)(ring + offset);

    return le16toh(order == __ATOMIC_ACQUIRE ? __atomic_load_n(word, __ATOMIC_ACQUIRE)
                                             : __atomic_load_n(word, __ATOMIC_RELAXED));
}

static void ring_store(uint8_t *ring, size_t offset, uint16_t value, int order)
{
    uint16_t *word = (uint16_t *)(void *)(ring + offset);

    if (order == __ATOMIC_RELEASE)
        __atomic_store_n(word, htole16(value), __ATOMIC_RELEASE);
    else
        __atomic_store_n(word, htole16(value), __ATOMIC_RELAXED);
}

static size_t used_event_offset(const struct virtqueue *vq)
{
    return RING_ENTRIES + (size_t)vq->size * AVAIL_ENTRY_SIZE;
}

static size_t avail_event_offset(const struct virtqueue *vq)
{
    return RING_ENTRIES + (size_t)vq->size * USED_ENTRY_SIZE;
}

static int ring_span(const struct guest_memory *mem, uint64_t gpa, uint64_t alignment, size_t size,
                     void **ret_host)
{
    if (gpa % alignment)
        return -EPROTO;
    return guest_memory_span(mem, gpa, size, ret_host) < 0 ? -EPROTO : 0;
}

int virtqueue_start(struct virtqueue *vq, const struct guest_memory *mem, bool indirect,
                    bool event_idx)
{
    void *desc, *avail, *used;

    if (vq->size == 0 || vq->size > vq->size_max || (vq->size & (vq->size - 1)))
        return -EPROTO;
    if (ring_span(mem, vq->desc_gpa, DESC_ALIGNMENT, (size_t)vq->size * DESC_SIZE, &desc) < 0 ||
        ring_span(mem, vq->avail_gpa, AVAIL_ALIGNMENT, used_event_offset(vq) + 2, &avail) < 0 ||
        ring_span(mem, vq->used_gpa, USED_ALIGNMENT, avail_event_offset(vq) + 2, &used) < 0)
        return -EPROTO;
    vq->mem = mem;
    vq->desc = desc;
    vq->avail = avail;
    vq->used = used;
    vq->indirect = indirect;
    vq->event_idx = event_idx;
    vq->next_avail = vq->next_used = vq->published = vq->interrupted = 0;
    return 0;
}

void virtqueue_reset(struct virtqueue *vq)
{
    *vq = (struct virtqueue){.size_max = vq->size_max};
}

/* Copy one descriptor: the copy is what is checked and used. */
static struct descriptor fetch(const uint8_t *table, uint32_t index)
{
    uint8_t raw[DESC_SIZE];

    memcpy(raw, table + (size_t)index * DESC_SIZE, sizeof(raw));
    return (struct descriptor){
        .gpa = load_le64(raw),
        .len = load_le32(raw + 8),
        .flags = load_le16(raw + 12),
        .next = load_le16(raw + 14),
    };
}

/* Add one buffer to the chain. */
static int chain_add(const struct virtqueue *vq, struct virtq_chain *chain,
                     const struct descriptor *d)
{
    unsigned at = chain->readable_count + chain->writable_count;
    uint32_t *total = d->flags & DESC_F_WRITE ? &chain->writable_len : &chain->readable_len;
    void *host;

    if (!(d->flags & DESC_F_WRITE) && chain->writable_count > 0)
        return -EPROTO; /* 2.7.4.2: the readable ones come first */
    if (d->len == 0)
        return 0;
    if (guest_memory_span(vq->mem, d->gpa, d->len, &host) < 0)
        return -EPROTO;
    if (__builtin_add_overflow(*total, d->len, total))
        return -EPROTO; /* 2.7.5: no more than 2^32 bytes in all */
    chain->iov[at] = (struct iovec){.iov_base = host, .iov_len = d->len};
    if (d->flags & DESC_F_WRITE)
        chain->writable_count++;
    else
        chain->readable_count++;
    return 0;
}

/*
 * Follow a list of descriptors in one table. `*budget` bounds the whole chain, so that a loop ends.
 * An indirect descriptor ends the list in the ring's own table; ret_indirect then has it.
 */
static int follow(const struct virtqueue *vq, const uint8_t *table, uint32_t table_size,
                  uint32_t index, bool in_ring, unsigned *budget, struct virtq_chain *chain,
                  struct descriptor *ret_indirect)
{
    for (;;) {
        struct descriptor d;
        int r;

        if (index >= table_size || *budget == 0)
            return -EPROTO;
        --*budget;
        d = fetch(table, index);
        if (d.flags & DESC_F_INDIRECT) {
            /* 2.7.5.3.1: not without the feature, not in another one, not with a next one. */
            if (!in_ring || !vq->indirect || (d.flags & DESC_F_NEXT))
                return -EPROTO;
            *ret_indirect = d;
            return 1;
        }
        r = chain_add(vq, chain, &d);
        if (r < 0)
            return r;
        if (!(d.flags & DESC_F_NEXT))
            return 0;
        index = d.next;
    }
}

/* The whole chain that begins at `head`. */
static int walk(const struct virtqueue *vq, uint16_t head, struct virtq_chain *chain)
{
    unsigned budget = vq->size;
    struct descriptor indirect;
    void *table;
    int r;

    chain->head = head;
    chain->readable_count = chain->writable_count = 0;
    chain->readable_len = chain->writable_len = 0;
    r = follow(vq, vq->desc, vq->size, head, true, &budget, chain, &indirect);
    if (r <= 0)
        return r;
    budget++; /* the descriptor that names the table is no buffer */
    if (indirect.len == 0 || indirect.len % DESC_SIZE)
        return -EPROTO;
    if (guest_memory_span(vq->mem, indirect.gpa, indirect.len, &table) < 0)
        return -EPROTO;
    return follow(vq, table, indirect.len / DESC_SIZE, 0, false, &budget, chain, &indirect);
}

int virtqueue_pop(struct virtqueue *vq, struct virtq_chain *ret_chain)
{
    uint16_t available = ring_load(vq->avail, RING_IDX, __ATOMIC_ACQUIRE);
    uint16_t waiting = (uint16_t)(available - vq->next_avail);
    uint16_t head;
    int r;

    if (waiting == 0)
        return 0;
    if (waiting > vq->size)
        return -EPROTO;
    head =
        ring_load(vq->avail, RING_ENTRIES + (size_t)(vq->next_avail % vq->size) * AVAIL_ENTRY_SIZE,
                  __ATOMIC_RELAXED);
    if (head >= vq->size)
        return -EPROTO;
    r = walk(vq, head, ret_chain);
    if (r < 0)
        return r;
    vq->next_avail++;
    return 1;
}

void virtqueue_unpop(struct virtqueue *vq)
{
    vq->next_avail--;
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t len)
{
    uint8_t *entry = vq->used + RING_ENTRIES + (size_t)(vq->next_used % vq->size) * USED_ENTRY_SIZE;

    store_le32(entry, head);
    store_le32(entry + 4, len);
    vq->next_used++;
}

bool virtqueue_publish(struct virtqueue *vq)
{
    uint16_t old = vq->interrupted, event;

    if (vq->published != vq->next_used) {
        ring_store(vq->used, RING_IDX, vq->next_used, __ATOMIC_RELEASE);
        vq->published = vq->next_used;
    }
    if (old == vq->published)
        return false;
    /* The driver sets its wish and then looks at idx; this side does it the other way round. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    vq->interrupted = vq->published;
    if (!vq->event_idx)
        return !(ring_load(vq->avail, RING_FLAGS, __ATOMIC_RELAXED) & AVAIL_F_NO_INTERRUPT);
    /* 2.7.7.2: whether used_event was passed between the last time and now. */
    event = ring_load(vq->avail, used_event_offset(vq), __ATOMIC_RELAXED);
    return (uint16_t)(vq->published - event - 1) < (uint16_t)(vq->published - old);
}

void virtqueue_quiet(struct virtqueue *vq)
{
    /* With EVENT_IDX the stale avail_event says it already. */
    if (!vq->event_idx)
        ring_store(vq->used, RING_FLAGS, USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
}

bool virtqueue_listen(struct virtqueue *vq)
{
    if (vq->event_idx)
        ring_store(vq->used, avail_event_offset(vq), vq->next_avail, __ATOMIC_RELAXED);
    else
        ring_store(vq->used, RING_FLAGS, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return ring_load(vq->avail, RING_IDX, __ATOMIC_ACQUIRE) != vq->next_avail;
}

/* Copy between buf and iovecs, from `offset` on. */
static uint32_t copy(const struct iovec *iov, unsigned count, uint32_t offset, void *buf,
                     uint32_t len, bool to_iov)
{
    uint8_t *bytes = buf;
    uint32_t done = 0;

    for (unsigned i = 0; i < count && done < len; i++) {
        size_t part;

        if (offset >= iov[i].iov_len) {
            offset -= (uint32_t)iov[i].iov_len;
            continue;
        }
        part = min_u64(iov[i].iov_len - offset, len - done);
        if (to_iov)
            memcpy((uint8_t *)iov[i].iov_base + offset, bytes + done, part);
        else
            memcpy(bytes + done, (uint8_t *)iov[i].iov_base + offset, part);
        done += (uint32_t)part;
        offset = 0;
    }
    return done;
}

uint32_t virtq_copy_from(const struct virtq_chain *chain, uint32_t offset, void *buf, uint32_t len)
{
    return copy(chain->iov, chain->readable_count, offset, buf, len, false);
}

uint32_t virtq_copy_to(const struct virtq_chain *chain, uint32_t offset, const void *buf,
                       uint32_t len)
{
    return copy(chain->iov + chain->readable_count, chain->writable_count, offset,
                (void *)(uintptr_t)buf, len, true);
}
