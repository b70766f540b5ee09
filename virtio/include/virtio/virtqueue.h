/*
 * A split virtqueue (virtio 1.2, section 2.7) as the device sees it, with VIRTIO_F_INDIRECT_DESC
 * and VIRTIO_F_EVENT_IDX.
 *
 * The rings lie in guest memory, and the guest may change them at any time. Each index and each
 * descriptor is read once into a local, checked, and used from there. Whatever makes no sense is
 * told as -EPROTO; the device then needs a reset (virtio_device_break()), and nothing else happens.
 *
 * All functions are called with the device's lock held.
 */
#ifndef OSVM_VIRTIO_VIRTQUEUE_H
#define OSVM_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "guest/memory.h"

/* The largest queue that a device here offers, and so the longest chain. */
#define VIRTQUEUE_MAX_SIZE 256

/* What the driver programs, by way of the transport. */
struct virtqueue {
    uint16_t size_max; /* what the device offers; a power of two */
    uint16_t size;
    bool ready;
    uint64_t desc_gpa, avail_gpa, used_gpa;

    /* Set by virtqueue_start(); the spans are checked and stay valid as long as the memory. */
    const struct guest_memory *mem;
    const uint8_t *desc; /* 16 bytes each */
    uint8_t *avail;      /* flags, idx, ring[size], used_event; 16 bits each */
    uint8_t *used;       /* flags, idx, ring[size] of 8 bytes, avail_event */
    bool indirect, event_idx;
    uint16_t next_avail;  /* the next entry of the available ring to take */
    uint16_t next_used;   /* the next entry of the used ring to fill */
    uint16_t published;   /* used.idx as the driver sees it */
    uint16_t interrupted; /* used.idx at the last interrupt that was considered */
};

/* A chain that was taken: what the device may read, and then what it may write. */
struct virtq_chain {
    uint16_t head;
    unsigned readable_count, writable_count;
    uint32_t readable_len, writable_len; /* bytes in all */
    /* Readable first, then writable. Checked; never empty; valid until the chain is put back. */
    struct iovec iov[VIRTQUEUE_MAX_SIZE];
};

/**
 * Check what the driver has programmed, and begin.
 *
 * Returns 0; -EPROTO where the size is not a power of two up to size_max, an address is not
 * aligned (2.7) or a ring is not all inside guest memory.
 */
int virtqueue_start(struct virtqueue *vq, const struct guest_memory *mem, bool indirect,
                    bool event_idx);

/* Forget everything but size_max. */
void virtqueue_reset(struct virtqueue *vq);

/**
 * Take the next chain that the driver has made available.
 *
 * The chain has at most `size` descriptors, those of an indirect table counted; readable ones come
 * before writable ones; all lie inside guest memory; descriptors of length 0 are left out.
 *
 * @ret_chain  filled in where the result is 1; undefined otherwise
 * Returns 1; 0 where there is none, or -EPROTO.
 */
int virtqueue_pop(struct virtqueue *vq, struct virtq_chain *ret_chain);

/* Give back the chain taken last, as if it had not been taken. Only before another one is. */
void virtqueue_unpop(struct virtqueue *vq);

/**
 * Put a chain into the used ring. The driver sees it after virtqueue_publish().
 *
 * @len  how many bytes were written into it (from the first writable byte on)
 */
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t len);

/* Show the driver all that was put. Returns whether it wants an interrupt for it. */
bool virtqueue_publish(struct virtqueue *vq);

/* Ask the driver not to notify (a hint that it may ignore). */
void virtqueue_quiet(struct virtqueue *vq);

/**
 * Ask the driver to notify again.
 * Returns whether something was made available meanwhile, which then must be taken now.
 */
bool virtqueue_listen(struct virtqueue *vq);

/**
 * Copy out of the readable bytes of a chain, from `offset` on, or into the writable ones.
 * Returns how many bytes were copied: fewer than len where the chain ends before.
 */
uint32_t virtq_copy_from(const struct virtq_chain *chain, uint32_t offset, void *buf, uint32_t len);
uint32_t virtq_copy_to(const struct virtq_chain *chain, uint32_t offset, const void *buf,
                       uint32_t len);

#endif
