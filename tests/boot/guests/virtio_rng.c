/* Random bytes through the SDK's driver. */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/memory.h"
#include "sdk/report.h"
#include "sdk/rng.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define LARGE 65536u

/* Each byte value comes about as often as any other: within a factor of two of the mean, which in
 * 64 KiB of honest bytes is 16 standard deviations away. */
static bool even(const uint8_t *bytes, uint32_t length)
{
    uint32_t counts[256] = {0};

    for (uint32_t i = 0; i < length; i++)
        counts[bytes[i]]++;
    for (unsigned i = 0; i < 256; i++)
        if (counts[i] < length / 512 || counts[i] > length / 128)
            return false;
    return true;
}

static uint32_t read_all(struct rng *rng, uint8_t *bytes, uint32_t length)
{
    uint32_t done = 0, part;

    while (done < length && (part = rng_read(rng, bytes + done, length - done)) > 0)
        done += part;
    return done;
}

/* A halted CPU is woken when the bytes are there. */
static void check_interrupts(struct rng *rng)
{
    struct virtio_queue *q = &rng->dev->queues[0];
    static uint8_t bytes[64];
    struct virtio_buffer b = {.data = bytes, .length = sizeof(bytes)};
    uint32_t before = virtio_queue_interrupts(q);
    uint64_t limit = time_us() + 5000000;

    if (!rng->dev->interrupts) {
        report_skip("it interrupts: polled here");
        return;
    }
    virtio_queue_listen(q);
    virtio_queue_add(q, &b, 0, 1, bytes);
    virtio_queue_kick(q);
    while (virtio_queue_interrupts(q) == before && time_us() < limit)
        virtio_events_wait(virtio_events(), 1000000);
    report(virtio_queue_interrupts(q) != before, "it interrupts");
    /* The interrupt may have been a late one, of what was taken before. */
    report(virtio_queue_wait(q, 5000000) && virtio_queue_take(q, NULL) == bytes,
           "and what was asked for comes");
}

int main(void)
{
    uint8_t *first = malloc(LARGE), *second = malloc(LARGE), guard[3] = {1, 2, 3};
    struct rng rng;

    if (!report(rng_open(&rng, 0), "there is a device that starts"))
        return report_summary();
    printf("transport %s, features %lx of %lx\n", rng.dev->transport->name, rng.dev->features,
           rng.dev->offered);
    report(rng_read(&rng, guard + 1, 1) == 1 && guard[0] == 1 && guard[2] == 3,
           "one byte is given, and no other touched");
    memset(first, 0, LARGE);
    memset(second, 0, LARGE);
    report(read_all(&rng, first, LARGE) == LARGE, "64 KiB are given");
    report(even(first, LARGE), "all byte values come alike");
    report(read_all(&rng, second, LARGE) == LARGE && memcmp(first, second, LARGE) != 0,
           "the next are others");
    check_interrupts(&rng);
    rng_close(&rng);
    report(rng_open(&rng, 0) && rng_read(&rng, first, 16) > 0, "after a reset it starts again");
    return report_summary();
}
