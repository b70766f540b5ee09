/* guest/board/pit.h. A row is a script against a clock that the test moves by PIT ticks. */
#include "unit.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest/board/pit.h"

/* The device's clock, moved by whole PIT ticks, each time a trifle more, so that no rounding
 * decides a test. */
static uint64_t clock_ns;
#define START_NS NS_PER_SEC

static uint64_t fake_now(void)
{
    return clock_ns;
}

static void pass(uint64_t ticks)
{
    clock_ns += (ticks * NS_PER_SEC + PIT_FREQUENCY_HZ - 1) / PIT_FREQUENCY_HZ;
}

enum step_kind { STEP_END, STEP_OUT, STEP_IN, STEP_PASS };

struct step {
    enum step_kind kind;
    uint16_t port;
    uint64_t value;
};

#define STEP(...)   \
    {               \
        __VA_ARGS__ \
    }
#define OUT(p, v) STEP(STEP_OUT, p, v)
#define IN(p, v)  STEP(STEP_IN, p, v)
/* So many ticks pass. */
#define PASS(n) STEP(STEP_PASS, 0, n)

/* Channel 2, low and high byte, in each mode; its gate by port 0x61; its output, gate high. */
#define MODE(m)   OUT(0x43, 0xb0 | (m) << 1)
#define COUNT(n)  OUT(0x42, (n)&0xff), OUT(0x42, (n) >> 8)
#define READ(n)   IN(0x42, (n)&0xff), IN(0x42, (n) >> 8)
#define GATE(g)   OUT(0x61, g)
#define HIGH      STEP(STEP_IN, 0x61, 0x21)
#define LOW       STEP(STEP_IN, 0x61, 0x01)
#define MAX_STEPS 32

struct row {
    const char *name;
    struct step steps[MAX_STEPS];
};

static const struct row rows[] = {
    /* As it starts. */
    {"channel 0 counts from 65536 by twos at the start",
     {PASS(10), IN(0x40, 0xec), IN(0x40, 0xff)}},
    {"status at the start: mode 3, both bytes, out", {OUT(0x43, 0xe2), IN(0x40, 0xb6)}},
    {"gate 2 is low at the start", {IN(0x61, 0x20)}},
    {"the control port reads all ones", {IN(0x43, 0xff)}},

    /* Modes. */
    {"mode 0: low until the count is over",
     {GATE(1), MODE(0), LOW, COUNT(100), LOW, PASS(99), LOW, PASS(1), HIGH, PASS(100000), HIGH}},
    {"mode 0: counts down and wraps",
     {GATE(1), MODE(0), COUNT(0x1234), PASS(4), READ(0x1230), PASS(0x1230), READ(0), PASS(1),
      READ(0xffff)}},
    {"mode 0: a new count begins anew",
     {GATE(1), MODE(0), COUNT(10), PASS(20), HIGH, COUNT(10), LOW, PASS(10), HIGH}},
    {"mode 0: the first byte stops it",
     {GATE(1), MODE(0), COUNT(10), PASS(5), OUT(0x42, 10), PASS(50), LOW, OUT(0x42, 0), LOW,
      PASS(10), HIGH}},
    {"mode 0: a low gate holds the count",
     {GATE(1), MODE(0), COUNT(100), PASS(40), GATE(0), PASS(1000), READ(60), GATE(1), READ(60),
      PASS(59), LOW, PASS(1), HIGH}},
    {"mode 0: a count written with the gate low waits",
     {GATE(0), MODE(0), COUNT(100), PASS(1000), READ(100), GATE(1), PASS(99), LOW, PASS(1), HIGH}},
    {"mode 1: waits for the gate's edge",
     {GATE(0), MODE(1), COUNT(10), PASS(100), IN(0x61, 0x20), GATE(1), LOW, PASS(9), LOW, PASS(1),
      HIGH}},
    {"mode 1: a new edge begins anew",
     {GATE(0), MODE(1), COUNT(10), GATE(1), PASS(8), GATE(0), IN(0x61, 0x00), GATE(1), PASS(8), LOW,
      PASS(2), HIGH}},
    {"mode 1: a gate that stays high starts nothing", {GATE(1), MODE(1), COUNT(10), PASS(5), HIGH}},
    {"mode 1: a new count waits for the next edge",
     {GATE(0), MODE(1), COUNT(10), GATE(1), COUNT(50), PASS(10), HIGH, GATE(0), GATE(1), PASS(49),
      LOW, PASS(1), HIGH}},
    {"mode 2: low for the last tick of each period",
     {GATE(1), MODE(2), HIGH, COUNT(10), HIGH, PASS(8), HIGH, PASS(1), LOW, PASS(1), HIGH, PASS(9),
      LOW, PASS(1), HIGH}},
    {"mode 2: counts from n to 1",
     {GATE(1), MODE(2), COUNT(10), READ(10), PASS(9), READ(1), PASS(1), READ(10)}},
    {"mode 2: a low gate forces it high, its edge begins anew",
     {GATE(1), MODE(2), COUNT(10), PASS(9), LOW, GATE(0), IN(0x61, 0x20), PASS(100), IN(0x61, 0x20),
      GATE(1), READ(10), PASS(9), LOW}},
    {"mode 3: half and half",
     {GATE(1), MODE(3), COUNT(10), HIGH, PASS(4), HIGH, PASS(1), LOW, PASS(4), LOW, PASS(1), HIGH}},
    {"mode 3: an odd count is longer high",
     {GATE(1), MODE(3), COUNT(5), PASS(2), HIGH, PASS(1), LOW, PASS(1), LOW, PASS(1), HIGH}},
    {"mode 3: counts by twos",
     {GATE(1), MODE(3), COUNT(100), PASS(10), READ(80), PASS(40), READ(100)}},
    {"mode 3: a low gate forces it high",
     {GATE(1), MODE(3), COUNT(10), PASS(7), LOW, GATE(0), IN(0x61, 0x20)}},
    {"mode 4: low for one tick",
     {GATE(1), MODE(4), HIGH, COUNT(10), PASS(9), HIGH, PASS(1), LOW, PASS(1), HIGH, PASS(65535),
      HIGH}},
    {"mode 4: a low gate holds the count",
     {GATE(1), MODE(4), COUNT(10), PASS(4), GATE(0), PASS(50), GATE(1), PASS(5), HIGH, PASS(1),
      LOW}},
    {"mode 5: the gate's edge, then low for one tick",
     {GATE(0), MODE(5), COUNT(10), PASS(50), IN(0x61, 0x20), GATE(1), PASS(9), HIGH, PASS(1), LOW,
      PASS(1), HIGH}},
    {"mode 6 is mode 2",
     {GATE(1), MODE(6), COUNT(10), PASS(9), LOW, OUT(0x43, 0xe8), IN(0x42, 0x34)}},
    {"mode 7 is mode 3",
     {GATE(1), MODE(7), COUNT(10), PASS(5), LOW, OUT(0x43, 0xe8), IN(0x42, 0x36)}},
    {"a count of 0 is 65536",
     {GATE(1), MODE(0), COUNT(0), PASS(65535), LOW, READ(1), PASS(1), HIGH, READ(0)}},
    {"mode 2 with a count of 1 divides by nothing", {GATE(1), MODE(2), COUNT(1), PASS(7), READ(1)}},
    {"mode 3 with a count of 1 divides by nothing", {GATE(1), MODE(3), COUNT(1), PASS(7), READ(0)}},

    /* BCD. */
    {"BCD counts in decimal",
     {GATE(1), OUT(0x43, 0xb1), COUNT(0x1000), PASS(1), READ(0x0999), PASS(999), READ(0), PASS(1),
      READ(0x9999)}},
    {"BCD 0 is 10000", {GATE(1), OUT(0x43, 0xb1), COUNT(0), PASS(9999), LOW, PASS(1), HIGH}},
    {"BCD with digits over 9 is no more than 10000",
     {GATE(1), OUT(0x43, 0xb5), COUNT(0xffff), READ(0), PASS(1), READ(0x9999)}},

    /* Halves, latches, status. */
    {"low byte only",
     {GATE(1), OUT(0x43, 0x90), OUT(0x42, 0x80), PASS(1), IN(0x42, 0x7f), PASS(1), IN(0x42, 0x7e)}},
    {"high byte only",
     {GATE(1), OUT(0x43, 0xa0), OUT(0x42, 0x12), PASS(1), IN(0x42, 0x11), IN(0x42, 0x11)}},
    {"a latched count stands until both bytes are read",
     {GATE(1), MODE(0), COUNT(0x1234), OUT(0x43, 0x80), PASS(0x100), IN(0x42, 0x34), IN(0x42, 0x12),
      READ(0x1134)}},
    {"a second latch does not replace the first",
     {GATE(1), MODE(0), COUNT(0x1234), OUT(0x43, 0x80), PASS(0x100), OUT(0x43, 0x80),
      READ(0x1234)}},
    {"one latched byte is enough for one-byte access",
     {GATE(1), OUT(0x43, 0x90), OUT(0x42, 0x80), OUT(0x43, 0x80), PASS(1), IN(0x42, 0x80),
      IN(0x42, 0x7f)}},
    {"latching one channel leaves the others",
     {GATE(1), MODE(0), COUNT(0x1234), OUT(0x43, 0x40), PASS(4), READ(0x1230)}},
    {"read-back of a count",
     {GATE(1), MODE(0), COUNT(0x1234), OUT(0x43, 0xd8), PASS(5), READ(0x1234), READ(0x122f)}},
    {"read-back of status: null count until it is written",
     {GATE(1), MODE(0), OUT(0x43, 0xe8), IN(0x42, 0x70), COUNT(9), OUT(0x43, 0xe8), IN(0x42, 0x30),
      PASS(9), OUT(0x43, 0xe8), IN(0x42, 0xb0)}},
    {"read-back of status: null count in mode 1 until the edge",
     {GATE(0), MODE(1), COUNT(9), OUT(0x43, 0xe8), IN(0x42, 0xf2), GATE(1), OUT(0x43, 0xe8),
      IN(0x42, 0x32)}},
    {"read-back of both: status first",
     {GATE(1), MODE(0), COUNT(0x1234), OUT(0x43, 0xc8), PASS(9), IN(0x42, 0x30), READ(0x1234)}},
    {"read-back of several channels",
     {OUT(0x43, 0x30), OUT(0x40, 7), OUT(0x40, 0), GATE(1), MODE(0), COUNT(9), OUT(0x43, 0xda),
      PASS(3), READ(9), IN(0x40, 7), IN(0x40, 0)}},
    {"read-back of no channel does nothing",
     {GATE(1), MODE(0), COUNT(9), OUT(0x43, 0xc0), PASS(3), READ(6)}},
    {"a control word forgets half a count",
     {GATE(1), MODE(0), OUT(0x42, 0x55), MODE(0), COUNT(0x0102), READ(0x0102)}},

    /* Port 0x61. */
    {"0x61 keeps its low four bits", {OUT(0x61, 0xfe), IN(0x61, 0x2e)}},
};

struct fixture {
    struct loop *loop;
    struct pit pit;
};

static void build(struct fixture *f)
{
    struct irq_line irq = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

    clock_ns = START_NS;
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(pit_init(&f->pit, f->loop, irq), 0);
}

static void destroy(struct fixture *f)
{
    pit_destroy(&f->pit);
    loop_destroy(f->loop);
}

static struct bus_range *range_of(struct pit *pit, uint16_t port)
{
    return port == 0x61 ? &pit->control_range : &pit->range;
}

static uint8_t in(struct pit *pit, uint16_t port)
{
    struct bus_range *range = range_of(pit, port);
    uint8_t value = 0;

    range->ops->read(range, port - range->base, &value, 1);
    if (port == 0x61)
        value &= 0xef; /* the refresh bit is a clock of its own */
    return value;
}

static void out(struct pit *pit, uint16_t port, uint8_t value)
{
    struct bus_range *range = range_of(pit, port);

    range->ops->write(range, port - range->base, &value, 1);
}

/* The device's real clock started before the test's took over: begin with both at one time. */
static void take_clock(struct pit *pit)
{
    pit->now_ns = fake_now;
    for (unsigned i = 0; i < PIT_CHANNELS; i++)
        pit->channels[i].start_ns = fake_now();
}

static void test_script(void **state)
{
    const struct row *row = *state;
    struct fixture f;

    build(&f);
    take_clock(&f.pit);
    for (size_t i = 0; i < MAX_STEPS && row->steps[i].kind != STEP_END; i++) {
        const struct step *step = &row->steps[i];
        uint8_t found;

        switch (step->kind) {
        case STEP_OUT:
            out(&f.pit, step->port, (uint8_t)step->value);
            break;
        case STEP_IN:
            found = in(&f.pit, step->port);
            if (found != (uint8_t)step->value)
                fail_msg("step %zu: found %#x, expected %#x", i + 1, found, (unsigned)step->value);
            break;
        default:
            pass(step->value);
            break;
        }
    }
    destroy(&f);
}

static void test_refresh(void **state)
{
    struct fixture f;
    unsigned changes = 0;
    uint8_t before = 0;

    (void)state;
    build(&f);
    take_clock(&f.pit);
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t value;

        pass(9); /* half a refresh interval */
        f.pit.control_range.ops->read(&f.pit.control_range, 0, &value, 1);
        changes += (value ^ before) >> 4 & 1;
        before = value;
    }
    assert_in_range(changes, 490, 510);
    destroy(&f);
}

static void test_wide(void **state)
{
    struct fixture f;
    const uint8_t word[2] = {0x34, 0x12}; /* channel 2's low byte; channel 0: low byte, mode 1 */
    uint8_t read[4];

    (void)state;
    build(&f);
    take_clock(&f.pit);
    out(&f.pit, 0x61, 1);
    out(&f.pit, 0x43, 0xb0);
    f.pit.range.ops->write(&f.pit.range, 2, word, 2);
    f.pit.range.ops->read(&f.pit.range, 0, read, 4);
    assert_int_equal(read[3], 0xff);
    out(&f.pit, 0x42, 0x12);
    out(&f.pit, 0x43, 0xca); /* read back count and status of 2, status of 0 */
    assert_int_equal(in(&f.pit, 0x40), 0xd2);
    assert_int_equal(in(&f.pit, 0x42), 0x30);
    assert_int_equal(in(&f.pit, 0x42), 0x12); /* the wide read took the low byte's turn */
    destroy(&f);
}

/* Interrupts, by the real clock. */
struct tick_row {
    const char *name;
    uint8_t control;
    uint16_t count;
    unsigned least, most; /* edges within 50 ms */
};

static const struct tick_row ticks[] = {
    {"mode 0 raises once", 0x30, 1193, 1, 1},
    {"mode 1 raises nothing on channel 0", 0x32, 1193, 0, 0},
    {"mode 2 repeats", 0x34, 5966, 2, 10}, /* each 5 ms; a busy machine may lose some */
    {"mode 3 repeats", 0x36, 5966, 2, 10},
    {"mode 4 raises once", 0x38, 1193, 1, 1},
    {"mode 5 raises nothing on channel 0", 0x3a, 1193, 0, 0},
    {"a longer count has not come yet", 0x30, 0, 0, 0}, /* 65536 is 54.9 ms */
    {"the shortest period is held to the floor", 0x34, 1, 2, 50 * NS_PER_MS / PIT_MIN_PERIOD_NS},
};

struct stop {
    struct loop_timer timer;
    struct loop *loop;
};

static void on_stop(struct loop_timer *timer)
{
    loop_stop(container_of(timer, struct stop, timer)->loop);
}

static uint64_t edges_within(struct fixture *f, uint64_t ms)
{
    struct stop stop = {.timer.callback = on_stop, .loop = f->loop};
    uint64_t edges = 0;

    assert_int_equal(loop_timer_add(f->loop, &stop.timer), 0);
    loop_timer_arm(&stop.timer, ms * NS_PER_MS, 0);
    assert_int_equal(loop_run(f->loop), 0);
    loop_timer_remove(f->loop, &stop.timer);
    if (read(f->pit.irq.fd, &edges, sizeof(edges)) < 0)
        return 0;
    return edges;
}

static void program(struct fixture *f, uint8_t control, uint16_t count)
{
    out(&f->pit, 0x43, control);
    out(&f->pit, 0x40, (uint8_t)count);
    out(&f->pit, 0x40, (uint8_t)(count >> 8));
}

static void test_tick(void **state)
{
    const struct tick_row *row = *state;
    struct fixture f;

    build(&f);
    program(&f, row->control, row->count);
    assert_in_range(edges_within(&f, 50), row->least, row->most);
    destroy(&f);
}

static void test_silent_until_programmed(void **state)
{
    struct fixture f;

    (void)state;
    build(&f);
    assert_int_equal(edges_within(&f, 80), 0);
    destroy(&f);
}

static void test_control_word_ends_ticks(void **state)
{
    struct fixture f;

    (void)state;
    build(&f);
    program(&f, 0x34, 5966);
    out(&f.pit, 0x43, 0x30);
    assert_int_equal(edges_within(&f, 30), 0);
    destroy(&f);
}

static void test_half_a_count_holds_mode_0(void **state)
{
    struct fixture f;

    (void)state;
    build(&f);
    program(&f, 0x30, 5966);
    out(&f.pit, 0x40, 0x10);
    assert_int_equal(edges_within(&f, 30), 0);
    destroy(&f);
}

static void test_other_channels_raise_nothing(void **state)
{
    struct fixture f;

    (void)state;
    build(&f);
    out(&f.pit, 0x61, 1);
    out(&f.pit, 0x43, 0x74);
    out(&f.pit, 0x41, 0x10);
    out(&f.pit, 0x41, 0x10);
    out(&f.pit, 0x43, 0xb4);
    out(&f.pit, 0x42, 0x10);
    out(&f.pit, 0x42, 0x10);
    assert_int_equal(edges_within(&f, 30), 0);
    destroy(&f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_script);
    unit_add(&unit, "the refresh bit toggles", test_refresh, NULL);
    unit_add(&unit, "a wide access is bytes in sequence", test_wide, NULL);
    unit_add_rows(&unit, ticks, test_tick);
    unit_add(&unit, "silent until it is programmed", test_silent_until_programmed, NULL);
    unit_add(&unit, "a control word ends the ticks", test_control_word_ends_ticks, NULL);
    unit_add(&unit, "half a count holds mode 0", test_half_a_count_holds_mode_0, NULL);
    unit_add(&unit, "channels 1 and 2 raise nothing", test_other_channels_raise_nothing, NULL);
    return unit_run(&unit, "pit");
}
