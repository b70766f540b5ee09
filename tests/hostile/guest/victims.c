/* The victims, and how each shows that it works. */
#include "victims.h"

#include "hostile.h"
#include "sdk/balloon.h"
#include "sdk/block.h"
#include "sdk/boot.h"
#include "sdk/exit.h"
#include "sdk/memory.h"
#include "sdk/net.h"
#include "sdk/report.h"
#include "sdk/rng.h"
#include "sdk/string.h"
#include "sdk/time.h"
#include "sdk/vsock.h"

#define BREAK_LIMIT_US  5000000
#define WHOLE_LIMIT_US  20000
#define SETTLE_LIMIT_US 2000000
#define LOOK_EVERY_US   200
#define FOUR_GIB        (UINT64_C(1) << 32)
#define NOBODY_LISTENS  9 /* a port of the host */

uint8_t scratch[65536] __attribute__((aligned(4096)));

static bool block_works(void)
{
    struct block block;
    bool good = block_open(&block, 0, UINT64_MAX);

    memset(scratch, 0x5a, BLOCK_SECTOR);
    good = good && block_write(&block, 2, scratch, BLOCK_SECTOR) == BLOCK_OK;
    memset(scratch, 0, BLOCK_SECTOR);
    good = good && block_read(&block, 2, scratch, BLOCK_SECTOR) == BLOCK_OK;
    virtio_stop(block.dev);
    return good && scratch[0] == 0x5a && scratch[BLOCK_SECTOR - 1] == 0x5a;
}

static bool rng_works(void)
{
    struct rng rng;
    bool good = rng_open(&rng, 0) && rng_read(&rng, scratch, 64) > 0;

    virtio_stop(rng.dev);
    return good;
}

/* A frame goes out: nobody need answer, but the device must have used its buffer. */
static bool net_works(void)
{
    static uint8_t frame[64] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct net net;
    bool good = net_open(&net, 0, NET_WANTED);

    if (good) {
        memcpy(frame + 6, net.mac, sizeof(net.mac));
        frame[12] = 0x88; /* an EtherType for local experiments: IEEE 802, 88b5 */
        frame[13] = 0xb5;
        good = net_send(&net, NULL, frame, sizeof(frame)) &&
               virtio_queue_wait(&net.dev->queues[NET_QUEUE_TX], BREAK_LIMIT_US);
    }
    net_close(&net);
    return good;
}

/* A connection to where nobody listens is refused, and at once. */
static bool vsock_works(void)
{
    struct vsock vsock;
    uint64_t start;
    bool good = vsock_open(&vsock, UINT64_MAX);

    if (good) {
        start = time_us();
        good = !vsock_connect(&vsock, VSOCK_CID_HOST, NOBODY_LISTENS, 4096, BREAK_LIMIT_US) &&
               time_us() - start < BREAK_LIMIT_US / 2;
    }
    vsock_close(&vsock);
    return good;
}

static bool balloon_works(void)
{
    uint32_t page = (uint32_t)((uintptr_t)scratch / PAGE_SIZE);
    struct balloon balloon;
    bool good = balloon_open(&balloon, UINT64_MAX) && balloon_give(&balloon, &page, 1) &&
                balloon_take_back(&balloon, &page, 1);

    balloon_close(&balloon);
    scratch[0] = 1;
    return good && scratch[0] == 1;
}

static const struct victim_kind kinds[] = {
    {"block", VIRTIO_ID_BLOCK, 0, 1, 0, block_works},
    {"rng", VIRTIO_ID_RNG, 0, 1, VIRTQ_DESC_F_WRITE, rng_works},
    {"net", VIRTIO_ID_NET, NET_QUEUE_TX, 2, 0, net_works},
    {"vsock", VIRTIO_ID_VSOCK, VSOCK_QUEUE_TX, 3, 0, vsock_works},
    {"balloon", VIRTIO_ID_BALLOON, 0, 2, 0, balloon_works},
};

static const struct victim_kind *chosen;
static struct virtio_dev *chosen_device;

bool victim_choose(const char *kind)
{
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strncmp(kind, kinds[i].name, strlen(kinds[i].name)) == 0) {
            chosen = &kinds[i];
            chosen_device = virtio_find(chosen->id, 0);
        }
    return chosen_device != NULL;
}

struct virtio_dev *victim(void)
{
    return chosen_device;
}

const struct victim_kind *victim_kind(void)
{
    return chosen;
}

uint64_t ram_end(void)
{
    const struct boot_info *info = boot_info();
    uint64_t end = 0;

    for (unsigned i = 0; i < info->region_count; i++) {
        uint64_t region_end = info->regions[i].base + info->regions[i].size;

        if (info->regions[i].type == REGION_RAM && region_end < FOUR_GIB && region_end > end)
            end = region_end;
    }
    return end;
}

struct virtio_queue *victim_start(uint64_t features)
{
    struct virtio_dev *dev = victim();

    if (!virtio_begin(dev, features) || !virtio_queues_create(dev, chosen->queue_count) ||
        !virtio_start(dev)) {
        report(false, "the victim starts before the attack");
        machine_exit(report_summary());
    }
    return &dev->queues[chosen->queue];
}

void victim_restart_in_place(struct virtio_dev *dev)
{
    uint8_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

    dev->transport->set_status(dev, 0);
    dev->transport->set_status(dev, status);
    dev->transport->set_features(dev, dev->features);
    status |= VIRTIO_STATUS_FEATURES_OK;
    dev->transport->set_status(dev, status);
    for (unsigned i = 0; i < dev->queue_count; i++) {
        struct virtio_queue *q = &dev->queues[i];

        q->next_avail = 0;
        q->avail->idx = 0;
        q->used->idx = 0;
        dev->transport->queue_place(dev, i, q->size, (uintptr_t)q->desc, (uintptr_t)q->avail,
                                    (uintptr_t)q->used);
    }
    dev->transport->set_status(dev, status | VIRTIO_STATUS_DRIVER_OK);
}

struct virtio_queue *victim_start_apart(uint64_t features)
{
    static uint8_t pages[8192] __attribute__((aligned(4096)));
    struct virtio_queue *q = victim_start(features);
    size_t desc = q->size * sizeof(*q->desc), avail = (3 + (size_t)q->size) * sizeof(uint16_t);

    memset(pages, 0, sizeof(pages));
    q->desc = (struct virtq_desc *)(void *)pages;
    q->avail = (struct virtq_avail *)(void *)(pages + desc);
    q->used = (struct virtq_used *)(void *)(pages + ((desc + avail + 3) & ~(size_t)3));
    victim_restart_in_place(victim());
    return q;
}

void describe(struct virtio_queue *q, unsigned index, uint64_t address, uint32_t length,
              unsigned flags, unsigned next)
{
    q->desc[index] = (struct virtq_desc){
        .address = address, .length = length, .flags = (uint16_t)flags, .next = (uint16_t)next};
}

void offer_index(struct virtio_queue *q, uint16_t idx)
{
    __atomic_store_n(&q->avail->idx, idx, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    q->dev->transport->notify(q->dev, q->index);
}

void offer(struct virtio_queue *q, unsigned head)
{
    q->avail->ring[q->next_avail % q->size] = (uint16_t)head;
    q->next_avail++;
    offer_index(q, q->next_avail);
}

static bool broken(void)
{
    return virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET;
}

bool expect_break(void)
{
    uint64_t end = time_us() + BREAK_LIMIT_US;

    while (!broken() && time_us() < end)
        delay_us(LOOK_EVERY_US);
    return report(broken(), "the victim says that it needs a reset");
}

bool expect_whole(void)
{
    delay_us(WHOLE_LIMIT_US);
    return report(!broken(), "the victim does not need a reset");
}

void settle(const struct virtio_queue *q, uint16_t before)
{
    uint64_t end = time_us() + SETTLE_LIMIT_US;

    while (q->used->idx == before && !broken() && time_us() < end)
        delay_us(LOOK_EVERY_US);
}

uint64_t next_random(void)
{
    static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}
