/*
 * Frames through the SDK's driver, to a host at 10.77.0.1 that answers ARP and echoes UDP on port
 * 7: sizes up to the MTU, checksums by either side, many in flight. `mtu=N` what the device says.
 */
#include "sdk/net.h"

#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/report.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define LIMIT_US  5000000
#define TRIES     5
#define IP_HEADER 20
#define UDP_START (14 + IP_HEADER)
#define DATA      (UDP_START + 8)
#define FRAME_MAX 9100
#define PORT_ECHO 7
#define PORT_OWN  4000
#define BURST     500

static const uint8_t own_ip[4] = {10, 77, 0, 2}, host_ip[4] = {10, 77, 0, 1};
static struct net net;
static uint8_t host_mac[6], frame[FRAME_MAX], answer[FRAME_MAX];
static struct net_header answer_header;

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static uint32_t sum(const uint8_t *bytes, uint32_t length, uint32_t start)
{
    for (uint32_t i = 0; i < length; i++)
        start += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    return start;
}

static unsigned fold(uint32_t s)
{
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

static void ethernet(const uint8_t *to, unsigned type)
{
    memcpy(frame, to, 6);
    memcpy(frame + 6, net.mac, 6);
    put16(frame + 12, type);
}

/* The next frame of this type, within the time. Returns its length or 0. */
static uint32_t receive(unsigned type, uint64_t microseconds)
{
    uint64_t end = time_us() + microseconds;

    for (uint64_t now; (now = time_us()) < end;) {
        uint32_t length;

        net_wait(&net, end - now);
        length = net_receive(&net, &answer_header, answer, sizeof(answer));
        if (length >= 14 && get16(answer + 12) == type)
            return length;
    }
    return 0;
}

static bool resolve(void)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1};

    for (unsigned i = 0; i < TRIES; i++) {
        memset(frame, 0, 60);
        ethernet(all, 0x0806);
        memcpy(frame + 14, request, 8);
        memcpy(frame + 22, net.mac, 6);
        memcpy(frame + 28, own_ip, 4);
        memcpy(frame + 38, host_ip, 4);
        net_send(&net, NULL, frame, 60);
        if (receive(0x0806, LIMIT_US / TRIES) >= 42 && answer[21] == 2 &&
            memcmp(answer + 28, host_ip, 4) == 0) {
            memcpy(host_mac, answer + 22, 6);
            return true;
        }
    }
    return false;
}

/* RFC 768's pseudo header. */
static uint32_t pseudo(const uint8_t *packet, uint32_t udp_length)
{
    return sum(packet + 26, 8, 17 + udp_length);
}

/* Send UDP data; its checksum is the device's affair where that was agreed on. */
static void send_udp(uint32_t length, unsigned id)
{
    struct net_header header = {0};
    uint32_t udp_length = length + 8;

    ethernet(host_mac, 0x0800);
    memset(frame + 14, 0, IP_HEADER + 8);
    frame[14] = 0x45;
    put16(frame + 16, IP_HEADER + udp_length);
    put16(frame + 18, id);
    frame[22] = 64;
    frame[23] = 17;
    memcpy(frame + 26, own_ip, 4);
    memcpy(frame + 30, host_ip, 4);
    put16(frame + 24, 0xffff ^ fold(sum(frame + 14, IP_HEADER, 0)));
    put16(frame + 34, PORT_OWN);
    put16(frame + 36, PORT_ECHO);
    put16(frame + 38, udp_length);
    for (uint32_t i = 0; i < length; i++)
        frame[DATA + i] = (uint8_t)(i * 3 + id + i / 256);
    if (virtio_has(net.dev, NET_F_CSUM)) {
        header.flags = NET_HEADER_NEEDS_CSUM;
        header.csum_start = UDP_START;
        header.csum_offset = 6;
        put16(frame + 40, fold(pseudo(frame, udp_length)));
    } else {
        unsigned check =
            0xffff ^ fold(sum(frame + UDP_START, udp_length, pseudo(frame, udp_length)));

        put16(frame + 40, check ? check : 0xffff);
    }
    net_send(&net, &header, frame, DATA + length);
}

/* Whether the answer is the data that was sent, and its checksum right unless the device says that
 * it need not be looked at. */
static bool is_echo(uint32_t length, unsigned id)
{
    if (answer[23] != 17 || get16(answer + 36) != PORT_OWN || get16(answer + 38) != length + 8)
        return false;
    for (uint32_t i = 0; i < length; i++)
        if (answer[DATA + i] != (uint8_t)(i * 3 + id + i / 256))
            return false;
    return answer_header.flags != 0 || get16(answer + 40) == 0 ||
           fold(sum(answer + UDP_START, length + 8, pseudo(answer, length + 8))) == 0xffff;
}

static bool echoes(uint32_t length, unsigned id)
{
    for (unsigned i = 0; i < TRIES; i++) {
        send_udp(length, id);
        while (receive(0x0800, LIMIT_US / TRIES))
            if (is_echo(length, id))
                return true;
    }
    return false;
}

static void check_sizes(void)
{
    const uint32_t most = net.mtu - IP_HEADER - 8u;
    const uint32_t sizes[] = {1, 2, 17, 18, 100, 1000, 1472, most};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (sizes[i] <= most)
            report(echoes(sizes[i], i), "%u bytes are echoed", sizes[i]);
}

/* As fast as it goes, 16 under way: UDP may lose some, but not many on a wire of memory. */
static void check_burst(void)
{
    unsigned sent = 0, good = 0;

    while (sent < BURST) {
        for (unsigned i = 0; i < 16 && sent < BURST; i++)
            send_udp(512, sent++);
        for (unsigned i = 0; i < 16 && receive(0x0800, 200000); i++)
            good += get16(answer + 38) == 520;
    }
    report(good >= BURST * 9 / 10, "%u of %u frames come back from bursts", good, BURST);
}

int main(void)
{
    uint64_t wanted = boot_option_number("wanted", NET_WANTED);

    if (!report(net_open(&net, 0, wanted), "there is a device that starts"))
        return report_summary();
    printf("transport %s, features %lx of %lx, mtu %u\n", net.dev->transport->name,
           net.dev->features, net.dev->offered, net.mtu);
    if (boot_option("mtu") && virtio_has(net.dev, NET_F_MTU))
        report(net.mtu == boot_option_number("mtu", 0), "its MTU is %u", net.mtu);
    report(net.link, "the link is up");
    if (!report(resolve(), "the host answers ARP"))
        return report_summary();
    check_sizes();
    check_burst();
    if (net.dev->interrupts)
        report(virtio_queue_interrupts(&net.dev->queues[NET_QUEUE_RX]) > 0, "it interrupts");
    net_close(&net);
    report(net_open(&net, 0, wanted) && resolve() && echoes(100, 99),
           "after a reset it works again");
    return report_summary();
}
