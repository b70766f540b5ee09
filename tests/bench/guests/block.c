/*
 * Load on disk 0, from ring 3, `depth=` requests (32) of `bytes=` (4096) each under way all the
 * time, `count=` of them (1000) in all, at random places, or with `sequential=1` one behind the
 * other; `write=1` writes. Prints "BEGIN" before the first and "END" with the number of errors
 * after the last; who reads them has the time.
 */
#include "sdk/block.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/memory.h"
#include "sdk/string.h"

#define DEPTH_MAX 64
#define WAIT_US   10000000

struct load {
    struct block block;
    uint64_t depth, bytes, count, begun, ended, errors, random;
    bool write, sequential;
    struct block_request requests[DEPTH_MAX];
};

static struct load load;

static uint64_t next_sector(void)
{
    uint64_t sectors = load.bytes / BLOCK_SECTOR, places = load.block.sectors / sectors;

    if (load.sequential)
        return load.begun % places * sectors;
    load.random = load.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (load.random >> 33) % places * sectors;
}

static void begin(struct block_request *r)
{
    if (load.begun == load.count)
        return;
    r->header = (struct block_header){.type = load.write ? BLOCK_WRITE : BLOCK_READ,
                                      .sector = next_sector()};
    r->length = (uint32_t)load.bytes;
    if (block_submit(&load.block, r))
        load.begun++;
}

static bool run(void)
{
    struct block_request *r;

    for (unsigned i = 0; i < load.depth; i++)
        begin(&load.requests[i]);
    block_kick(&load.block);
    while (load.ended < load.count) {
        if (!virtio_queue_wait(&load.block.dev->queues[0], WAIT_US))
            return false;
        while ((r = block_take(&load.block))) {
            load.ended++;
            load.errors += r->status != BLOCK_OK;
            begin(r);
        }
        block_kick(&load.block);
    }
    return true;
}

int main(void)
{
    load.depth = boot_option_number("depth", 32);
    load.bytes = boot_option_number("bytes", 4096);
    load.count = boot_option_number("count", 1000);
    load.write = boot_option_number("write", 0);
    load.sequential = boot_option_number("sequential", 0);
    load.random = 1;
    if (load.depth > DEPTH_MAX || load.bytes % BLOCK_SECTOR || load.bytes == 0)
        return 2;
    if (!block_open(&load.block, 0, UINT64_MAX & ~BLOCK_F_MQ)) {
        printf("there is no disk that works\n");
        return 1;
    }
    for (unsigned i = 0; i < load.depth; i++) {
        load.requests[i].data = aligned_alloc(4096, load.bytes);
        if (!load.requests[i].data)
            return 1;
        memset(load.requests[i].data, (int)i, load.bytes);
    }
    printf("BEGIN\n");
    if (!run())
        return 1;
    printf("END %lu\n", load.errors);
    return 0;
}
