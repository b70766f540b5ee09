/*
 * guest/pci_host.h and virtio/pci.h: a program of accesses to configuration space (by ports and by
 * ECAM), to the BARs, wherever they are by then, and to guest memory; against two devices that take
 * every chain. The first byte's highest bit chooses the board.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/probe_device.h"
#include "base/bytes.h"
#include "base/util.h"
#include "virtio/pci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_SIZE  (64 * KIB)
#define DEVICES      2
#define FIRST_DEVICE 3

/* One step: kind (0–2), logarithm of the width (3–4), device (5), write (6); where; a value. */
#define STEP_SIZE 8

enum kind {
    KIND_PORT,
    KIND_ECAM,
    KIND_BAR,      /* from the start of the device's BAR */
    KIND_CONFIG,   /* of the device, by ECAM */
    KIND_REGISTER, /* of the common configuration, by a width that is likely to fit */
    KIND_WINDOW,   /* anywhere in it */
    KIND_MEMORY,
    KIND_NOTIFY,
};

struct machine {
    struct guest_memory *mem;
    struct loop *loop;
    struct bus ports, mmio;
    struct pci_host host;
    struct probe_device probes[DEVICES];
    struct virtio_pci pcis[DEVICES];
};

static void access_bus(struct bus *bus, uint64_t address, uint8_t *buf, unsigned len, bool write)
{
    if (write)
        bus_write(bus, address, buf, len);
    else
        bus_read(bus, address, buf, len);
}

static unsigned likely_width(uint64_t reg)
{
    if (reg == 0x14 || reg == 0x15)
        return 1;
    return reg >= 0x10 && reg < 0x20 ? 2 : 4;
}

static void run_step(struct machine *machine, const uint8_t *step)
{
    unsigned len = 1U << (step[0] >> 3 & 3), at = load_le16(step + 1);
    unsigned device = step[0] >> 5 & 1;
    bool write = step[0] & 0x40;
    struct pci_function *function = &machine->pcis[device].function;
    uint8_t buf[8] = {0};

    memcpy(buf, step + 3, 5);
    switch ((enum kind)(step[0] & 7)) {
    case KIND_PORT:
        access_bus(&machine->ports, 0xcf6 + at % 12, buf, len < 4 ? len : 4, write);
        break;
    case KIND_ECAM:
        access_bus(&machine->mmio, LAYOUT_PCI_ECAM + at * 17U % MIB, buf, len, write);
        break;
    case KIND_BAR:
        access_bus(&machine->mmio, function->bar_base + at % VIRTIO_PCI_PARTS_SIZE, buf, len,
                   write);
        break;
    case KIND_CONFIG:
        access_bus(&machine->mmio,
                   LAYOUT_PCI_ECAM + ((FIRST_DEVICE + device) << 15) + at % PCI_CONFIG_SIZE, buf,
                   len, write);
        break;
    case KIND_REGISTER:
        at %= 0x40;
        access_bus(&machine->mmio, function->bar_base + at, buf, likely_width(at), true);
        break;
    case KIND_WINDOW:
        access_bus(&machine->mmio, machine->host.board->window + at * 2048ULL + step[7], buf, len,
                   write);
        break;
    case KIND_MEMORY:
        guest_memory_write(machine->mem, at, buf, 5);
        break;
    case KIND_NOTIFY:
        access_bus(&machine->mmio, function->bar_base + VIRTIO_PCI_NOTIFY + at % 16, buf, 2, true);
        break;
    }
}

static void build(struct machine *machine, const struct pci_board *board)
{
    struct guest_memory_options options = {.size = MEMORY_SIZE};
    struct virtio_env env;

    if (!machine->mem &&
        (guest_memory_create(&options, &machine->mem, NULL) < 0 || loop_create(&machine->loop) < 0))
        abort();
    guest_memory_zero(machine->mem, 0, MEMORY_SIZE);
    machine->ports.count = machine->mmio.count = 0;
    env = (struct virtio_env){.loop = machine->loop, .mem = machine->mem};
    if (pci_host_init(&machine->host, board, NULL, NULL) < 0 ||
        bus_add(&machine->ports, &machine->host.port_range) < 0 ||
        bus_add(&machine->mmio, &machine->host.ecam_range) < 0 ||
        bus_add(&machine->mmio, &machine->host.window_range) < 0)
        abort();
    for (unsigned i = 0; i < DEVICES; i++) {
        probe_init(&machine->probes[i], &env);
        if (virtio_pci_init(&machine->pcis[i], &machine->probes[i].device, &machine->host,
                            FIRST_DEVICE + i, machine->loop) < 0)
            abort();
    }
}

/* What must hold whatever the guest did. */
static void check(const struct machine *machine)
{
    const struct pci_board *board = machine->host.board;

    for (unsigned i = 0; i < DEVICES; i++) {
        const struct pci_function *function = &machine->pcis[i].function;

        if (load_le16(function->config) != 0x1af4 || function->config[0x34] != 0x40)
            abort();
        if (function->bar_base != PCI_BAR_UNMAPPED &&
            !range_inside(function->bar_base - board->window, function->bar_size,
                          board->window_size))
            abort();
        if (board->plain && machine->pcis[i].msix_enabled)
            abort();
    }
    for (unsigned i = 0; i < IRQ_COUNT; i++) {
        if (machine->host.asserted[i] & ~(((1U << DEVICES) - 1) << FIRST_DEVICE))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct machine machine;

    build(&machine, size && (data[0] & 0x80) ? &pci_board_hermit : &pci_board_pc);
    for (; size >= STEP_SIZE; data += STEP_SIZE, size -= STEP_SIZE)
        run_step(&machine, data);
    check(&machine);
    for (unsigned i = 0; i < DEVICES; i++) {
        virtio_device_set_status(&machine.probes[i].device, 0);
        virtio_pci_destroy(&machine.pcis[i]);
        virtio_device_deinit(&machine.probes[i].device);
    }
    pci_host_destroy(&machine.host);
    return 0;
}
