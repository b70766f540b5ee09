/* The console by bytes and by buffer, and the end with a status, all by hypercalls. */
#include "hermit.h"

#define TEXT "by a buffer\n"

struct serial_buffer_1 {
    uint64_t buf, len;
};

struct serial_buffer {
    uint64_t len, buf;
};

void hermit_main(const struct boot_info *info, uint64_t cpu)
{
    static const char text[] = TEXT;
    static int32_t status = 42;
    static struct serial_buffer_1 first;
    static struct serial_buffer later;

    if (cpu != 0)
        return;
    for (const char *at = "byte by byte\n"; *at; at++) {
        if (info->serial_port == 0x800)
            out8(0x800, (uint8_t)*at);
        else
            hermit_call(0x1020, (const void *)(uint64_t)*at);
    }
    if (info->serial_port == 0x800) {
        first = (struct serial_buffer_1){(uint64_t)text, sizeof(TEXT) - 1};
        hermit_call_1(0x880, &first);
        hermit_call_1(0x540, &status);
    } else {
        later = (struct serial_buffer){sizeof(TEXT) - 1, (uint64_t)text};
        hermit_call(0x1030, &later);
        hermit_call(0x1010, &status);
    }
}
