/* guest/pci_host.h: configuration by ports and by ECAM, BARs that move, INTx; on buses, as a guest
 * sees them. */
#include "unit.h"

#include <errno.h>
#include <linux/pci_regs.h>

#include "base/bytes.h"
#include "guest/board/reset.h"
#include "guest/pci_host.h"
#include "power_spy.h"

#define BAR_SIZE 0x4000

/* A function that notes what is asked of it. */
struct probe {
    struct pci_function function;
    uint8_t memory[BAR_SIZE];
    unsigned moves, config_reads, config_writes;
    unsigned offset, len; /* of the last configuration access */
};

struct fixture {
    struct bus ports, mmio;
    struct power_spy power;
    struct reset_register reset;
    struct pci_host host;
    struct probe probes[2]; /* device 1 and device 9 */
};

static struct probe *probe_of(struct pci_function *function)
{
    return container_of(function, struct probe, function);
}

static void probe_bar_read(struct pci_function *function, uint64_t offset, void *data, unsigned len)
{
    assert_true(range_inside(offset, len, BAR_SIZE));
    memcpy(data, probe_of(function)->memory + offset, len);
}

static void probe_bar_write(struct pci_function *function, uint64_t offset, const void *data,
                            unsigned len)
{
    assert_true(range_inside(offset, len, BAR_SIZE));
    memcpy(probe_of(function)->memory + offset, data, len);
}

static void probe_bar_moved(struct pci_function *function, uint64_t base)
{
    assert_int_equal(base, function->bar_base);
    probe_of(function)->moves++;
}

static void probe_config_read(struct pci_function *function, unsigned offset, unsigned len)
{
    struct probe *probe = probe_of(function);

    assert_true(range_inside(offset, len, PCI_CONFIG_SIZE));
    probe->config_reads++;
    probe->offset = offset;
    probe->len = len;
}

static void probe_config_written(struct pci_function *function, unsigned offset, unsigned len)
{
    struct probe *probe = probe_of(function);

    assert_true(range_inside(offset, len, PCI_CONFIG_SIZE));
    probe->config_writes++;
    probe->offset = offset;
    probe->len = len;
}

static const struct pci_function_ops probe_ops = {
    .bar_read = probe_bar_read,
    .bar_write = probe_bar_write,
    .bar_moved = probe_bar_moved,
    .config_read = probe_config_read,
    .config_written = probe_config_written,
};

static const struct pci_id probe_id = {
    .vendor = 0x1af4,
    .device = 0x1041,
    .subsystem_vendor = 0x1234,
    .subsystem = 0x5678,
    .class_code = 0x020000,
    .revision = 1,
};

static void probe_init(struct probe *probe)
{
    *probe =
        (struct probe){.function = {.ops = &probe_ops, .bar_size = BAR_SIZE, .interrupts = true}};
    pci_function_init(&probe->function, &probe_id);
    assert_int_equal(pci_function_add_capability(&probe->function, PCI_CAP_ID_VNDR, 13), 0x40);
    assert_int_equal(pci_function_add_capability(&probe->function, PCI_CAP_ID_MSIX, 12), 0x50);
}

static struct fixture *create(void)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    f->power = power_spy_new();
    reset_register_init(&f->reset, &f->power.sink);
    assert_int_equal(pci_host_init(&f->host, &pci_board_pc, &f->reset.range, NULL), 0);
    assert_int_equal(bus_add(&f->ports, &f->host.port_range), 0);
    assert_int_equal(bus_add(&f->mmio, &f->host.ecam_range), 0);
    assert_int_equal(bus_add(&f->mmio, &f->host.window_range), 0);
    for (unsigned i = 0; i < 2; i++) {
        probe_init(&f->probes[i]);
        assert_int_equal(pci_host_add(&f->host, &f->probes[i].function, 1 + 8 * i), 0);
        assert_int_equal(f->probes[i].moves, 1);
    }
    return f;
}

static void destroy(struct fixture *f)
{
    pci_host_destroy(&f->host);
    test_free(f);
}

static uint64_t get(struct bus *bus, uint64_t address, unsigned len)
{
    uint8_t raw[8] = {0};

    memset(raw, 0x55, len);
    bus_read(bus, address, raw, len);
    return load_le64(raw);
}

static void set(struct bus *bus, uint64_t address, unsigned len, uint64_t value)
{
    uint8_t raw[8];

    store_le64(raw, value);
    bus_write(bus, address, raw, len);
}

static uint64_t ecam(unsigned device, unsigned function, unsigned offset)
{
    return LAYOUT_PCI_ECAM + (device << 15 | function << 12 | offset);
}

static uint64_t config(struct fixture *f, unsigned device, unsigned offset, unsigned len)
{
    return get(&f->mmio, ecam(device, 0, offset), len);
}

static void set_config(struct fixture *f, unsigned device, unsigned offset, unsigned len,
                       uint64_t value)
{
    set(&f->mmio, ecam(device, 0, offset), len, value);
}

static void select_register(struct fixture *f, unsigned bus, unsigned device, unsigned function,
                            unsigned offset)
{
    set(&f->ports, 0xcf8, 4, 0x80000000U | bus << 16 | device << 11 | function << 8 | offset);
}

/* What reads as what, by both mechanisms. */
struct read_row {
    const char *name;
    unsigned device, function, offset, len;
    uint64_t value;
};

static const struct read_row reads[] = {
    {"vendor and device", 1, 0, 0x00, 4, 0x10411af4},
    {"vendor", 1, 0, 0x00, 2, 0x1af4},
    {"device", 1, 0, 0x02, 2, 0x1041},
    {"half of the device id", 1, 0, 0x03, 1, 0x10},
    {"command: memory decoded from the start", 1, 0, 0x04, 2, 0x0002},
    {"status: capabilities", 1, 0, 0x06, 2, 0x0010},
    {"revision and class", 1, 0, 0x08, 4, 0x02000001},
    {"header type: one function", 1, 0, 0x0e, 1, 0},
    {"BAR 0: placed, 64 bits, prefetchable", 1, 0, 0x10, 4, 0xc800000c},
    {"BAR 1: its upper half", 1, 0, 0x14, 4, 0},
    {"BAR 2: none", 1, 0, 0x18, 4, 0},
    {"BAR 0 of the next function", 9, 0, 0x10, 4, 0xc800400c},
    {"subsystem", 1, 0, 0x2c, 4, 0x56781234},
    {"expansion ROM: none", 1, 0, 0x30, 4, 0},
    {"capability pointer", 1, 0, 0x34, 1, 0x40},
    {"interrupt line of device 1", 1, 0, 0x3c, 1, 10},
    {"interrupt line of device 9", 9, 0, 0x3c, 1, 11},
    {"interrupt pin", 1, 0, 0x3d, 1, 1},
    {"the first capability", 1, 0, 0x40, 2, 0x5009},
    {"the last capability", 1, 0, 0x50, 2, 0x0011},
    {"the last register", 1, 0, 0xfc, 4, 0},
    {"the bridge's class", 0, 0, 0x08, 4, 0x06000000},
    {"the bridge decodes nothing", 0, 0, 0x04, 4, 0},
    {"the bridge has no interrupt", 0, 0, 0x3c, 4, 0},
    {"no such device", 2, 0, 0x00, 4, 0xffffffff},
    {"no such device: a byte", 31, 0, 0x00, 1, 0xff},
    {"no such function", 1, 1, 0x00, 4, 0xffffffff},
    {"no such function, the last", 1, 7, 0x00, 2, 0xffff},
};

static void test_read(void **state)
{
    const struct read_row *row = *state;
    struct fixture *f = create();

    assert_int_equal(get(&f->mmio, ecam(row->device, row->function, row->offset), row->len),
                     row->value);
    select_register(f, 0, row->device, row->function, row->offset & 0xfc);
    assert_int_equal(get(&f->ports, 0xcfc + (row->offset & 3), row->len), row->value);
    destroy(f);
}

/* Which bits of the configuration stay when all are written as ones. */
struct mask_row {
    const char *name;
    unsigned device, offset;
    uint32_t ones, zeroes; /* what is read after writing ones, then zeroes */
};

static const struct mask_row masks[] = {
    {"ids are read-only", 1, 0x00, 0x10411af4, 0x10411af4},
    {"command: memory, master, parity, SERR, INTx; no status bit", 1, 0x04, 0x00100546, 0x00100000},
    {"class and revision are read-only", 1, 0x08, 0x02000001, 0x02000001},
    {"cache line size only", 1, 0x0c, 0x000000ff, 0},
    {"BAR 0 tells its size", 1, 0x10, 0xffffc00c, 0x0000000c},
    {"BAR 1: all of the upper half", 1, 0x14, 0xffffffff, 0},
    {"BAR 2", 1, 0x18, 0, 0},
    {"BAR 5", 1, 0x24, 0, 0},
    {"subsystem", 1, 0x2c, 0x56781234, 0x56781234},
    {"expansion ROM", 1, 0x30, 0, 0},
    {"capability pointer", 1, 0x34, 0x40, 0x40},
    {"interrupt line, not pin", 1, 0x3c, 0x1ff, 0x100},
    {"a capability", 1, 0x40, 0x5009, 0x5009},
    {"behind the capabilities", 1, 0x80, 0, 0},
    {"the bridge's command: no memory, no INTx", 0, 0x04, 0x00000144, 0},
    {"the bridge's BAR", 0, 0x10, 0, 0},
    {"nobody", 3, 0x04, 0xffffffff, 0xffffffff},
};

static void test_mask(void **state)
{
    const struct mask_row *row = *state;
    struct fixture *f = create();

    set_config(f, row->device, row->offset, 4, 0xffffffff);
    assert_int_equal(config(f, row->device, row->offset, 4), row->ones);
    set_config(f, row->device, row->offset, 4, 0);
    assert_int_equal(config(f, row->device, row->offset, 4), row->zeroes);
    /* The same byte by byte. */
    for (unsigned i = 0; i < 4; i++)
        set_config(f, row->device, row->offset + i, 1, 0xff);
    assert_int_equal(config(f, row->device, row->offset, 4), row->ones);
    destroy(f);
}

static void test_wide_and_unaligned(void **state)
{
    struct fixture *f = create();

    (void)state;
    assert_int_equal(config(f, 1, 0x00, 8), UINT64_C(0x0010000210411af4));
    assert_int_equal(config(f, 1, 0x01, 2), 0x411a);
    assert_int_equal(config(f, 1, 0x03, 4), 0x10000210);
    set_config(f, 1, 0x10, 8, UINT64_C(0x00000001c9000000));
    assert_int_equal(config(f, 1, 0x10, 8), UINT64_C(0x00000001c900000c));
    destroy(f);
}

static void test_extended_space(void **state)
{
    struct fixture *f = create();

    (void)state;
    assert_int_equal(config(f, 1, 0x100, 4), 0);
    assert_int_equal(config(f, 1, 0xffc, 4), 0);
    assert_int_equal(config(f, 1, 0x0fc, 8), 0);
    assert_int_equal(f->probes[0].len, 4); /* the part that there is */
    set_config(f, 1, 0x100, 4, 0xffffffff);
    set_config(f, 1, 0x0fe, 4, 0xffffffff);
    assert_int_equal(config(f, 1, 0x100, 4), 0);
    assert_int_equal(config(f, 1, 0x0fc, 4), 0);
    assert_int_equal(config(f, 4, 0x100, 4), 0xffffffff);
    destroy(f);
}

/* An access that two functions share belongs to neither. */
static void test_ecam_boundary(void **state)
{
    struct fixture *f = create();

    (void)state;
    assert_int_equal(config(f, 1, 0xffe, 4), 0xffffffff);
    set(&f->mmio, ecam(0, 7, 0xffe), 8, UINT64_MAX);
    assert_int_equal(config(f, 1, 0x00, 4), 0x10411af4);
    assert_int_equal(get(&f->mmio, LAYOUT_PCI_ECAM + MIB - 4, 4), 0xffffffff);
    destroy(f);
}

static void test_address_register(void **state)
{
    struct fixture *f = create();

    (void)state;
    assert_int_equal(get(&f->ports, 0xcf8, 4), 0);
    set(&f->ports, 0xcf8, 4, 0xffffffff);
    assert_int_equal(get(&f->ports, 0xcf8, 4), 0x80fffffc);
    set(&f->ports, 0xcf8, 2, 0x1234); /* not a double word: not the register */
    set(&f->ports, 0xcf8, 1, 0x12);
    assert_int_equal(get(&f->ports, 0xcf8, 4), 0x80fffffc);
    assert_int_equal(get(&f->ports, 0xcf8, 2), 0xffff);
    assert_int_equal(get(&f->ports, 0xcfa, 1), 0xff);
    destroy(f);
}

static void test_ports_disabled(void **state)
{
    struct fixture *f = create();

    (void)state;
    set(&f->ports, 0xcf8, 4, 1 << 11);
    assert_int_equal(get(&f->ports, 0xcfc, 4), 0xffffffff);
    set(&f->ports, 0xcf8, 4, 1 << 11 | PCI_INTERRUPT_LINE);
    set(&f->ports, 0xcfc, 1, 7);
    assert_int_equal(config(f, 1, PCI_INTERRUPT_LINE, 1), 10);
    destroy(f);
}

static void test_ports_other_bus(void **state)
{
    struct fixture *f = create();

    (void)state;
    select_register(f, 1, 1, 0, 0);
    assert_int_equal(get(&f->ports, 0xcfc, 4), 0xffffffff);
    select_register(f, 255, 1, 0, PCI_INTERRUPT_LINE);
    set(&f->ports, 0xcfc, 4, 0xffffffff);
    assert_int_equal(config(f, 1, PCI_INTERRUPT_LINE, 1), 10);
    destroy(f);
}

static void test_ports_write(void **state)
{
    struct fixture *f = create();

    (void)state;
    select_register(f, 0, 9, 0, PCI_INTERRUPT_LINE);
    set(&f->ports, 0xcfc, 1, 7);
    assert_int_equal(config(f, 9, PCI_INTERRUPT_LINE, 1), 7);
    select_register(f, 0, 9, 0, PCI_COMMAND);
    set(&f->ports, 0xcfd, 1, 4); /* INTx disable, in the upper byte */
    assert_int_equal(config(f, 9, PCI_COMMAND, 2), 0x0402);
    destroy(f);
}

/* Over the end of a register, or of the ports: byte by byte as far as they go. */
static void test_ports_crossing(void **state)
{
    struct fixture *f = create();

    (void)state;
    select_register(f, 0, 1, 0, 0);
    assert_int_equal(get(&f->ports, 0xcfe, 2), 0x1041);
    assert_int_equal(get(&f->ports, 0xcfe, 4), 0xffff1041);
    assert_int_equal(get(&f->ports, 0xcfa, 4), 0xffffffff); /* over both registers: neither */
    set(&f->ports, 0xcfa, 4, 0);
    assert_int_equal(get(&f->ports, 0xcf8, 4), 0x80000000 | 1 << 11);
    destroy(f);
}

static void test_reset_register(void **state)
{
    struct fixture *f = create();

    (void)state;
    set(&f->ports, 0xcf9, 1, 2);
    assert_int_equal(get(&f->ports, 0xcf9, 1), 2);
    set(&f->ports, 0xcf8, 4, 0x8000ff00); /* PCI's, although 0xcf9 is in it */
    set(&f->ports, 0xcf8, 2, 0x0600);
    set(&f->ports, 0xcfb, 1, 6);
    assert_int_equal(f->power.calls, 0);
    set(&f->ports, 0xcf9, 1, 6);
    assert_int_equal(f->power.calls, 1);
    assert_int_equal(f->power.event, POWER_RESET);
    destroy(f);
}

static void test_no_reset_register(void **state)
{
    struct fixture *f = create();

    (void)state;
    f->host.reset = NULL;
    assert_int_equal(get(&f->ports, 0xcf9, 1), 0xff);
    set(&f->ports, 0xcf9, 1, 6);
    assert_int_equal(f->power.calls, 0);
    destroy(f);
}

static void test_bar_access(void **state)
{
    struct fixture *f = create();

    (void)state;
    for (unsigned len = 1; len <= 8; len *= 2) {
        set(&f->mmio, LAYOUT_PCI_WINDOW + BAR_SIZE + 16, len, UINT64_C(0x1122334455667788));
        assert_int_equal(get(&f->mmio, LAYOUT_PCI_WINDOW + BAR_SIZE + 16, len),
                         UINT64_C(0x1122334455667788) & (UINT64_MAX >> (64 - 8 * len)));
    }
    assert_int_equal(f->probes[0].memory[16], 0);
    assert_int_equal(f->probes[1].memory[16], 0x88);
    assert_int_equal(get(&f->mmio, LAYOUT_PCI_WINDOW + 2 * BAR_SIZE, 4), 0xffffffff);
    set(&f->mmio, LAYOUT_PCI_WINDOW + 2 * BAR_SIZE, 4, 0);
    /* Over the end of the last BAR, and over the border of two: not whole in any. */
    assert_int_equal(get(&f->mmio, LAYOUT_PCI_WINDOW + 2 * BAR_SIZE - 2, 4), 0xffffffff);
    assert_int_equal(get(&f->mmio, LAYOUT_PCI_WINDOW + BAR_SIZE - 2, 4), 0xffffffff);
    destroy(f);
}

/* Where a BAR answers after it was written. */
struct bar_row {
    const char *name;
    uint64_t bar;
    bool memory_enabled, answers;
};

static const struct bar_row bars[] = {
    {"BAR in the middle of the window", 0xca000000, true, true},
    {"BAR at the window's start", 0xc8000000, true, true},
    {"BAR at the window's end", 0xcfffc000, true, true},
    {"BAR with memory disabled", 0xca000000, false, false},
    {"BAR below the window", 0xc7ffc000, true, false},
    {"BAR above the window", 0xd0000000, true, false},
    {"BAR on RAM", 0x00000000, true, false},
    {"BAR on the local APIC", 0xfee00000, true, false},
    {"BAR over 4 GiB", UINT64_C(0x1ca000000), true, false},
    {"BAR of all ones, as when its size is asked for", UINT64_MAX, true, false},
    {"BAR at the end of all addresses", UINT64_C(0xffffffffffffc000), true, false},
};

static void test_bar_moves(void **state)
{
    const struct bar_row *row = *state;
    struct fixture *f = create();
    uint64_t base = row->bar & ~(uint64_t)(BAR_SIZE - 1);

    f->probes[0].memory[4] = 0x77;
    set_config(f, 1, PCI_COMMAND, 2, 0);
    set_config(f, 1, PCI_BASE_ADDRESS_0, 4, row->bar);
    set_config(f, 1, PCI_BASE_ADDRESS_1, 4, row->bar >> 32);
    set_config(f, 1, PCI_COMMAND, 2, row->memory_enabled ? PCI_COMMAND_MEMORY : 0);
    assert_int_equal(f->probes[0].function.bar_base, row->answers ? base : PCI_BAR_UNMAPPED);
    assert_int_equal(get(&f->mmio, base + 4, 1), row->answers ? 0x77 : 0xff);
    assert_int_equal(f->probes[0].moves, row->answers ? 3 : 2);
    destroy(f);
}

static void test_bar_sizing(void **state)
{
    struct fixture *f = create();

    (void)state;
    /* PCI 3.0, section 6.2.5.1, with memory left enabled, as for a bridge's sake some do. */
    set_config(f, 1, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
    set_config(f, 1, PCI_BASE_ADDRESS_1, 4, 0xffffffff);
    assert_int_equal(config(f, 1, PCI_BASE_ADDRESS_0, 8), UINT64_C(0xffffffffffffc00c));
    assert_int_equal(get(&f->mmio, LAYOUT_PCI_WINDOW, 4), 0xffffffff);
    set_config(f, 1, PCI_BASE_ADDRESS_0, 4, LAYOUT_PCI_WINDOW);
    set_config(f, 1, PCI_BASE_ADDRESS_1, 4, 0);
    assert_int_equal(get(&f->mmio, LAYOUT_PCI_WINDOW, 4), 0);
    destroy(f);
}

static void test_bar_moves_once(void **state)
{
    struct fixture *f = create();

    (void)state;
    set_config(f, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    set_config(f, 1, PCI_BASE_ADDRESS_0, 4, LAYOUT_PCI_WINDOW);
    set_config(f, 1, PCI_INTERRUPT_LINE, 1, 3);
    assert_int_equal(f->probes[0].moves, 1);
    assert_int_equal(f->probes[0].config_writes, 3);
    destroy(f);
}

/* Two at one address: the one with the smaller number answers, as the first on a bus would. */
static void test_bars_overlap(void **state)
{
    struct fixture *f = create();

    (void)state;
    set_config(f, 9, PCI_BASE_ADDRESS_0, 4, LAYOUT_PCI_WINDOW);
    set(&f->mmio, LAYOUT_PCI_WINDOW, 1, 5);
    assert_int_equal(f->probes[0].memory[0], 5);
    assert_int_equal(f->probes[1].memory[0], 0);
    set_config(f, 1, PCI_COMMAND, 2, 0);
    set(&f->mmio, LAYOUT_PCI_WINDOW, 1, 6);
    assert_int_equal(f->probes[1].memory[0], 6);
    destroy(f);
}

static void test_intx(void **state)
{
    struct fixture *f = create();

    (void)state;
    assert_int_equal(pci_intx_gsi(1), 17);
    assert_int_equal(pci_intx_gsi(9), 17); /* shared */
    pci_host_set_intx(&f->host, &f->probes[0].function, true);
    assert_true(f->host.asserted[17] && f->host.asserted[10]);
    assert_int_equal(f->host.asserted[11], 0);
    pci_host_set_intx(&f->host, &f->probes[1].function, true);
    pci_host_set_intx(&f->host, &f->probes[0].function, false);
    pci_host_set_intx(&f->host, &f->probes[0].function, false);
    assert_true(f->host.asserted[17] && f->host.asserted[11]);
    assert_int_equal(f->host.asserted[10], 0);
    pci_host_set_intx(&f->host, &f->probes[1].function, false);
    assert_int_equal(f->host.asserted[17] | f->host.asserted[11], 0);
    destroy(f);
}

struct add_row {
    const char *name;
    unsigned device;
    uint64_t bar_size;
    int result;
};

static const struct add_row adds[] = {
    {"the last device number", 31, BAR_SIZE, 0},
    {"no such device number", 32, BAR_SIZE, -EINVAL},
    {"absurd device number", UINT32_MAX, BAR_SIZE, -EINVAL},
    {"a device number that is taken", 1, BAR_SIZE, -EEXIST},
    {"the bridge's device number", 0, BAR_SIZE, -EEXIST},
    {"a function without a BAR", 2, 0, 0},
    {"half of the window", 2, 64 * MIB, 0},
    {"more than is left of the window", 2, 128 * MIB, -ENOSPC},
};

static void test_add(void **state)
{
    const struct add_row *row = *state;
    struct fixture *f = create();
    struct pci_function function = {.ops = &probe_ops, .bar_size = row->bar_size};
    struct probe *more = test_calloc(1, sizeof(*more));

    more->function = function;
    pci_function_init(&more->function, &probe_id);
    assert_int_equal(pci_host_add(&f->host, &more->function, row->device), row->result);
    if (row->result == 0)
        assert_int_equal(config(f, row->device, PCI_BASE_ADDRESS_0, 4),
                         row->bar_size ? align_up(0xc8008000, row->bar_size) | 0xc : 0);
    destroy(f);
    test_free(more);
}

static void test_capabilities_end(void **state)
{
    struct pci_function function = {.ops = NULL};

    (void)state;
    pci_function_init(&function, &probe_id);
    assert_int_equal(function.config[PCI_STATUS] & PCI_STATUS_CAP_LIST, 0);
    assert_int_equal(pci_function_add_capability(&function, 9, 193), -ENOSPC);
    assert_int_equal(pci_function_add_capability(&function, 9, 190), 0x40);
    assert_int_equal(pci_function_add_capability(&function, 9, 4), -ENOSPC);
    assert_int_equal(function.config[0x41], 0);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, reads, test_read);
    unit_add_rows(&unit, masks, test_mask);
    unit_add(&unit, "ECAM: eight bytes, any alignment", test_wide_and_unaligned, NULL);
    unit_add(&unit, "ECAM: over 256 bytes", test_extended_space, NULL);
    unit_add(&unit, "ECAM: between two functions", test_ecam_boundary, NULL);
    unit_add(&unit, "the address register", test_address_register, NULL);
    unit_add(&unit, "ports: not enabled", test_ports_disabled, NULL);
    unit_add(&unit, "ports: another bus", test_ports_other_bus, NULL);
    unit_add(&unit, "ports: writes", test_ports_write, NULL);
    unit_add(&unit, "ports: over the end of a register", test_ports_crossing, NULL);
    unit_add(&unit, "0xcf9 is still the reset register", test_reset_register, NULL);
    unit_add(&unit, "0xcf9 with nothing behind it", test_no_reset_register, NULL);
    unit_add(&unit, "BARs answer in the window", test_bar_access, NULL);
    unit_add_rows(&unit, bars, test_bar_moves);
    unit_add(&unit, "BAR sizing", test_bar_sizing, NULL);
    unit_add(&unit, "a BAR that stays is not told", test_bar_moves_once, NULL);
    unit_add(&unit, "two BARs at one address", test_bars_overlap, NULL);
    unit_add(&unit, "INTx lines, shared", test_intx, NULL);
    unit_add_rows(&unit, adds, test_add);
    unit_add(&unit, "capabilities that do not fit", test_capabilities_end, NULL);
    return unit_run(&unit, "pci_host");
}
