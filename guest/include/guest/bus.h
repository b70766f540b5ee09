/*
 * An address space of devices (ports or memory-mapped), as sorted ranges. It is built by one
 * thread and read-only from the first guest instruction on, so that look-ups take no lock.
 */
#ifndef OSVM_GUEST_BUS_H
#define OSVM_GUEST_BUS_H

#include <stddef.h>
#include <stdint.h>

struct bus_range;

/*
 * What a device does when the guest reads or writes. `offset` is from the range's base;
 * [offset, offset + len) lies inside the range; len is 1, 2, 4 or 8. Data is little-endian.
 * Called on the vCPU's thread, several at once: a device with state has a lock of its own.
 */
struct bus_ops {
    void (*read)(struct bus_range *range, uint64_t offset, void *data, unsigned len);
    void (*write)(struct bus_range *range, uint64_t offset, const void *data, unsigned len);
};

/* One range, embedded in its device, which is found by container_of. */
struct bus_range {
    uint64_t base;
    uint64_t size; /* bytes, not 0 */
    const struct bus_ops *ops;
    const char *name; /* for people */
};

#define BUS_MAX_RANGES 64

struct bus {
    struct bus_range *ranges[BUS_MAX_RANGES]; /* by rising base */
    size_t count;
    uint64_t unclaimed; /* accesses that no range took; atomic */
};

/**
 * Add a range. It is borrowed as long as the bus is used.
 * Returns 0, -EEXIST where it overlaps another, -EINVAL where it is empty or wraps, -ENOSPC where
 * the bus is full. Before the guest runs.
 */
int bus_add(struct bus *bus, struct bus_range *range);

/**
 * A guest's access of 1, 2, 4 or 8 bytes. One that no range holds whole is done byte by byte, as
 * the hardware's would be; bytes that no range claims read as all ones and swallow writes, and the
 * access is counted in `unclaimed`.
 * Any thread.
 */
void bus_read(struct bus *bus, uint64_t address, void *data, unsigned len);
void bus_write(struct bus *bus, uint64_t address, const void *data, unsigned len);

#endif
