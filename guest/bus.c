#include "guest/bus.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

/* The number of ranges whose base is at or below the address. */
static size_t ranges_up_to(const struct bus *bus, uint64_t address)
{
    size_t low = 0, high = bus->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (bus->ranges[middle]->base <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int bus_add(struct bus *bus, struct bus_range *range)
{
    size_t at;

    if (range->size == 0 || range->size - 1 > UINT64_MAX - range->base)
        return -EINVAL;
    if (bus->count == BUS_MAX_RANGES)
        return -ENOSPC;
    at = ranges_up_to(bus, range->base);
    if (at > 0 && range->base - bus->ranges[at - 1]->base < bus->ranges[at - 1]->size)
        return -EEXIST;
    if (at < bus->count && bus->ranges[at]->base - range->base < range->size)
        return -EEXIST;
    memmove(&bus->ranges[at + 1], &bus->ranges[at], (bus->count - at) * sizeof(bus->ranges[0]));
    bus->ranges[at] = range;
    bus->count++;
    return 0;
}

/* The range that holds all of [address, address + len), or NULL. */
static struct bus_range *bus_find(const struct bus *bus, uint64_t address, unsigned len)
{
    size_t n = ranges_up_to(bus, address);
    struct bus_range *range;

    if (n == 0)
        return NULL;
    range = bus->ranges[n - 1];
    return range_inside(address - range->base, len, range->size) ? range : NULL;
}

static void bus_count_unclaimed(struct bus *bus)
{
    __atomic_fetch_add(&bus->unclaimed, 1, __ATOMIC_RELAXED);
}

void bus_read(struct bus *bus, uint64_t address, void *data, unsigned len)
{
    struct bus_range *range = bus_find(bus, address, len);
    uint8_t *bytes = data;
    int claimed = 1;

    if (range) {
        range->ops->read(range, address - range->base, data, len);
        return;
    }
    memset(data, 0xff, len);
    for (unsigned i = 0; i < len; i++) {
        range = len > 1 ? bus_find(bus, address + i, 1) : NULL;
        if (range)
            range->ops->read(range, address + i - range->base, &bytes[i], 1);
        else
            claimed = 0;
    }
    if (!claimed)
        bus_count_unclaimed(bus);
}

void bus_write(struct bus *bus, uint64_t address, const void *data, unsigned len)
{
    struct bus_range *range = bus_find(bus, address, len);
    const uint8_t *bytes = data;
    int claimed = 1;

    if (range) {
        range->ops->write(range, address - range->base, data, len);
        return;
    }
    for (unsigned i = 0; i < len; i++) {
        range = len > 1 ? bus_find(bus, address + i, 1) : NULL;
        if (range)
            range->ops->write(range, address + i - range->base, &bytes[i], 1);
        else
            claimed = 0;
    }
    if (!claimed)
        bus_count_unclaimed(bus);
}
