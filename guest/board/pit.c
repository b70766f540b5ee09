#include "guest/board/pit.h"

#include "base/util.h"
#include "guest/layout.h"

/* Intel 8254 data sheet (231164-005), "Programming the 8254": figures 7, 10, 11 and 12. */
#define PIT_PORT_CONTROL 3
#define CHANNEL_SPEAKER  2

#define CONTROL_CHANNEL(value) ((value) >> 6)
#define CONTROL_ACCESS(value)  (((value) >> 4) & 3)
#define CONTROL_MODE(value)    (((value) >> 1) & 7)
#define CONTROL_BCD            0x01
#define CONTROL_READ_BACK      3 /* in the channel's place */

enum { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };

#define READ_BACK_NOT_COUNT  0x20
#define READ_BACK_NOT_STATUS 0x10
#define READ_BACK_CHANNEL(i) (0x02 << (i))

#define STATUS_OUT  0x80
#define STATUS_NULL 0x40

#define MAX_COUNT     0x10000
#define MAX_COUNT_BCD 10000

/* Port 0x61: Intel ICH9 data sheet, section 13.7.1, NMI_SC. */
#define SYSTEM_GATE2        0x01
#define SYSTEM_WRITABLE     0x0f
#define SYSTEM_REFRESH      0x10
#define SYSTEM_OUT2         0x20
#define REFRESH_INTERVAL_NS 15085 /* channel 1 divides by 18 on a PC */

/* What starts a mode, and what a low gate does to it: data sheet, "Mode definitions", figure 21. */
static bool mode_waits_for_trigger(uint8_t mode)
{
    return mode == 1 || mode == 5;
}

static bool mode_repeats(uint8_t mode)
{
    return mode == 2 || mode == 3;
}

static uint64_t elapsed_ticks(const struct pit_channel *channel, uint64_t now)
{
    uint64_t ns = channel->running ? now - channel->start_ns : channel->held_ns;

    return (uint64_t)((unsigned __int128)ns * PIT_FREQUENCY_HZ / NS_PER_SEC);
}

/* Rounded up, so that the counter has arrived when the time is over. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
    return (ticks * NS_PER_SEC + PIT_FREQUENCY_HZ - 1) / PIT_FREQUENCY_HZ;
}

static bool channel_out(const struct pit_channel *channel, uint64_t now)
{
    uint64_t ticks, count = channel->count;

    if (!channel->loaded)
        return channel->mode != 0;
    ticks = elapsed_ticks(channel, now);
    switch (channel->mode) {
    case 0:
    case 1:
        return ticks >= count;
    case 2:
        return !channel->running || ticks % count != count - 1;
    case 3:
        return !channel->running || ticks % count < (count + 1) / 2;
    default:
        return ticks != count;
    }
}

static uint16_t to_bcd(uint32_t value)
{
    return (uint16_t)(value / 1000 % 10 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 |
                      value % 10);
}

/* What the counter holds, as it is read. */
static uint16_t channel_count(const struct pit_channel *channel, uint64_t now)
{
    uint64_t ticks = elapsed_ticks(channel, now);
    uint32_t wrap = channel->bcd ? MAX_COUNT_BCD : MAX_COUNT;
    uint32_t count = channel->count, value;

    if (!channel->loaded)
        value = count;
    else if (channel->mode == 2)
        value = count - (uint32_t)(ticks % count);
    else if (channel->mode == 3)
        value = (count - (uint32_t)(ticks * 2 % count)) & ~1U; /* counts by twos */
    else
        value = (uint32_t)(count + wrap - ticks % wrap);
    value %= wrap;
    return channel->bcd ? to_bcd(value) : (uint16_t)value;
}

static uint8_t channel_status(const struct pit_channel *channel, uint64_t now)
{
    return (channel_out(channel, now) ? STATUS_OUT : 0) | (channel->null_count ? STATUS_NULL : 0) |
           (uint8_t)(channel->access << 4) | (uint8_t)(channel->mode << 1) |
           (channel->bcd ? CONTROL_BCD : 0);
}

/* Begin to count from what was written. */
static void channel_start(struct pit_channel *channel, uint64_t now)
{
    channel->count = channel->written;
    channel->loaded = true;
    channel->null_count = false;
    channel->start_ns = now;
    channel->held_ns = 0;
    channel->running = channel->gate || mode_waits_for_trigger(channel->mode);
}

static void channel_set_gate(struct pit_channel *channel, bool gate, uint64_t now)
{
    if (channel->gate == gate)
        return;
    channel->gate = gate;
    if (mode_waits_for_trigger(channel->mode)) {
        if (gate && channel->written)
            channel_start(channel, now);
    } else if (!channel->loaded) {
        return;
    } else if (!gate) {
        channel->held_ns = now - channel->start_ns;
        channel->running = false;
    } else if (mode_repeats(channel->mode)) {
        channel_start(channel, now);
    } else {
        channel->start_ns = now - channel->held_ns;
        channel->running = true;
    }
}

/* Let channel 0's interrupts follow its state: a rising edge of its output is one. */
static void arm_interrupt(struct pit *pit)
{
    const struct pit_channel *channel = &pit->channels[0];
    uint64_t period_ns = ticks_to_ns(channel->count);

    if (!channel->loaded || mode_waits_for_trigger(channel->mode)) {
        loop_timer_disarm(&pit->timer); /* channel 0's gate is tied high: no trigger ever comes */
    } else if (mode_repeats(channel->mode)) {
        period_ns = max_u64(period_ns, PIT_MIN_PERIOD_NS);
        loop_timer_arm(&pit->timer, period_ns, period_ns);
    } else {
        loop_timer_arm(&pit->timer, period_ns, 0);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct pit *pit = container_of(timer, struct pit, timer);

    irq_line_pulse(&pit->irq);
}

static uint32_t from_bcd(uint16_t value)
{
    return (value >> 12) * 1000U + (value >> 8 & 0xf) * 100U + (value >> 4 & 0xf) * 10U +
           (value & 0xf);
}

/* A whole count was written. 0 stands for the largest one: data sheet, figure 20. */
static void set_count(struct pit *pit, struct pit_channel *channel, uint16_t value)
{
    uint32_t most = channel->bcd ? MAX_COUNT_BCD : MAX_COUNT;
    uint32_t count = channel->bcd ? from_bcd(value) : value;

    /* Digits over 9 could make more than the largest count. */
    channel->written = count == 0 || count > most ? most : count;
    channel->null_count = true;
    if (mode_waits_for_trigger(channel->mode))
        return;
    channel_start(channel, pit->now_ns());
    if (channel == &pit->channels[0])
        arm_interrupt(pit);
}

static void write_count(struct pit *pit, struct pit_channel *channel, uint8_t value)
{
    switch (channel->access) {
    case ACCESS_LOW:
        set_count(pit, channel, value);
        return;
    case ACCESS_HIGH:
        set_count(pit, channel, (uint16_t)(value << 8));
        return;
    default:
        break;
    }
    channel->write_high_next = !channel->write_high_next;
    if (!channel->write_high_next) {
        set_count(pit, channel, (uint16_t)(value << 8 | channel->write_low));
        return;
    }
    channel->write_low = value;
    if (channel->mode == 0) { /* the first byte stops the count, "Mode 0" */
        channel->loaded = false;
        if (channel == &pit->channels[0])
            loop_timer_disarm(&pit->timer);
    }
}

static uint8_t read_half(struct pit_channel *channel, uint16_t count, bool *ret_last)
{
    bool high = channel->access == ACCESS_HIGH;

    *ret_last = true;
    if (channel->access == ACCESS_BOTH) {
        high = channel->read_high_next;
        channel->read_high_next = !high;
        *ret_last = high;
    }
    return (uint8_t)(high ? count >> 8 : count);
}

static uint8_t read_count(struct pit *pit, struct pit_channel *channel)
{
    uint8_t value;
    bool last;

    if (channel->status_latched) {
        channel->status_latched = false;
        return channel->latched_status;
    }
    if (!channel->count_latched)
        return read_half(channel, channel_count(channel, pit->now_ns()), &last);
    value = read_half(channel, channel->latched_count, &last);
    channel->count_latched = !last;
    return value;
}

/* What is latched already stays until it is read: data sheet, "Counter latch command". */
static void latch_count(struct pit *pit, struct pit_channel *channel)
{
    if (channel->count_latched)
        return;
    channel->latched_count = channel_count(channel, pit->now_ns());
    channel->count_latched = true;
}

static void latch_status(struct pit *pit, struct pit_channel *channel)
{
    if (channel->status_latched)
        return;
    channel->latched_status = channel_status(channel, pit->now_ns());
    channel->status_latched = true;
}

static void read_back(struct pit *pit, uint8_t command)
{
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        if (!(command & READ_BACK_CHANNEL(i)))
            continue;
        if (!(command & READ_BACK_NOT_COUNT))
            latch_count(pit, &pit->channels[i]);
        if (!(command & READ_BACK_NOT_STATUS))
            latch_status(pit, &pit->channels[i]);
    }
}

static void program_channel(struct pit *pit, struct pit_channel *channel, uint8_t command)
{
    uint8_t mode = CONTROL_MODE(command);

    *channel = (struct pit_channel){
        .count = channel->count, /* what a read finds until a new one is written */
        .mode = mode > 5 ? mode - 4 : mode,
        .access = CONTROL_ACCESS(command),
        .bcd = command & CONTROL_BCD,
        .gate = channel->gate,
        .null_count = true,
    };
    if (channel == &pit->channels[0])
        loop_timer_disarm(&pit->timer);
}

static void write_control(struct pit *pit, uint8_t value)
{
    unsigned number = CONTROL_CHANNEL(value);

    if (number == CONTROL_READ_BACK)
        read_back(pit, value);
    else if (CONTROL_ACCESS(value) == ACCESS_LATCH)
        latch_count(pit, &pit->channels[number]);
    else
        program_channel(pit, &pit->channels[number], value);
}

static void pit_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct pit *pit = container_of(range, struct pit, range);
    uint8_t *bytes = data;

    pthread_mutex_lock(&pit->lock);
    for (unsigned i = 0; i < len; i++) {
        uint64_t port = offset + i;

        /* The control word register cannot be read: data sheet, figure 6. */
        bytes[i] = port == PIT_PORT_CONTROL ? 0xff : read_count(pit, &pit->channels[port]);
    }
    pthread_mutex_unlock(&pit->lock);
}

static void pit_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct pit *pit = container_of(range, struct pit, range);
    const uint8_t *bytes = data;

    pthread_mutex_lock(&pit->lock);
    for (unsigned i = 0; i < len; i++) {
        uint64_t port = offset + i;

        if (port == PIT_PORT_CONTROL)
            write_control(pit, bytes[i]);
        else
            write_count(pit, &pit->channels[port], bytes[i]);
    }
    pthread_mutex_unlock(&pit->lock);
}

static void system_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct pit *pit = container_of(range, struct pit, control_range);
    uint8_t value;
    uint64_t now;

    (void)offset, (void)len; /* the range is one byte */
    pthread_mutex_lock(&pit->lock);
    now = pit->now_ns();
    value = pit->control;
    if (now / REFRESH_INTERVAL_NS % 2)
        value |= SYSTEM_REFRESH;
    if (channel_out(&pit->channels[CHANNEL_SPEAKER], now))
        value |= SYSTEM_OUT2;
    pthread_mutex_unlock(&pit->lock);
    *(uint8_t *)data = value;
}

static void system_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct pit *pit = container_of(range, struct pit, control_range);
    uint8_t value = *(const uint8_t *)data;

    (void)offset, (void)len;
    pthread_mutex_lock(&pit->lock);
    pit->control = value & SYSTEM_WRITABLE;
    channel_set_gate(&pit->channels[CHANNEL_SPEAKER], value & SYSTEM_GATE2, pit->now_ns());
    pthread_mutex_unlock(&pit->lock);
}

static const struct bus_ops pit_ops = {.read = pit_read, .write = pit_write};
static const struct bus_ops system_ops = {.read = system_read, .write = system_write};

static void set_firmware_state(struct pit *pit)
{
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        struct pit_channel *channel = &pit->channels[i];

        *channel = (struct pit_channel){
            .written = MAX_COUNT,
            .mode = 3,
            .access = ACCESS_BOTH,
            .gate = i != CHANNEL_SPEAKER,
        };
        channel_start(channel, pit->now_ns());
    }
}

int pit_init(struct pit *pit, struct loop *loop, struct irq_line irq)
{
    int r;

    *pit = (struct pit){
        .range = {.base = PORT_PIT, .size = 4, .ops = &pit_ops, .name = "PIT"},
        .control_range = {.base = PORT_SYSTEM_CONTROL,
                          .size = 1,
                          .ops = &system_ops,
                          .name = "system control"},
        .irq = irq,
        .loop = loop,
        .timer = {.callback = on_timer},
        .now_ns = clock_monotonic_ns,
    };
    r = loop_timer_add(loop, &pit->timer);
    if (r < 0)
        return r;
    pthread_mutex_init(&pit->lock, NULL);
    set_firmware_state(pit);
    return 0;
}

void pit_destroy(struct pit *pit)
{
    loop_timer_remove(pit->loop, &pit->timer);
    irq_line_destroy(&pit->irq);
    pthread_mutex_destroy(&pit->lock);
}
