/* guest/board/osvm_port.h. */
#include "unit.h"

#include "base/clock.h"
#include "guest/board/osvm_port.h"
#include "power_spy.h"

static uint32_t get(struct osvm_port *port, uint64_t offset)
{
    uint32_t value = 0;

    port->range.ops->read(&port->range, offset, &value, 4);
    return value;
}

static void put(struct osvm_port *port, uint64_t offset, uint32_t value)
{
    port->range.ops->write(&port->range, offset, &value, 4);
}

static void test_identity(void **state)
{
    struct osvm_port port;

    (void)state;
    osvm_port_init(&port, 0, NULL);
    assert_int_equal(port.range.base, 0x700);
    assert_int_equal(port.range.size, 16);
    assert_int_equal(get(&port, 0), 0x4d56534f);
    assert_int_equal(get(&port, 4), 1);
}

struct exit_row {
    const char *name;
    uint32_t value;
    uint8_t status;
};

static const struct exit_row exits[] = {
    {"exit 0", 0, 0},
    {"exit 1", 1, 1},
    {"exit 255", 255, 255},
    {"exit keeps the low 8 bits", 0x1234, 0x34},
};

static void test_exit(void **state)
{
    const struct exit_row *row = *state;
    struct power_spy power = power_spy_new();
    struct osvm_port port;

    osvm_port_init(&port, 0, &power.sink);
    put(&port, OSVM_PORT_EXIT, row->value);
    assert_int_equal(power.calls, 1);
    assert_int_equal(power.event, POWER_EXIT);
    assert_int_equal(power.status, row->status);
}

static void test_milestones(void **state)
{
    uint64_t start = clock_monotonic_ns() - 5 * NS_PER_MS, first;
    struct osvm_port port;

    (void)state;
    osvm_port_init(&port, start, NULL);
    assert_int_equal(get(&port, OSVM_PORT_FIRST_INSTRUCTION), 0);
    assert_int_equal(osvm_port_milestone(&port, OSVM_MILESTONE_FIRST_INSTRUCTION), 0);
    put(&port, OSVM_PORT_MILESTONE, OSVM_MILESTONE_FIRST_INSTRUCTION);
    first = osvm_port_milestone(&port, OSVM_MILESTONE_FIRST_INSTRUCTION);
    assert_in_range(first, start + 5 * NS_PER_MS, clock_monotonic_ns());
    assert_int_equal(get(&port, OSVM_PORT_FIRST_INSTRUCTION), (first - start) / NS_PER_US);
    put(&port, OSVM_PORT_MILESTONE, OSVM_MILESTONE_FIRST_INSTRUCTION); /* the first counts */
    assert_int_equal(osvm_port_milestone(&port, OSVM_MILESTONE_FIRST_INSTRUCTION), first);
    assert_int_equal(osvm_port_milestone(&port, OSVM_MILESTONE_READY), 0);
    put(&port, OSVM_PORT_MILESTONE, OSVM_MILESTONE_READY);
    assert_true(osvm_port_milestone(&port, OSVM_MILESTONE_READY) >= first);
}

static void test_unknown_milestones(void **state)
{
    static const uint32_t values[] = {0, 3, 0x80000001, UINT32_MAX};
    struct osvm_port port;

    (void)state;
    osvm_port_init(&port, 0, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        put(&port, OSVM_PORT_MILESTONE, values[i]);
        assert_int_equal(osvm_port_milestone(&port, values[i]), 0);
    }
    assert_int_equal(osvm_port_milestone(&port, 1), 0);
    assert_int_equal(osvm_port_milestone(&port, 2), 0);
}

struct counting {
    struct milestone_observer observer;
    unsigned told[OSVM_MILESTONE_COUNT];
};

static void count_milestone(struct milestone_observer *observer, unsigned milestone)
{
    container_of(observer, struct counting, observer)->told[milestone]++;
}

static void test_observer_is_told_once(void **state)
{
    struct counting counting = {.observer.reached = count_milestone};
    struct osvm_port port;

    (void)state;
    osvm_port_init(&port, 0, NULL);
    port.observer = &counting.observer;
    for (unsigned i = 0; i < 3; i++) {
        put(&port, OSVM_PORT_MILESTONE, OSVM_MILESTONE_READY);
        put(&port, OSVM_PORT_MILESTONE, UINT32_MAX);
    }
    assert_int_equal(counting.told[OSVM_MILESTONE_READY], 1);
    assert_int_equal(counting.told[OSVM_MILESTONE_FIRST_INSTRUCTION], 0);
}

static void test_now(void **state)
{
    uint64_t start = clock_monotonic_ns() - NS_PER_SEC;
    struct osvm_port port;

    (void)state;
    osvm_port_init(&port, start, NULL);
    assert_in_range(get(&port, OSVM_PORT_NOW), 1000000, (clock_monotonic_ns() - start) / NS_PER_US);
}

static void test_now_stays_at_the_end(void **state)
{
    struct osvm_port port;

    (void)state;
    osvm_port_init(&port, clock_monotonic_ns() - (UINT64_C(1) << 33) * NS_PER_US, NULL);
    assert_int_equal(get(&port, OSVM_PORT_NOW), UINT32_MAX);
}

struct other_row {
    const char *name;
    uint64_t offset;
    unsigned len;
};

static const struct other_row others[] = {
    {"a byte", 0, 1},
    {"a word", 4, 2},
    {"eight bytes", 0, 8},
    {"unaligned", 2, 4},
    {"a byte of the exit", 4, 1},
    {"the last byte", 15, 1},
};

static void test_other(void **state)
{
    const struct other_row *row = *state;
    struct power_spy power = power_spy_new();
    const uint64_t one = 1;
    uint64_t value = 0;
    struct osvm_port port;

    osvm_port_init(&port, 0, &power.sink);
    port.range.ops->read(&port.range, row->offset, &value, row->len);
    assert_int_equal(value, UINT64_MAX >> (64 - 8 * row->len));
    port.range.ops->write(&port.range, row->offset, &one, row->len);
    assert_int_equal(power.calls, 0);
    assert_int_equal(osvm_port_milestone(&port, 1), 0);
}

static void test_read_only(void **state)
{
    struct power_spy power = power_spy_new();
    struct osvm_port port;

    (void)state;
    osvm_port_init(&port, 0, &power.sink);
    put(&port, OSVM_PORT_FIRST_INSTRUCTION, 1);
    put(&port, OSVM_PORT_NOW, 1);
    assert_int_equal(power.calls, 0);
    assert_int_equal(get(&port, OSVM_PORT_FIRST_INSTRUCTION), 0);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "signature and version", test_identity, NULL);
    unit_add_rows(&unit, exits, test_exit);
    unit_add(&unit, "milestones", test_milestones, NULL);
    unit_add(&unit, "unknown milestones", test_unknown_milestones, NULL);
    unit_add(&unit, "an observer is told of each once", test_observer_is_told_once, NULL);
    unit_add(&unit, "the time since the start", test_now, NULL);
    unit_add(&unit, "a time over 32 bits", test_now_stays_at_the_end, NULL);
    unit_add_rows(&unit, others, test_other);
    unit_add(&unit, "the times cannot be written", test_read_only, NULL);
    return unit_run(&unit, "osvm_port");
}
