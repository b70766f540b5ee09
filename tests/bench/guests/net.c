/*
 * Load on network device 0, without an IP stack. `count=` frames of `bytes=` (64) are sent as fast
 * as the device takes them, to nobody (the local experimental type 0x88b5), or with `receive=1` are
 * counted as they come. Prints "READY"; "BEGIN" before the first, "END" after the last.
 */
#include "sdk/net.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/string.h"

#define WAIT_US      10000000
#define BYTES_MIN    60
#define TYPE_AT      12
#define ADDRESS_SIZE 6

static uint8_t frame[65536];

/* Of the host only frames of the same type count. */
static bool is_ours(uint32_t length)
{
    return length >= BYTES_MIN && frame[TYPE_AT] == 0x88 && frame[TYPE_AT + 1] == 0xb5;
}

static bool receive(struct net *net, uint64_t count)
{
    for (uint64_t received = 0; received < count;) {
        uint32_t length = net_receive(net, NULL, frame, sizeof(frame));

        if (length == 0 && !net_wait(net, WAIT_US))
            return false;
        if (length == 0 || !is_ours(length))
            continue;
        if (received++ == 0)
            printf("BEGIN\n");
    }
    return true;
}

static bool send(struct net *net, uint64_t count, uint32_t bytes)
{
    memset(frame, 0xff, ADDRESS_SIZE);
    memcpy(frame + ADDRESS_SIZE, net->mac, ADDRESS_SIZE);
    frame[TYPE_AT] = 0x88;
    frame[TYPE_AT + 1] = 0xb5;
    printf("BEGIN\n");
    while (count-- > 0)
        if (!net_send(net, NULL, frame, bytes))
            return false;
    return true;
}

int main(void)
{
    uint64_t count = boot_option_number("count", 100000);
    uint32_t bytes = (uint32_t)boot_option_number("bytes", 64);
    bool receiving = boot_option_number("receive", 0);
    struct net net;

    if (bytes < BYTES_MIN || bytes > NET_FRAME_MAX)
        return 2;
    if (!net_open(&net, 0, NET_WANTED)) {
        printf("there is no network device that works\n");
        return 1;
    }
    printf("READY\n");
    if (!(receiving ? receive(&net, count) : send(&net, count, bytes))) {
        printf("STUCK\n");
        return 1;
    }
    printf("END\n");
    return 0;
}
