/* A virtio-pci function in the shape that a Hermit image looks for: docs/hermit.md. */
#include "unit.h"

#include <errno.h>
#include <linux/pci_regs.h>

#include "base/bytes.h"
#include "guest/layout.h"
#include "probe_device.h"
#include "virtio/pci.h"

struct fixture {
    struct guest_memory *mem;
    struct loop *loop;
    struct bus ports, mmio;
    struct pci_host host;
    struct probe_device probe;
    struct virtio_pci pci;
};

static struct fixture *build(void)
{
    struct guest_memory_options options = {.size = MIB};
    struct fixture *f = test_calloc(1, sizeof(*f));
    struct virtio_env env;

    assert_int_equal(guest_memory_create(&options, &f->mem, NULL), 0);
    assert_int_equal(loop_create(&f->loop), 0);
    env = (struct virtio_env){.loop = f->loop, .mem = f->mem};
    probe_init(&f->probe, &env);
    assert_int_equal(pci_host_init(&f->host, &pci_board_hermit, NULL, NULL), 0);
    assert_int_equal(virtio_pci_init(&f->pci, &f->probe.device, &f->host, 0, f->loop), 0);
    assert_int_equal(bus_add(&f->ports, &f->host.port_range), 0);
    assert_int_equal(bus_add(&f->mmio, &f->host.window_range), 0);
    return f;
}

static void destroy(struct fixture *f)
{
    virtio_pci_destroy(&f->pci);
    pci_host_destroy(&f->host);
    virtio_device_deinit(&f->probe.device);
    loop_destroy(f->loop);
    guest_memory_destroy(f->mem);
    test_free(f);
}

static uint32_t config(struct fixture *f, unsigned device, unsigned offset)
{
    uint8_t raw[4];

    store_le32(raw, 0x80000000U | device << 11 | (offset & ~3U));
    bus_write(&f->ports, 0xcf8, raw, 4);
    bus_read(&f->ports, 0xcfc, raw, 4);
    return load_le32(raw) >> 8 * (offset & 3);
}

static void set_config(struct fixture *f, unsigned offset, uint32_t value)
{
    uint8_t raw[4];

    store_le32(raw, 0x80000000U | offset);
    bus_write(&f->ports, 0xcf8, raw, 4);
    store_le32(raw, value);
    bus_write(&f->ports, 0xcfc, raw, 4);
}

static uint64_t get(struct fixture *f, uint64_t gpa, unsigned len)
{
    uint8_t raw[8] = {0};

    bus_read(&f->mmio, gpa, raw, len);
    return load_le64(raw);
}

static void set(struct fixture *f, uint64_t gpa, unsigned len, uint64_t value)
{
    uint8_t raw[8];

    store_le64(raw, value);
    bus_write(&f->mmio, gpa, raw, len);
}

#define BAR UINT64_C(0xfe000000)

struct header_row {
    const char *name;
    unsigned offset;
    uint32_t mask, value;
};

static const struct header_row header[] = {
    {"vendor and device", 0x00, UINT32_MAX,
     0x10441af4}, /* the probe device says that it is an rng */
    {"one function", 0x0e, 0xff, 0},
    {"BAR 0, its low half", 0x10, UINT32_MAX, 0xfe00000c},
    {"BAR 0, its high half", 0x14, UINT32_MAX, 0},
    {"the interrupt's line and pin", 0x3c, 0xffff, 0x010b},
    {"capabilities", 0x06, 0x10, 0x10},
};

static void test_header(void **state)
{
    const struct header_row *row = *state;
    struct fixture *f = build();

    assert_int_equal(config(f, 0, row->offset) & row->mask, row->value);
    assert_int_equal(config(f, 1, row->offset) & row->mask, UINT32_MAX & row->mask);
    destroy(f);
}

static void test_bar_size(void **state)
{
    struct fixture *f = build();

    (void)state;
    set_config(f, 0x10, UINT32_MAX);
    assert_int_equal(config(f, 0, 0x10), 0xffe0000c);
    assert_int_equal(f->pci.function.bar_base, PCI_BAR_UNMAPPED);
    set_config(f, 0x10, (uint32_t)BAR);
    assert_int_equal(f->pci.function.bar_base, BAR);
    assert_int_equal(get(f, BAR + 2 * MIB - 4, 4), 0); /* in it, and nothing there */
    destroy(f);
}

/* The whole list: common, notify, ISR, device, all vendor capabilities; no MSI-X. */
static void test_capabilities(void **state)
{
    struct fixture *f = build();
    unsigned at = config(f, 0, PCI_CAPABILITY_LIST) & 0xff, count = 0;

    (void)state;
    for (; at; at = config(f, 0, at + 1) & 0xff) {
        assert_int_equal(config(f, 0, at) & 0xff, PCI_CAP_ID_VNDR);
        assert_int_equal(config(f, 0, at + 3) & 0xff, ++count);
        if (count == 2)
            assert_int_equal(config(f, 0, at + 16), 4);
    }
    assert_int_equal(count, 4);
    destroy(f);
}

/* What a function with MSI-X, or with a window, has at some offset is nothing special here. */
static void test_nothing_hidden(void **state)
{
    struct fixture *f = build();

    (void)state;
    for (unsigned offset = 0; offset < PCI_CONFIG_SIZE; offset += 4) {
        if (offset == PCI_BASE_ADDRESS_0 || offset == PCI_BASE_ADDRESS_1 || offset == PCI_COMMAND)
            continue;
        set_config(f, offset, UINT32_MAX);
        config(f, 0, offset);
    }
    assert_false(f->pci.msix_enabled);
    assert_int_equal(f->pci.vector_count, 0);
    assert_int_equal(config(f, 0, PCI_BASE_ADDRESS_0), 0xfe00000c);
    set(f, BAR + VIRTIO_PCI_MSIX, 4, 0xfee00000);
    assert_int_equal(get(f, BAR + VIRTIO_PCI_MSIX, 4), 0);
    assert_int_equal(get(f, BAR + VIRTIO_PCI_PBA, 8), 0);
    set(f, BAR + VIRTIO_PCI_COMMON + 0x10, 2, 0); /* config_msix_vector */
    assert_int_equal(get(f, BAR + VIRTIO_PCI_COMMON + 0x10, 2), VIRTIO_PCI_NO_VECTOR);
    destroy(f);
}

static void start(struct fixture *f)
{
    set(f, BAR + 0x14, 1, 3);
    set(f, BAR + 0x08, 4, 1);
    set(f, BAR + 0x0c, 4, 1);
    set(f, BAR + 0x14, 1, 11);
    set(f, BAR + 0x20, 4, 0x1000);
    set(f, BAR + 0x28, 4, 0x2000);
    set(f, BAR + 0x30, 4, 0x3000);
    set(f, BAR + 0x1c, 2, 1);
    set(f, BAR + 0x14, 1, 15);
    assert_int_equal(f->probe.activations, 1);
}

/* A chain comes back: INTA on line 11 until the ISR register is read. */
static void test_interrupt(void **state)
{
    struct fixture *f = build();
    uint8_t desc[16] = {0}, one[2] = {1, 0};

    (void)state;
    start(f);
    store_le64(desc, 0x9000);
    store_le32(desc + 8, 1);
    store_le16(desc + 12, 2);
    assert_int_equal(guest_memory_write(f->mem, 0x1000, desc, sizeof(desc)), 0);
    assert_int_equal(guest_memory_write(f->mem, 0x2002, one, sizeof(one)), 0);
    set(f, BAR + VIRTIO_PCI_NOTIFY, 2, 0);
    assert_int_equal(f->probe.notifications, 1);
    assert_int_equal(f->host.asserted[11], 1);
    assert_int_equal(get(f, BAR + VIRTIO_PCI_ISR, 1), 1);
    assert_int_equal(f->host.asserted[11], 0);
    assert_int_equal(get(f, BAR + VIRTIO_PCI_ISR, 1), 0);
    destroy(f);
}

/* As many as there is room for between the first BAR and the IOAPIC. */
static void test_room(void **state)
{
    struct fixture *f = build();
    struct virtio_pci *others = test_calloc(6, sizeof(*others));

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(virtio_pci_init(&others[i], &f->probe.device, &f->host, i + 1, f->loop),
                         0);
        assert_int_equal(others[i].function.bar_base, BAR + (i + 1) * 2 * MIB);
    }
    assert_int_equal(virtio_pci_init(&others[5], &f->probe.device, &f->host, 6, f->loop), -ENOSPC);
    for (unsigned i = 0; i < 5; i++)
        virtio_pci_destroy(&others[i]);
    test_free(others);
    destroy(f);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, header, test_header);
    unit_add(&unit, "BAR 0 has 2 MiB", test_bar_size, NULL);
    unit_add(&unit, "four capabilities", test_capabilities, NULL);
    unit_add(&unit, "no MSI-X and no window", test_nothing_hidden, NULL);
    unit_add(&unit, "INTA on line 11", test_interrupt, NULL);
    unit_add(&unit, "room for six", test_room, NULL);
    return unit_run(&unit, "virtio_pci_hermit");
}
