/*
 * The guest that wants more than it may have. `do=` says of what:
 *   spin    all CPUs, for ever
 *   idle    nothing, for ever, and without saying that it is ready
 *   ready   nothing, but it says so (`by=port`, or by a `by=connection` over vsock), for 2 s
 *   sleep   nothing, halted, for 2 s
 *   memory  all there is, and what lies behind it
 *   memory-later  a half of 64 MiB, again and again, once it has said READY
 *   disk    all of disk 0, and what lies behind it
 *   send    `devices=` networks, as fast as they take it
 *   receive the same, as fast as they give it
 *   files   as many connections over vsock as the host opens
 * "READY" on the console says that it is at it.
 */
#include "sdk/apic.h"
#include "sdk/block.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/cpu.h"
#include "sdk/exit.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/net.h"
#include "sdk/report.h"
#include "sdk/smp.h"
#include "sdk/string.h"
#include "sdk/time.h"
#include "sdk/vsock.h"

#define MIB          (UINT64_C(1) << 20)
#define FIRST_OWN    (32 * MIB) /* above the image and what the SDK has */
#define BEHIND       (64 * MIB)
#define CHUNK        65536u
#define HOST_PORT    7000
#define CONNECTIONS  256
#define FRAME        1514
#define WAIT_US      1000000
#define TIMER_VECTOR 0x50

#define ANY_FEATURES (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

static void spin(void *argument)
{
    (void)argument;
    for (;;)
        ;
}

static int do_spin(void)
{
    unsigned cpus = smp_start();

    for (unsigned i = 1; i < cpus; i++)
        smp_run(i, spin, NULL);
    printf("READY\n");
    spin(NULL);
    return 1;
}

static int do_idle(void)
{
    printf("READY\n");
    for (;;)
        delay_us(WAIT_US);
    return 1;
}

static int do_ready(void)
{
    const char *by = boot_option("by");
    static struct vsock vsock;

    if (by && strncmp(by, "connection", 10) == 0) {
        if (!vsock_open(&vsock, ANY_FEATURES))
            return 1;
        vsock_connect(&vsock, VSOCK_CID_HOST, HOST_PORT, CHUNK, WAIT_US);
    } else {
        port_out32(OSVM_PORT, OSVM_MILESTONE_READY);
    }
    delay_us(2 * WAIT_US);
    return 0;
}

static int do_sleep(void)
{
    for (unsigned i = 0; i < 2; i++) {
        uint32_t before = *interrupt_count(TIMER_VECTOR);

        apic_timer_once(TIMER_VECTOR, WAIT_US);
        while (*interrupt_count(TIMER_VECTOR) == before)
            cpu_halt_while(interrupt_count(TIMER_VECTOR), before);
    }
    return 0;
}

/* Returns how many pages of [begin, end) keep what is written to them. */
static uint64_t touch(uint64_t begin, uint64_t end)
{
    uint64_t kept = 0;

    for (uint64_t at = begin; at < end; at += PAGE_SIZE) {
        volatile uint64_t *word = (uint64_t *)at;

        *word = ~at;
        kept += *word == ~at;
    }
    return kept;
}

static int do_memory(void)
{
    uint64_t end = boot_option_number("mem", 0) * MIB;

    report(touch(FIRST_OWN, end) == (end - FIRST_OWN) / PAGE_SIZE, "all of its memory is there");
    report(touch(end, end + BEHIND) == 0, "behind it there is none");
    return report_summary();
}

static int do_memory_later(void)
{
    printf("READY\n");
    for (;;)
        touch(FIRST_OWN, 2 * FIRST_OWN);
    return 1;
}

static int do_disk(void)
{
    uint8_t *bytes = calloc(1, CHUNK);
    struct block block;
    uint64_t bad = 0;

    if (!report(block_open(&block, 0, ANY_FEATURES), "there is a disk"))
        return report_summary();
    for (uint64_t at = 0; at < block.sectors; at += CHUNK / BLOCK_SECTOR)
        bad += block_write(&block, at, bytes, CHUNK) != BLOCK_OK;
    report(bad == 0, "all of it can be written");
    report(block_write(&block, block.sectors, bytes, CHUNK) == BLOCK_IO_ERROR, "nothing behind it");
    report(block_write(&block, block.sectors - 1, bytes, CHUNK) == BLOCK_IO_ERROR,
           "nor across its end");
    report(block_write(&block, UINT64_MAX / BLOCK_SECTOR, bytes, CHUNK) == BLOCK_IO_ERROR,
           "nor far behind it");
    return report_summary();
}

/* Frames through all devices, one way: what comes is taken and forgotten. */
static int stream(bool sends)
{
    static uint8_t frame[FRAME];
    static struct net nets[4];
    const struct net_header header = {0};
    unsigned count = (unsigned)boot_option_number("devices", 1);

    for (unsigned i = 0; i < count; i++) {
        if (!net_open(&nets[i], i, NET_WANTED))
            return 1;
    }
    printf("READY\n");
    for (;;) {
        for (unsigned i = 0; i < count; i++) {
            memset(frame, 0xff, 6);
            if (sends)
                net_send(&nets[i], &header, frame, FRAME);
            else
                net_receive(&nets[i], NULL, frame, FRAME);
        }
    }
    return 1;
}

static int do_send(void)
{
    return stream(true);
}

static int do_receive(void)
{
    return stream(false);
}

static int do_files(void)
{
    static struct vsock vsock;
    unsigned opened = 0;

    if (!vsock_open(&vsock, ANY_FEATURES))
        return 1;
    for (unsigned i = 0; i < CONNECTIONS; i++)
        opened += vsock_connect(&vsock, VSOCK_CID_HOST, HOST_PORT, 4096, WAIT_US) != NULL;
    printf("opened %u of %u\nREADY\n", opened, CONNECTIONS);
    for (;;)
        vsock_wait(&vsock, WAIT_US);
    return 1;
}

int main(void)
{
    static const struct {
        const char *word;
        int (*act)(void);
    } acts[] = {
        {"spin", do_spin},   {"idle", do_idle},     {"ready", do_ready},
        {"sleep", do_sleep}, {"memory", do_memory}, {"memory-later", do_memory_later},
        {"disk", do_disk},   {"send", do_send},     {"receive", do_receive},
        {"files", do_files},
    };
    const char *what = boot_option("do");

    for (unsigned i = 0; what && i < sizeof(acts) / sizeof(acts[0]); i++) {
        size_t len = strlen(acts[i].word);

        if (strncmp(what, acts[i].word, len) == 0 && (what[len] == '\0' || what[len] == ' '))
            return acts[i].act();
    }
    printf("do= what?\n");
    return 2;
}
