/* Memory lent to the host: virtio-balloon (virtio 1.2, section 5.5). Pages have 4 KiB. */
#ifndef SDK_BALLOON_H
#define SDK_BALLOON_H

#include "sdk/virtio.h"

/* Section 5.5.3. */
#define BALLOON_F_MUST_TELL_HOST (UINT64_C(1) << 0)
#define BALLOON_F_STATS          (UINT64_C(1) << 1)
#define BALLOON_F_DEFLATE_ON_OOM (UINT64_C(1) << 2)
#define BALLOON_F_FREE_HINT      (UINT64_C(1) << 3)
#define BALLOON_F_REPORTING      (UINT64_C(1) << 5)

/* Tags of statistics, section 5.5.6.4. */
#define BALLOON_STAT_FREE      4
#define BALLOON_STAT_TOTAL     5
#define BALLOON_STAT_AVAILABLE 6

#define BALLOON_CONFIG_TARGET 0
#define BALLOON_CONFIG_ACTUAL 4

struct balloon_stat {
    uint16_t tag;
    uint64_t value;
} __attribute__((packed));

struct balloon {
    struct virtio_dev *dev;
    struct virtio_queue *inflate, *deflate, *stats, *reporting; /* the last two may be NULL */
};

bool balloon_open(struct balloon *balloon, uint64_t wanted);
void balloon_close(struct balloon *balloon);

/* How many pages the host asks for; say how many it has. */
uint32_t balloon_target(const struct balloon *balloon);
void balloon_set_actual(const struct balloon *balloon, uint32_t pages);

/* Give pages (by number: address / 4096), or take them back. At most 1024 at once, within 10 s.
 * Returns whether the device took the list. */
bool balloon_give(struct balloon *balloon, const uint32_t *pages, unsigned count);
bool balloon_take_back(struct balloon *balloon, const uint32_t *pages, unsigned count);

/* Report that a range is free: the host may drop what it holds. */
bool balloon_report(struct balloon *balloon, void *range, uint32_t length);

/**
 * Hand over statistics, which the device keeps until it asks again. The first time at once; later
 * calls wait until it has asked.
 * Returns whether it asked within so many microseconds.
 */
bool balloon_send_stats(struct balloon *balloon, struct balloon_stat *stats, unsigned count,
                        uint64_t microseconds);

#endif
