/*
 * Each byte value, once, between two marks; then many bytes without looking at LSR. With `lines=N`
 * N numbered lines instead, at the pace that LSR allows.
 */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/io.h"

#define PORT_SERIAL 0x3f8

int main(void)
{
    uint64_t lines = boot_option_number("lines", 0);
    uint8_t all[256];

    for (uint64_t i = 0; i < lines; i++)
        printf("line %06lu\n", i);
    if (lines > 0)
        return 0;
    for (unsigned i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    console_write("<", 1);
    console_write(all, sizeof(all));
    console_write(">", 1);
    for (unsigned i = 0; i < 1000; i++)
        port_out8(PORT_SERIAL, (uint8_t)('a' + i % 26));
    console_write(".\n", 2);
    return 0;
}
