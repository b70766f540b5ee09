/*
 * The virtio console through its rings: `mode=echo` (the default) sends back what comes, until a
 * "q" has come; `mode=flood lines=N` sends N numbered lines; `mode=size` says each size of the
 * window
 * ("80x25"), until "q". "READY" on it (not on the serial port) says that it listens.
 */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/report.h"
#include "sdk/string.h"
#include "sdk/virtio.h"

#define RX          0
#define TX          1
#define SIZE_F      (UINT64_C(1) << 0) /* virtio 1.2, section 5.3.3 */
#define CONFIG_COLS 0
#define CONFIG_ROWS 2
#define INPUTS      4
#define INPUT_SIZE  256
#define LIMIT_US    20000000
#define PAGE        4096

static struct virtio_dev *dev;
static uint8_t input[INPUTS][INPUT_SIZE], output[PAGE];

static void offer(uint8_t *buffer)
{
    struct virtio_buffer b = {.data = buffer, .length = INPUT_SIZE};

    virtio_queue_add(&dev->queues[RX], &b, 0, 1, buffer);
    virtio_queue_kick(&dev->queues[RX]);
}

/* Send, and wait until the host has taken it. */
static bool send(const void *bytes, uint32_t length)
{
    struct virtio_queue *q = &dev->queues[TX];
    struct virtio_buffer b = {.data = output, .length = length};

    memcpy(output, bytes, length);
    if (!virtio_queue_add(q, &b, 1, 0, output))
        return false;
    virtio_queue_kick(q);
    return virtio_queue_wait(q, LIMIT_US) && virtio_queue_take(q, NULL) == output;
}

static bool send_text(const char *text)
{
    return send(text, (uint32_t)strlen(text));
}

/* Take what has come, send it back where `echo`. Returns false once a "q" was in it. */
static bool take_input(bool echo)
{
    bool going_on = true;
    uint32_t length;
    uint8_t *buffer;

    while ((buffer = virtio_queue_take(&dev->queues[RX], &length))) {
        if (echo)
            send(buffer, length);
        for (uint32_t i = 0; i < length; i++)
            going_on = going_on && buffer[i] != 'q';
        offer(buffer);
    }
    return going_on;
}

static void say_size(void)
{
    static uint32_t said = UINT32_MAX;
    uint32_t cols = virtio_config16(dev, CONFIG_COLS), rows = virtio_config16(dev, CONFIG_ROWS);
    char line[32];

    if (said == (cols << 16 | rows))
        return;
    said = cols << 16 | rows;
    snprintf(line, sizeof(line), "%ux%u\n", cols, rows);
    send_text(line);
}

static void talk(bool echo, bool size)
{
    for (;;) {
        uint32_t seen = virtio_events();

        if (size)
            say_size();
        if (!take_input(echo))
            return;
        if (!virtio_queue_listen(&dev->queues[RX]))
            virtio_events_wait(seen, LIMIT_US);
    }
}

static bool flood(unsigned lines)
{
    char text[PAGE];
    uint32_t length = 0;

    for (unsigned i = 0; i < lines; i++) {
        length += (uint32_t)snprintf(text + length, 16, "line %06u\n", i);
        if (length > PAGE - 16 || i + 1 == lines) {
            if (!send(text, length))
                return false;
            length = 0;
        }
    }
    return true;
}

int main(void)
{
    const char *mode = boot_option("mode");
    bool size = mode && mode[0] == 's';

    dev = virtio_find(VIRTIO_ID_CONSOLE, 0);
    if (!report(dev && virtio_begin(dev, UINT64_MAX) && virtio_queues_create(dev, 2) &&
                    virtio_start(dev),
                "there is a device that starts"))
        return report_summary();
    printf("transport %s, features %lx of %lx\n", dev->transport->name, dev->features,
           dev->offered);
    for (unsigned i = 0; i < INPUTS; i++)
        offer(input[i]);
    report(send_text("READY\n"), "what is sent is taken");
    if (mode && mode[0] == 'f')
        report(flood((unsigned)boot_option_number("lines", 1000)), "and much of it");
    else
        talk(!size, size);
    virtio_stop(dev);
    return report_summary();
}
