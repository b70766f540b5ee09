/* Requests to a disk that make no sense. Victim: block. */
#include "sdk/block.h"

#include "hostile.h"
#include "sdk/report.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define HEADER ((uintptr_t)scratch)
#define DATA   ((uintptr_t)scratch + 4096)
#define STATUS ((uintptr_t)scratch + 64)
#define NEXT   VIRTQ_DESC_F_NEXT
#define WRITE  VIRTQ_DESC_F_WRITE

static void header(uint32_t type, uint64_t sector)
{
    struct block_header h = {.type = type, .sector = sector};

    memcpy(scratch, &h, sizeof(h));
    *(volatile uint8_t *)STATUS = BLOCK_PENDING;
}

/* Header, data, status, as they should be but for what the arguments say. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t length)
{
    bool from_device = type == BLOCK_READ || type == BLOCK_GET_ID;
    struct virtio_queue *q = victim_start(UINT64_MAX);

    header(type, sector);
    describe(q, 0, HEADER, 16, NEXT, 1);
    describe(q, 1, DATA, length, NEXT | (from_device ? WRITE : 0u), 2);
    describe(q, 2, STATUS, 1, WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    return *(volatile uint8_t *)STATUS;
}

static void refused(uint32_t type, uint64_t sector, uint32_t length)
{
    uint8_t status = request(type, sector, length);

    report(status == BLOCK_IO_ERROR || status == BLOCK_UNSUPPORTED, "it is refused (%u)", status);
    expect_whole();
}

static uint64_t sectors(void)
{
    return virtio_config64(victim(), BLOCK_CONFIG_CAPACITY);
}

static void sector_past_end(void)
{
    refused(BLOCK_READ, sectors(), 512);
    refused(BLOCK_WRITE, sectors(), 512);
}

static void sector_over_end(void)
{
    refused(BLOCK_READ, sectors() - 1, 1024);
    refused(BLOCK_WRITE, sectors() - 1, 1024);
}

static void sector_wraps(void)
{
    refused(BLOCK_WRITE, UINT64_MAX, 512);
    refused(BLOCK_WRITE, UINT64_MAX, 1024);
    refused(BLOCK_READ, UINT64_MAX / 512, 512);
    refused(BLOCK_READ, UINT64_MAX / 512 + 1, 512);
    refused(BLOCK_READ, UINT64_C(1) << 63, 512);
}

static void length_odd(void)
{
    refused(BLOCK_READ, 0, 1);
    refused(BLOCK_READ, 0, 511);
    refused(BLOCK_WRITE, 0, 513);
    refused(BLOCK_WRITE, 0, 100);
}

static void range(uint64_t sector, uint32_t count, uint32_t flags, uint32_t length)
{
    struct block_range r = {.sector = sector, .sectors = count, .flags = flags};
    static const uint32_t types[] = {BLOCK_DISCARD, BLOCK_WRITE_ZEROES};

    for (unsigned i = 0; i < 2; i++) {
        for (unsigned at = 0; at + sizeof(r) <= 8192; at += sizeof(r))
            memcpy((void *)(DATA + at), &r, sizeof(r));
        refused(types[i], 0, length);
    }
}

static void discard_past_end(void)
{
    range(sectors(), 1, 0, 16);
    range(sectors() - 1, 2, 0, 16);
}

static void discard_wraps(void)
{
    range(UINT64_MAX, 1, 0, 16);
    range(UINT64_MAX - UINT32_MAX + 1, UINT32_MAX, 0, 16);
    range(1, UINT32_MAX, 0, 16);
}

static void discard_length(void)
{
    range(0, 1, 0, 1);
    range(0, 1, 0, 15);
    range(0, 1, 0, 17);
}

static void discard_flags(void)
{
    range(0, 1, 0xfffffffe, 16);
}

static void discard_many(void)
{
    range(0, 1, 0, 8192);
}

/* All types that there are not. */
static void types_unknown(void)
{
    static const uint32_t types[] = {2,  3,  5,  6,   7,       9,          10,        12,
                                     14, 15, 16, 255, 0x10000, 0x80000000, UINT32_MAX};

    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        refused(types[i], 0, 512);
}

static void no_status(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    header(BLOCK_WRITE, 0);
    describe(q, 0, HEADER, 16, NEXT, 1);
    describe(q, 1, DATA, 512, 0, 0);
    offer(q, 0);
    expect_break(); /* there is nothing that could say so otherwise */
}

static void status_zero_length(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    header(BLOCK_WRITE, 0);
    describe(q, 0, HEADER, 16, NEXT, 1);
    describe(q, 1, DATA, 512, NEXT, 2);
    describe(q, 2, STATUS, 0, WRITE, 0);
    offer(q, 0);
    expect_break();
}

static void status_alone(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    describe(q, 0, STATUS, 1, WRITE, 0);
    offer(q, 0);
    settle(q, 0);
}

static void header_length(uint32_t length)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    header(BLOCK_READ, 0);
    describe(q, 0, HEADER, length, NEXT, 1);
    describe(q, 1, DATA, 513, WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    report((virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET) || q->used->idx == 1,
           "a header of %u bytes has an answer", length);
}

static void header_short(void)
{
    header_length(0);
    header_length(1);
    header_length(15);
}

/* 2.7.4: how a driver cuts its buffers is its own affair. */
static void header_in_bytes(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    header(BLOCK_READ, 0);
    for (unsigned i = 0; i < 16; i++)
        describe(q, i, HEADER + i, 1, NEXT, i + 1);
    for (unsigned i = 16; i < 32; i++)
        describe(q, i, DATA + 32 * (i - 16), 32, NEXT | WRITE, i + 1);
    describe(q, 32, STATUS, 1, WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    report(*(volatile uint8_t *)STATUS == BLOCK_OK, "cut into single bytes it is still a request");
    expect_whole();
}

/* Data in the wrong direction. */
static void data_direction(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    header(BLOCK_READ, 0);
    describe(q, 0, HEADER, 16, NEXT, 1);
    describe(q, 1, DATA, 512, NEXT, 2);
    describe(q, 2, STATUS, 1, WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    q = victim_start(UINT64_MAX);
    header(BLOCK_WRITE, 0);
    describe(q, 0, HEADER, 16, NEXT, 1);
    describe(q, 1, DATA, 512, NEXT | WRITE, 2);
    describe(q, 2, STATUS, 1, WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    report(true, "data in the wrong direction went by");
}

static void id_lengths(void)
{
    static const uint32_t lengths[] = {1, 19, 20, 21, 4096};

    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        memset((void *)DATA, 0x77, 8192);
        request(BLOCK_GET_ID, 0, lengths[i]);
        report(((uint8_t *)DATA)[lengths[i]] == 0x77, "an id of %u bytes stays inside", lengths[i]);
    }
}

/* A read into the device's own rings; what they then say is nonsense to be survived. */
static void data_is_ring(void)
{
    struct virtio_queue *q = victim_start_apart(UINT64_MAX);

    header(BLOCK_READ, 0);
    describe(q, 0, HEADER, 16, NEXT, 1);
    describe(q, 1, (uintptr_t)q->desc, 8192, NEXT | WRITE, 2);
    describe(q, 2, STATUS, 1, WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    for (unsigned i = 0; i < 100; i++)
        victim()->transport->notify(victim(), 0);
    report(true, "a read over the rings went by");
}

/* As much as there is memory, in one request. */
static void read_huge(void)
{
    struct virtio_queue *q = victim_start(UINT64_MAX);

    header(BLOCK_READ, 0);
    describe(q, 0, HEADER, 16, NEXT, 1);
    for (unsigned i = 1; i < 100; i++)
        describe(q, i, DATA, 32768, NEXT | WRITE, i + 1);
    describe(q, 100, STATUS, 1, WRITE, 0);
    offer(q, 0);
    settle(q, 0);
    report(*(volatile uint8_t *)STATUS != BLOCK_PENDING ||
               (virtio_status(victim()) & VIRTIO_STATUS_NEEDS_RESET),
           "it has an answer");
}

/* Requests that wait for a rate limit when the reset comes: they must not be done after it. */
static void reset_while_waiting(void)
{
    unsigned spoilt = 0;

    for (unsigned round = 0; round < 10; round++) {
        struct virtio_queue *q = victim_start(UINT64_MAX);
        unsigned chains = q->size / 2u;

        header(BLOCK_READ, 0);
        for (unsigned i = 0; i < chains; i++) {
            describe(q, 2 * i, HEADER, 16, NEXT, 2 * i + 1);
            describe(q, 2 * i + 1, DATA + i % 14 * 4096, 513, WRITE, 0);
            q->avail->ring[i] = (uint16_t)(2 * i);
        }
        offer_index(q, (uint16_t)chains);
        delay_us(2000);
        victim()->transport->set_status(victim(), 0);
        memset((void *)DATA, 0xa5, sizeof(scratch) - 4096);
        delay_us(50000);
        for (unsigned i = 4096; i < sizeof(scratch); i++)
            if (scratch[i] != 0xa5) {
                spoilt++;
                break;
            }
    }
    report(spoilt == 0, "they are not (%u of 10 rounds spoilt)", spoilt);
}

static void config_written(void)
{
    uint64_t before = sectors();

    victim_start(UINT64_MAX);
    for (unsigned offset = 0; offset < 64; offset++) {
        virtio_config_write8(victim(), offset, 0xff);
        if (offset % 4 == 0)
            virtio_config_write32(victim(), offset, UINT32_MAX);
    }
    report(sectors() == before, "a disk does not grow by being told so");
    expect_whole();
}

const struct hostile_case block_cases[] = {
    {"block-sector-past-end", sector_past_end},
    {"block-sector-over-end", sector_over_end},
    {"block-sector-wraps", sector_wraps},
    {"block-length-odd", length_odd},
    {"block-discard-past-end", discard_past_end},
    {"block-discard-wraps", discard_wraps},
    {"block-discard-length", discard_length},
    {"block-discard-flags", discard_flags},
    {"block-discard-many", discard_many},
    {"block-types-unknown", types_unknown},
    {"block-no-status", no_status},
    {"block-status-zero-length", status_zero_length},
    {"block-status-alone", status_alone},
    {"block-header-short", header_short},
    {"block-header-in-bytes", header_in_bytes},
    {"block-data-direction", data_direction},
    {"block-id-lengths", id_lengths},
    {"block-data-is-ring", data_is_ring},
    {"block-read-huge", read_huge},
    {"block-reset-while-waiting", reset_while_waiting},
    {"block-config-written", config_written},
    {0},
};
