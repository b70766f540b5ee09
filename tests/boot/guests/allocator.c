/* The SDK's heap: blocks are aligned, distinct, hold what is written, and join again when freed. */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/report.h"
#include "sdk/string.h"

#define BLOCKS 500
#define ROUNDS 20000

static struct {
    uint8_t *bytes;
    size_t size;
    uint8_t fill;
} blocks[BLOCKS];

/* xorshift32 (Marsaglia, 2003). */
static uint32_t next_random(void)
{
    static uint32_t state = 2463534242;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static bool is_whole(unsigned i)
{
    for (size_t n = 0; n < blocks[i].size; n++)
        if (blocks[i].bytes[n] != blocks[i].fill)
            return false;
    return true;
}

static void check_random(void)
{
    bool whole = true, aligned = true, got = true;

    for (unsigned n = 0; n < ROUNDS; n++) {
        unsigned i = next_random() % BLOCKS;

        if (blocks[i].bytes) {
            whole = whole && is_whole(i);
            free(blocks[i].bytes);
            blocks[i].bytes = NULL;
            continue;
        }
        size_t alignment = (size_t)16 << next_random() % 9;

        blocks[i].size = next_random() % 3000;
        blocks[i].fill = (uint8_t)n;
        blocks[i].bytes = aligned_alloc(alignment, blocks[i].size);
        got = got && blocks[i].bytes;
        aligned = aligned && (uint64_t)blocks[i].bytes % alignment == 0;
        memset(blocks[i].bytes, blocks[i].fill, blocks[i].size);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        whole = whole && (!blocks[i].bytes || is_whole(i));
        free(blocks[i].bytes);
    }
    report(got, "%u allocations", ROUNDS);
    report(aligned, "each aligned as asked");
    report(whole, "no block is written by another");
}

static bool in_use_by_boot(const uint8_t *p)
{
    const struct boot_info *info = boot_info();

    for (unsigned i = 0; i < info->module_count; i++)
        if (p >= info->modules[i].data && p < info->modules[i].data + info->modules[i].size)
            return true;
    return false;
}

int main(void)
{
    unsigned pieces_before, pieces_after;
    size_t before = memory_free_bytes(&pieces_before), after;
    uint8_t *all, *zeroes;
    bool zero = true;

    report(before > boot_ram_size() / 2 || before > (UINT64_C(2) << 30), "%lu MiB are free",
           before >> 20);
    check_random();
    after = memory_free_bytes(&pieces_after);
    report(after == before && pieces_after == pieces_before, "all of it comes back, in %u pieces",
           pieces_after);
    report(malloc(UINT64_MAX - 8) == NULL && malloc(UINT64_C(1) << 40) == NULL,
           "too much is refused");
    report(calloc(UINT64_C(1) << 33, UINT64_C(1) << 33) == NULL, "so is a product that overflows");
    all = malloc(32 << 20);
    report(all && !in_use_by_boot(all) && !in_use_by_boot(all + (32 << 20) - 1), "32 MiB at once");
    memset(all, 0xa5, 32 << 20);
    free(all);
    zeroes = calloc(1000, 1000);
    for (unsigned i = 0; zeroes && i < 1000000; i++)
        zero = zero && zeroes[i] == 0;
    report(zeroes && zero, "calloc clears");
    free(zeroes);
    free(NULL);
    return report_summary();
}
