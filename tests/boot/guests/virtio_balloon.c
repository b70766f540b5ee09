/*
 * The balloon through the SDK's driver: `target=PAGES` what the host asks for. A page that was
 * given away reads as zero, in whatever way it comes back.
 */
#include "sdk/balloon.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/memory.h"
#include "sdk/report.h"
#include "sdk/string.h"

#define AREA  (8u << 20)
#define PAGES ((unsigned)(AREA / PAGE_SIZE))
#define LIST  256

static uint8_t *area;

static void paint(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        area[i * PAGE_SIZE] = area[i * PAGE_SIZE + PAGE_SIZE - 1] = (uint8_t)(i | 1);
}

static unsigned zero_pages(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < PAGES; i++)
        count += area[i * PAGE_SIZE] == 0 && area[i * PAGE_SIZE + PAGE_SIZE - 1] == 0;
    return count;
}

static bool in_lists(struct balloon *b, bool (*move)(struct balloon *, const uint32_t *, unsigned))
{
    uint32_t list[LIST];

    for (unsigned at = 0; at < PAGES; at += LIST) {
        for (unsigned i = 0; i < LIST; i++)
            list[i] = (uint32_t)((uintptr_t)area / PAGE_SIZE) + at + i;
        if (!move(b, list, LIST))
            return false;
    }
    return true;
}

static void check_stats(struct balloon *b)
{
    static struct balloon_stat stats[3] = {
        {BALLOON_STAT_FREE, 1000}, {BALLOON_STAT_TOTAL, 2000}, {BALLOON_STAT_AVAILABLE, 3000}};

    if (!b->stats) {
        report_skip("statistics: not agreed on");
        return;
    }
    report(balloon_send_stats(b, stats, 3, 0), "statistics are handed over");
    if (boot_option_number("stats", 0))
        report(balloon_send_stats(b, stats, 3, 5000000), "and asked for again");
}

static void check_reporting(struct balloon *b)
{
    if (!b->reporting) {
        report_skip("reporting: not agreed on");
        return;
    }
    paint();
    report(balloon_report(b, area, AREA), "free memory is reported");
    report(zero_pages() == PAGES, "and reads as zero (%u of %u pages)", zero_pages(), PAGES);
}

int main(void)
{
    struct balloon b;

    area = aligned_alloc(PAGE_SIZE, AREA);
    if (!report(balloon_open(&b, UINT64_MAX), "there is a device that starts"))
        return report_summary();
    printf("transport %s, features %lx of %lx\n", b.dev->transport->name, b.dev->features,
           b.dev->offered);
    report(balloon_target(&b) == boot_option_number("target", 0), "the host asks for %u pages",
           balloon_target(&b));
    paint();
    report(zero_pages() == 0, "memory holds what was written");
    report(in_lists(&b, balloon_give), "8 MiB are given away");
    balloon_set_actual(&b, PAGES);
    report(virtio_config32(b.dev, BALLOON_CONFIG_ACTUAL) == PAGES, "the host is told so");
    report(zero_pages() == PAGES, "they are gone (%u of %u pages)", zero_pages(), PAGES);
    report(in_lists(&b, balloon_take_back), "they are taken back");
    balloon_set_actual(&b, 0);
    paint();
    report(zero_pages() == 0, "and hold what is written again");
    check_stats(&b);
    check_reporting(&b);
    balloon_close(&b);
    report(balloon_open(&b, UINT64_MAX) && in_lists(&b, balloon_give), "it starts again");
    return report_summary();
}
