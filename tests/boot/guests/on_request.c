/*
 * Does with its devices what the lines of the serial port ask for, and answers each by one line, so
 * that a test can hurt or change a device's other end in between:
 *
 *   alive                      alive
 *   quit                       it ends
 *
 *   disk-fill                  write and flush chunk after chunk until one fails: chunks that were
 *                              acknowledged, status of the last
 *
 *   disk-check N               how many of the first N chunks hold what was written
 *   disk-write I               one chunk and a flush: its status
 *   disk-write-many N          N chunks without a flush: how many were written
 *
 *   disk-look S                how many sectors the disk says that it has now, the status of
 *                              reading sector S, and the first byte there
 *
 *   entropy N                  N bytes of the rng: how many came
 *   balloon                    how many pages the host asks for
 *   keys-on                    set the keyboard controller up
 *   keys                       the bytes that the keyboard has sent since, in decimal
 *   net-send N                 send N frames: how many the device took
 *   vsock-connect S PORT       socket S (0 to 3) to a port of the host: 1 or 0
 *   vsock-write S MAX          send until MAX or until it goes no further: bytes
 *   vsock-state S              open or closed
 *
 *   vsock-read S               receive until nothing more comes: bytes, 1 where they were right, 1
 *                              at the end of the stream
 */
#include "sdk/balloon.h"
#include "sdk/block.h"
#include "sdk/console.h"
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/net.h"
#include "sdk/rng.h"
#include "sdk/string.h"
#include "sdk/time.h"
#include "sdk/vsock.h"

#define CHUNK    65536u
#define SOCKETS  4
#define QUIET_US 300000 /* nothing for so long: it goes no further */
#define LIMIT_US 10000000

static struct block block;
static struct balloon balloon;
static struct rng rng;
static struct net net;
static struct vsock vsock;
static bool has_disk, has_net, has_vsock, has_balloon, has_rng;
static struct vsock_socket *sockets[SOCKETS];
static uint32_t written[SOCKETS], received[SOCKETS];
static uint8_t chunk[CHUNK], back[CHUNK];

static uint8_t pattern(uint32_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

/* The next number of a line, or 0. */
static uint32_t number(char **at)
{
    return (uint32_t)strtoul(*at + (**at == ' '), at, 10);
}

static uint8_t write_chunk(uint32_t index)
{
    uint8_t status;

    for (uint32_t i = 0; i < CHUNK; i++)
        chunk[i] = (uint8_t)(pattern(i) + index);
    status = block_write(&block, (uint64_t)index * (CHUNK / BLOCK_SECTOR), chunk, CHUNK);
    return status == BLOCK_OK ? block_flush(&block) : status;
}

static void disk_fill(void)
{
    uint32_t chunks = (uint32_t)(block.sectors * BLOCK_SECTOR / CHUNK), index = 0;
    uint8_t status = BLOCK_OK;

    while (index < chunks && (status = write_chunk(index)) == BLOCK_OK)
        index++;
    printf("disk-fill %u %u\n", index, status);
}

static void disk_check(uint32_t count)
{
    uint32_t good = 0;

    for (uint32_t index = 0; index < count; index++) {
        bool same =
            block_read(&block, (uint64_t)index * (CHUNK / BLOCK_SECTOR), back, CHUNK) == BLOCK_OK;

        for (uint32_t i = 0; same && i < CHUNK; i++)
            same = back[i] == (uint8_t)(pattern(i) + index);
        good += same;
    }
    printf("disk-check %u\n", good);
}

static void disk_look(uint32_t sector)
{
    uint8_t status;

    block.sectors = virtio_config64(block.dev, 0); /* it may have changed */
    back[0] = 0;
    status = block_read(&block, sector, back, BLOCK_SECTOR);
    printf("disk-look %u %u %u\n", (uint32_t)block.sectors, status, back[0]);
}

static void disk_write_many(uint32_t count)
{
    uint32_t chunks = (uint32_t)(block.sectors * BLOCK_SECTOR / CHUNK), done = 0;

    while (done < count && block_write(&block, (uint64_t)(done % chunks) * (CHUNK / BLOCK_SECTOR),
                                       chunk, CHUNK) == BLOCK_OK)
        done++;
    printf("disk-write-many %u\n", done);
}

static void read_entropy(uint32_t count)
{
    uint32_t got = 0;

    while (got < count)
        got += rng_read(&rng, back, count - got < CHUNK ? count - got : CHUNK);
    printf("entropy %u\n", got);
}

#define I8042_DATA    0x60
#define I8042_COMMAND 0x64

static void keys_on(void)
{
    port_out8(I8042_COMMAND, 0x60); /* the configuration: interrupts of the keyboard */
    port_out8(I8042_DATA, 0x01);
    printf("keys-on\n");
}

static void keys(void)
{
    printf("keys");
    while (port_in8(I8042_COMMAND) & 1)
        printf(" %u", port_in8(I8042_DATA));
    printf("\n");
}

static void net_send_frames(uint32_t count)
{
    uint8_t frame[1000] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t sent = 0;

    memcpy(frame + 6, net.mac, sizeof(net.mac));
    frame[12] = 0x88; /* 0x88b5: for experiments */
    frame[13] = 0xb5;
    while (sent < count && net_send(&net, NULL, frame, sizeof(frame)))
        sent++;
    printf("net-send %u\n", sent);
}

static void vsock_begin(uint32_t s, uint32_t port)
{
    if (sockets[s])
        vsock_release(sockets[s]);
    sockets[s] = vsock_connect(&vsock, VSOCK_CID_HOST, port, CHUNK, LIMIT_US);
    written[s] = received[s] = 0;
    printf("vsock-connect %u\n", sockets[s] != NULL);
}

static uint32_t vsock_write(uint32_t s, uint32_t max, uint64_t limit_us)
{
    uint32_t before = written[s], part = 1;

    while (part > 0 && written[s] - before < max) {
        uint32_t left = max - (written[s] - before), length = left < CHUNK ? left : CHUNK;

        for (uint32_t i = 0; i < length; i++)
            chunk[i] = pattern(written[s] + i);
        part = vsock_send(sockets[s], chunk, length, limit_us);
        written[s] += part;
    }
    return written[s] - before;
}

static void vsock_read(uint32_t s, uint32_t min)
{
    uint32_t before = received[s], got = 0, part;
    bool right = true;

    while ((part = vsock_receive(sockets[s], back, CHUNK, got < min ? LIMIT_US : QUIET_US)) > 0) {
        for (uint32_t i = 0; i < part; i++)
            right = right && back[i] == pattern(received[s] + i);
        received[s] += part;
        got = received[s] - before;
    }
    printf("vsock-read %u %u %u\n", got, right, vsock_ended(sockets[s]));
}

static void vsock_state(uint32_t s)
{
    vsock_poll(&vsock);
    printf("vsock-state %s\n", sockets[s]->state == VSOCK_CONNECTED ? "open" : "closed");
}

static bool is(char *line, const char *word, char **ret_rest)
{
    size_t length = strlen(word);

    *ret_rest = line + length;
    return strncmp(line, word, length) == 0 && (line[length] == ' ' || line[length] == '\0');
}

static void on_vsock(char *line)
{
    char *rest;
    uint32_t s;

    if (is(line, "vsock-connect", &rest)) {
        s = number(&rest) % SOCKETS;
        vsock_begin(s, number(&rest));
    } else if (is(line, "vsock-write", &rest)) {
        s = number(&rest) % SOCKETS;
        printf("vsock-write %u\n", vsock_write(s, number(&rest), LIMIT_US));
    } else if (is(line, "vsock-push", &rest)) {
        s = number(&rest) % SOCKETS;
        printf("vsock-push %u\n", vsock_write(s, UINT32_MAX, QUIET_US));
    } else if (is(line, "vsock-read", &rest)) {
        s = number(&rest) % SOCKETS;
        vsock_read(s, number(&rest));
    } else if (is(line, "vsock-state", &rest)) {
        vsock_state(number(&rest) % SOCKETS);
    } else {
        printf("what? %s\n", line);
    }
}

static void on_other(char *line)
{
    char *rest;

    if (has_disk && is(line, "disk-look", &rest))
        disk_look(number(&rest));
    else if (has_disk && is(line, "disk-write-many", &rest))
        disk_write_many(number(&rest));
    else if (has_rng && is(line, "entropy", &rest))
        read_entropy(number(&rest));
    else if (has_balloon && is(line, "balloon", &rest))
        printf("balloon %u\n", balloon_target(&balloon));
    else if (is(line, "keys-on", &rest))
        keys_on();
    else if (is(line, "keys", &rest))
        keys();
    else
        printf("what? %s\n", line);
}

/* Returns false for the last. */
static bool on_line(char *line)
{
    char *rest;

    if (is(line, "quit", &rest))
        return false;
    if (is(line, "alive", &rest))
        printf("alive\n");
    else if (has_disk && is(line, "disk-fill", &rest))
        disk_fill();
    else if (has_disk && is(line, "disk-check", &rest))
        disk_check(number(&rest));
    else if (has_disk && is(line, "disk-write", &rest))
        printf("disk-write %u\n", write_chunk(number(&rest)));
    else if (has_net && is(line, "net-send", &rest))
        net_send_frames(number(&rest));
    else if (has_vsock && strncmp(line, "vsock", 5) == 0)
        on_vsock(line);
    else
        on_other(line);
    return true;
}

int main(void)
{
    char line[80];
    size_t length = 0;

    has_disk = block_open(&block, 0, UINT64_MAX);
    has_net = net_open(&net, 0, NET_WANTED);
    has_vsock = vsock_open(&vsock, UINT64_MAX);
    has_balloon = balloon_open(&balloon, UINT64_MAX);
    has_rng = rng_open(&rng, 0);
    printf("READY\n");
    for (;;) {
        int byte = console_read();

        if (byte < 0)
            continue;
        if (byte != '\n' && length < sizeof(line) - 1) {
            line[length++] = (char)byte;
            continue;
        }
        line[length] = '\0';
        length = 0;
        if (!on_line(line))
            return 0;
    }
}
