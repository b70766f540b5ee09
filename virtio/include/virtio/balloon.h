/*
 * virtio-balloon (virtio 1.2, section 5.5): the guest gives pages back to the host, as many as it
 * is asked for (inflate), and what it has free besides (free page reporting).
 *
 * A page that was given back reads as zero when the guest touches it again, and costs the host
 * memory again; no deflate has to come before. With huge pages nothing is really given back (see
 * guest_memory_discard()): the balloon still takes memory from the guest.
 */
#ifndef OSVM_VIRTIO_BALLOON_H
#define OSVM_VIRTIO_BALLOON_H

#include "base/error.h"
#include "virtio/device.h"

/* Feature bits, 5.5.3. */
#define VIRTIO_BALLOON_F_STATS_VQ       (UINT64_C(1) << 1)
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM (UINT64_C(1) << 2)
#define VIRTIO_BALLOON_F_PAGE_REPORTING (UINT64_C(1) << 5)

/* 5.5.6.4: what the guest tells of its memory, by tag. */
enum virtio_balloon_stat {
    VIRTIO_BALLOON_STAT_SWAP_IN,      /* bytes */
    VIRTIO_BALLOON_STAT_SWAP_OUT,     /* bytes */
    VIRTIO_BALLOON_STAT_MAJOR_FAULTS, /* count */
    VIRTIO_BALLOON_STAT_MINOR_FAULTS, /* count */
    VIRTIO_BALLOON_STAT_FREE,         /* bytes; the next three too */
    VIRTIO_BALLOON_STAT_TOTAL,
    VIRTIO_BALLOON_STAT_AVAILABLE,
    VIRTIO_BALLOON_STAT_CACHES,
    VIRTIO_BALLOON_STAT_HUGETLB_ALLOCATIONS, /* count */
    VIRTIO_BALLOON_STAT_HUGETLB_FAILURES,    /* count */
    VIRTIO_BALLOON_STAT_COUNT,
};

struct virtio_balloon_options {
    uint64_t target_bytes;    /* how much the guest is to give up, as virtio_balloon_set_target() */
    bool deflate_on_oom;      /* the guest may take it back before it runs out of memory */
    bool free_page_reporting; /* give back what it has free; not with huge pages */
    unsigned stats_interval_s; /* how often it is asked for statistics; 0: once at its start */
};

/* What is known of the guest's memory. All that comes from the guest is its own word. */
struct virtio_balloon_info {
    uint64_t target_bytes;
    uint64_t actual_bytes;     /* in the balloon now, as the guest says */
    uint64_t discarded_bytes;  /* given back to the host so far, by inflating and by reporting */
    uint64_t stats_updated_ns; /* CLOCK_MONOTONIC; 0: the guest has told nothing yet */
    uint32_t stats_known;      /* a bit for each tag */
    uint64_t stats[VIRTIO_BALLOON_STAT_COUNT];
};

/**
 * Make the device.
 *
 * @name  for people; borrowed
 * Returns 0; -ERANGE where the target is more than the guest has; or another negative errno. On the
 * loop's thread.
 */
int virtio_balloon_create(const struct virtio_env *env, const char *name,
                          const struct virtio_balloon_options *options, struct virtio_device **ret,
                          struct error *err);

/**
 * Ask the guest to have so much in its balloon, whole pages of 4 KiB of it; it takes its time.
 * Returns 0, or -ERANGE where that is more than it has. Any thread, without the device's lock.
 */
int virtio_balloon_set_target(struct virtio_device *device, uint64_t bytes);

/* How often the guest is asked for statistics from now on; 0: no more. As above. */
void virtio_balloon_set_interval(struct virtio_device *device, unsigned seconds);

/* Any thread, without the device's lock. */
void virtio_balloon_get_info(struct virtio_device *device, struct virtio_balloon_info *ret_info);

#endif
