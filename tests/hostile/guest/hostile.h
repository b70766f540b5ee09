/*
 * The hostile guest: one image with all cases, `case=NAME victim=KIND` on the command line.
 *
 * A case attacks the victim, a device that was found and nothing more, and says by report() what it
 * expects of it. Afterwards main.c resets the victim and drives it properly, and a second device,
 * the witness, which was started before the attack and must never have noticed.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdbool.h>
#include <stdint.h>

#include "sdk/virtio.h"

struct hostile_case {
    const char *name;
    void (*attack)(void);
};

/* Each source file's cases; the last has no name. */
extern const struct hostile_case ring_cases[], indirect_cases[], place_cases[], setup_cases[],
    race_cases[], mmio_cases[], pci_cases[], block_cases[], net_cases[], vsock_cases[],
    balloon_cases[], rng_cases[];

struct victim_kind {
    const char *name;
    uint32_t id;
    unsigned queue, queue_count; /* the one that is attacked; how many are set up */
    uint16_t direction;          /* of its buffers: 0 or VIRTQ_DESC_F_WRITE */
    bool (*works)(void);         /* reset it, start it as one should, use it */
};

/* The victim. */
struct virtio_dev *victim(void);
const struct victim_kind *victim_kind(void);

/* Memory to point at: 64 KiB. And the first address behind RAM below 4 GiB. */
extern uint8_t scratch[65536];
uint64_t ram_end(void);

/* Start the victim as one should, with these features at most. Ends the case where it fails.
 * Returns the queue that is attacked. */
struct virtio_queue *victim_start(uint64_t features);

/* Reset the victim and start it on the same rings, emptied: for cases whose second CPU writes there
 * all the time, and must not find the memory used for something else. Raw, nothing is checked. */
void victim_restart_in_place(struct virtio_dev *dev);

/* Start the victim on rings that lie alone in pages of their own (8 KiB from q->desc on): what is
 * written over them hits nothing else of this program. Returns the queue that is attacked. */
struct virtio_queue *victim_start_apart(uint64_t features);

/* Fill in one descriptor of the ring; tell the device of a chain, and notify it in any case. */
void describe(struct virtio_queue *q, unsigned index, uint64_t address, uint32_t length,
              unsigned flags, unsigned next);
void offer(struct virtio_queue *q, unsigned head);

/* Write avail.idx, and notify. */
void offer_index(struct virtio_queue *q, uint16_t idx);

/* Report whether within 5 s the victim says that it needs a reset. */
bool expect_break(void);

/* Report whether it does not say so, after 20 ms. */
bool expect_whole(void);

/* Wait up to 2 s until the device used more chains than `before`, or broke. Reports nothing. */
void settle(const struct virtio_queue *q, uint16_t before);

/* A number that differs each time, the same in each run (xorshift). */
uint64_t next_random(void);

#endif
