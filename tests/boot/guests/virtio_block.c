/*
 * A disk through the SDK's driver: sizes, borders, many requests at once, what each feature adds.
 * `sectors=N` its size, `pattern=1` where the host filled it with the pattern below, `id=TEXT` its
 * id, `ro=1` where it is read-only.
 */
#include "sdk/block.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/memory.h"
#include "sdk/report.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define CHUNK    65536u
#define REQUESTS 32

static uint8_t *out, *in;

/* What tests/boot/run fills a disk with; another `seed` for what is written here. */
static uint8_t pattern(uint64_t at, unsigned seed)
{
    return (uint8_t)(at * 7 + at / 512 + at / 131072 + seed);
}

static void fill(uint8_t *bytes, uint64_t at, uint32_t length, unsigned seed)
{
    for (uint32_t i = 0; i < length; i++)
        bytes[i] = pattern(at + i, seed);
}

static bool holds(const uint8_t *bytes, uint64_t at, uint32_t length, unsigned seed)
{
    for (uint32_t i = 0; i < length; i++)
        if (bytes[i] != pattern(at + i, seed))
            return false;
    return true;
}

static bool all(const uint8_t *bytes, uint8_t value, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void check_pattern(struct block *block)
{
    uint64_t size = block->sectors * BLOCK_SECTOR, bad = 0;

    for (uint64_t at = 0; at < size; at += CHUNK) {
        uint32_t length = size - at < CHUNK ? (uint32_t)(size - at) : CHUNK;

        if (block_read(block, at / BLOCK_SECTOR, in, length) != BLOCK_OK ||
            !holds(in, at, length, 0))
            bad++;
    }
    report(bad == 0, "all of it reads as the host wrote it");
}

static void check_borders(struct block *block)
{
    uint64_t end = block->sectors;

    report(block_read(block, end - 1, in, BLOCK_SECTOR) == BLOCK_OK, "the last sector is read");
    report(block_read(block, end, in, BLOCK_SECTOR) == BLOCK_IO_ERROR, "the one behind it is not");
    report(block_read(block, end - 1, in, 2 * BLOCK_SECTOR) == BLOCK_IO_ERROR,
           "nor two from the last on");
    report(block_read(block, UINT64_MAX, in, BLOCK_SECTOR) == BLOCK_IO_ERROR,
           "nor the last of 2^64");
    report(block_read(block, UINT64_MAX / BLOCK_SECTOR + 1, in, BLOCK_SECTOR) == BLOCK_IO_ERROR,
           "nor one whose offset in bytes wraps to 0");
    report(block_read(block, 0, in, BLOCK_SECTOR) == BLOCK_OK, "the first is, after all that");
}

static void check_write(struct block *block)
{
    static const uint32_t lengths[] = {512, 1024, 4096, 4608, CHUNK};
    uint64_t at = 3 * BLOCK_SECTOR;

    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint32_t length = lengths[i];
        bool good;

        fill(out, at, length, i + 1);
        good = block_write(block, at / BLOCK_SECTOR, out, length) == BLOCK_OK;
        memset(in, 0, length);
        good = good && block_read(block, at / BLOCK_SECTOR, in, length) == BLOCK_OK;
        report(good && holds(in, at, length, i + 1), "%u bytes written are read back", length);
    }
    fill(out, 0, BLOCK_SECTOR, 99);
    report(block_write(block, block->sectors - 1, out, BLOCK_SECTOR) == BLOCK_OK &&
               block_read(block, block->sectors - 1, in, BLOCK_SECTOR) == BLOCK_OK &&
               memcmp(in, out, BLOCK_SECTOR) == 0,
           "the last sector is written");
    report(block_write(block, block->sectors, out, BLOCK_SECTOR) == BLOCK_IO_ERROR,
           "the one behind it is not");
    if (virtio_has(block->dev, BLOCK_F_FLUSH))
        report(block_flush(block) == BLOCK_OK, "a flush is answered");
}

/* As many at once as the ring holds, each with its own place and data. */
static void check_many(struct block *block)
{
    static struct block_request requests[REQUESTS];
    unsigned submitted = 0, ended = 0, good = 0;
    uint64_t limit = time_us() + 20000000;

    while (ended < REQUESTS && time_us() < limit) {
        struct block_request *r;

        for (; submitted < REQUESTS; submitted++) {
            uint64_t at = submitted * 2 * UINT64_C(4096);

            r = &requests[submitted];
            r->header = (struct block_header){.type = BLOCK_READ, .sector = at / BLOCK_SECTOR};
            r->data = in + (submitted % 16) * 4096;
            r->length = 4096;
            if (!block->read_only) {
                r->header.type = BLOCK_WRITE;
                r->data = out + (submitted % 16) * 4096;
                if (submitted < 16)
                    fill(r->data, submitted * 4096, 4096, 55);
            }
            if (!block_submit(block, r))
                break;
        }
        block_kick(block);
        virtio_queue_wait(&block->dev->queues[0], 1000000);
        while ((r = block_take(block))) {
            ended++;
            good += r->status == BLOCK_OK;
        }
    }
    report(good == REQUESTS, "%u of %u requests at once end well", good, REQUESTS);
}

static void check_zeroes(struct block *block)
{
    fill(out, 0, 8192, 77);
    block_write(block, 64, out, 8192);
    if (virtio_has(block->dev, BLOCK_F_WRITE_ZEROES)) {
        report(block_write_zeroes(block, 66, 4, false) == BLOCK_OK &&
                   block_read(block, 64, in, 8192) == BLOCK_OK && all(in + 1024, 0, 2048) &&
                   memcmp(in, out, 1024) == 0 && memcmp(in + 3072, out + 3072, 5120) == 0,
               "zeroes are written where asked, and only there");
        report(block_write_zeroes(block, 64, 16, true) == BLOCK_OK &&
                   block_read(block, 64, in, 8192) == BLOCK_OK && all(in, 0, 8192),
               "and with leave to discard");
        report(block_write_zeroes(block, block->sectors - 1, 2, false) == BLOCK_IO_ERROR,
               "but not past the end");
    }
    if (virtio_has(block->dev, BLOCK_F_DISCARD)) {
        report(block_discard(block, 64, 16) == BLOCK_OK, "sectors are discarded");
        report(block_discard(block, block->sectors, 1) == BLOCK_IO_ERROR, "but not past the end");
    }
}

static void check_id(struct block *block)
{
    const char *wanted = boot_option("id");
    char id[BLOCK_ID_LENGTH + 1];
    size_t length = 0;

    report(block_id(block, id) == BLOCK_OK, "it says its id [%s]", id);
    if (!wanted)
        return;
    while (wanted[length] && wanted[length] != ' ')
        length++;
    report(strlen(id) == length && memcmp(id, wanted, length) == 0, "which is the one given to it");
}

static void check_unknown(struct block *block)
{
    struct block_request r = {.header = {.type = 0x7777}, .data = in, .length = BLOCK_SECTOR};

    report(block_submit(block, &r), "a request of no known type is taken");
    block_kick(block);
    report(virtio_queue_wait(&block->dev->queues[0], 5000000) && block_take(block) == &r &&
               r.status == BLOCK_UNSUPPORTED,
           "and answered as that");
}

/* A halted CPU is woken by the end of a request. */
static void check_interrupts(struct block *block)
{
    struct block_request r = {.header = {.type = BLOCK_READ}, .data = in, .length = CHUNK};
    struct virtio_queue *q = &block->dev->queues[0];
    uint32_t before = virtio_queue_interrupts(q);
    uint64_t limit = time_us() + 5000000;

    if (!block->dev->interrupts) {
        report_skip("it interrupts: polled here");
        return;
    }
    virtio_queue_listen(q);
    block_submit(block, &r);
    block_kick(block);
    while (virtio_queue_interrupts(q) == before && time_us() < limit)
        virtio_events_wait(virtio_events(), 1000000);
    report(virtio_queue_interrupts(q) != before, "it interrupts (%u)",
           virtio_queue_interrupts(q) - before);
    virtio_queue_wait(q, 5000000);
    report(block_take(block) == &r && r.status == BLOCK_OK, "when the request has ended");
}

int main(void)
{
    uint64_t sectors = boot_option_number("sectors", 0);
    struct block block;

    out = malloc(CHUNK);
    in = malloc(CHUNK);
    if (!report(block_open(&block, 0, UINT64_MAX), "there is a disk that starts"))
        return report_summary();
    printf("transport %s, features %lx of %lx, %lu sectors\n", block.dev->transport->name,
           block.dev->features, block.dev->offered, block.sectors);
    report(!sectors || block.sectors == sectors, "it has %lu sectors", block.sectors);
    report(block.read_only == (boot_option_number("ro", 0) != 0),
           "it is read-only, or not, as asked");
    if (boot_option_number("pattern", 0))
        check_pattern(&block);
    check_borders(&block);
    check_id(&block);
    if (block.read_only) {
        report(block_write(&block, 0, out, BLOCK_SECTOR) == BLOCK_IO_ERROR, "it refuses writes");
    } else {
        check_write(&block);
        check_zeroes(&block);
    }
    check_many(&block);
    check_unknown(&block);
    check_interrupts(&block);
    block_close(&block);
    report(block_open(&block, 0, UINT64_MAX) && block_read(&block, 0, in, BLOCK_SECTOR) == BLOCK_OK,
           "after a reset it starts again");
    return report_summary();
}
