#include "guest/board/osvm_port.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/util.h"
#include "guest/layout.h"

#define OSVM_PORT_WIDTH 4

static bool is_register(uint64_t offset, unsigned len)
{
    return len == OSVM_PORT_WIDTH && offset % OSVM_PORT_WIDTH == 0;
}

/* Microseconds from the start of the process to `ns`; what 32 bits do not hold stays at their end.
 */
static uint32_t since_start_us(const struct osvm_port *port, uint64_t ns)
{
    return (uint32_t)min_u64((ns - port->process_start_ns) / NS_PER_US, UINT32_MAX);
}

static void osvm_port_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct osvm_port *port = container_of(range, struct osvm_port, range);
    uint64_t first;
    uint32_t value;

    memset(data, 0xff, len);
    if (!is_register(offset, len))
        return;
    switch (offset) {
    case OSVM_PORT_MILESTONE:
        value = OSVM_PORT_SIGNATURE;
        break;
    case OSVM_PORT_EXIT:
        value = OSVM_PORT_VERSION;
        break;
    case OSVM_PORT_FIRST_INSTRUCTION:
        first = osvm_port_milestone(port, OSVM_MILESTONE_FIRST_INSTRUCTION);
        value = first ? since_start_us(port, first) : 0;
        break;
    default:
        value = since_start_us(port, clock_monotonic_ns());
        break;
    }
    store_le32(data, value);
}

static void reach_milestone(struct osvm_port *port, uint32_t milestone)
{
    uint64_t not_yet = 0;

    if (milestone == 0 || milestone >= OSVM_MILESTONE_COUNT)
        return;
    if (__atomic_compare_exchange_n(&port->milestones_ns[milestone], &not_yet, clock_monotonic_ns(),
                                    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) &&
        port->observer)
        port->observer->reached(port->observer, milestone);
}

static void osvm_port_write(struct bus_range *range, uint64_t offset, const void *data,
                            unsigned len)
{
    struct osvm_port *port = container_of(range, struct osvm_port, range);
    uint32_t value;

    if (!is_register(offset, len))
        return;
    value = load_le32(data);
    if (offset == OSVM_PORT_MILESTONE)
        reach_milestone(port, value);
    else if (offset == OSVM_PORT_EXIT)
        port->power->event(port->power, POWER_EXIT, (uint8_t)value);
}

static const struct bus_ops osvm_port_ops = {.read = osvm_port_read, .write = osvm_port_write};

void osvm_port_init(struct osvm_port *port, uint64_t process_start_ns, struct power_sink *power)
{
    *port = (struct osvm_port){
        .range = {.base = PORT_OSVM, .size = OSVM_PORT_SIZE, .ops = &osvm_port_ops, .name = "osvm"},
        .power = power,
        .process_start_ns = process_start_ns,
    };
}

uint64_t osvm_port_milestone(const struct osvm_port *port, unsigned milestone)
{
    if (milestone >= OSVM_MILESTONE_COUNT)
        return 0;
    return __atomic_load_n(&port->milestones_ns[milestone], __ATOMIC_RELAXED);
}
