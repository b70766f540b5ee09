/* `rep insb` and `rep outsb` over the border of two pages, up and down, and of wider items. */
#include "sdk/console.h"
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/report.h"
#include "sdk/string.h"

#define PORT_SERIAL  0x3f8
#define PORT_SCRATCH 0x3ff
#define PORT_OSVM    0x700
#define SIGNATURE    UINT32_C(0x4d56534f)

static const char text[] = "[over the border of two pages, in one instruction]\n";

static void check_out(uint8_t *pages)
{
    size_t length = sizeof(text) - 1;
    char *place = (char *)pages + PAGE_SIZE - length / 2;

    memcpy(place, text, length);
    port_out8_string(PORT_SERIAL, place, length);
}

static void check_in(uint8_t *pages)
{
    uint8_t *place = pages + PAGE_SIZE - 20;
    bool good = true;

    port_out8(PORT_SCRATCH, 0x5a);
    memset(pages, 0, 2 * PAGE_SIZE);
    port_in8_string(PORT_SCRATCH, place, 40);
    for (unsigned i = 0; i < 40; i++)
        good = good && place[i] == 0x5a;
    report(good, "rep insb over the border brings each byte");
    report(place[-1] == 0 && place[40] == 0, "and no other");
}

static void check_in_wide(uint8_t *pages)
{
    uint32_t *place = (uint32_t *)(void *)(pages + PAGE_SIZE - 16), *to = place;
    size_t count = 8;
    bool good = true;

    __asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(PORT_OSVM) : "memory");
    for (unsigned i = 0; i < 8; i++)
        good = good && place[i] == SIGNATURE;
    report(good && count == 0 && to == place + 8, "rep insl brings 8 words of 4 bytes");
}

static void check_in_down(uint8_t *pages)
{
    uint8_t *last = pages + PAGE_SIZE + 9, *to = last;
    size_t count = 20;
    bool good = true;

    port_out8(PORT_SCRATCH, 0xa5);
    memset(pages, 0, 2 * PAGE_SIZE);
    __asm__ volatile("std; rep insb; cld" : "+D"(to), "+c"(count) : "d"(PORT_SCRATCH) : "memory");
    for (unsigned i = 0; i < 20; i++)
        good = good && last[-(int)i] == 0xa5;
    report(good && last[1] == 0 && last[-20] == 0, "rep insb downwards too");
}

int main(void)
{
    uint8_t *pages = aligned_alloc(PAGE_SIZE, 2 * PAGE_SIZE);

    check_out(pages);
    check_in(pages);
    check_in_wide(pages);
    check_in_down(pages);
    free(pages);
    return report_summary();
}
