/* Section numbers are those of the PCI Local Bus Specification 3.0. */
#include "guest/pci_host.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

/* Section 3.2.2.3.2: the address register. */
#define ADDRESS_ENABLE      0x80000000U
#define ADDRESS_KEPT_BITS   0x80fffffcU /* the others are reserved and read as zero */
#define ADDRESS_BUS(a)      ((a) >> 16 & 0xff)
#define ADDRESS_DEVICE(a)   ((a) >> 11 & 0x1f)
#define ADDRESS_FUNCTION(a) ((a) >> 8 & 7)
#define ADDRESS_REGISTER(a) ((a)&0xfc)
#define REGISTER_SIZE       4
#define DATA_OFFSET         4 /* of the data register from the address register */

/* PCI Express 5.0, section 7.2.2, table 7-1. */
#define ECAM_FUNCTION_SIZE    0x1000U
#define ECAM_DEVICE_SHIFT     15
#define ECAM_FUNCTION_MASK(o) ((o) >> 12 & 7)

#define FIRST_CAPABILITY   0x40 /* after the header */
#define CAPABILITY_NEXT    1
#define BAR_ATTRIBUTE_BITS 0x0f /* section 6.2.5.1: the low bits of a BAR are read-only */

/* The generic host bridge of QEMU's docs/specs/pci-ids: no driver wants it, and it has no quirks.
 * Linux takes configuration by ports for real where bus 0 has a bridge of this class. */
static const struct pci_id bridge_id = {
    .vendor = 0x1b36,
    .device = 0x0008,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .class_code = 0x060000,
};

const struct pci_board pci_board_pc = {
    .bridge = true,
    .window = LAYOUT_PCI_WINDOW,
    .window_size = LAYOUT_PCI_WINDOW_SIZE,
};

const struct pci_board pci_board_hermit = {
    .plain = true,
    .window = LAYOUT_HERMIT_BARS,
    .window_size = LAYOUT_HERMIT_BARS_SIZE,
    .bar_size = 2 * MIB,
};

/* What a PC's firmware gives to PCI, and nothing else here has. */
static const uint8_t isa_irqs[] = {11, 10, 5};

static uint32_t isa_irq(unsigned device)
{
    return isa_irqs[device % ARRAY_SIZE(isa_irqs)];
}

/* ---- Functions. ---- */

void pci_function_init(struct pci_function *function, const struct pci_id *id)
{
    uint8_t *config = function->config, *writable = function->writable;

    memset(config, 0, PCI_CONFIG_SIZE);
    memset(writable, 0, PCI_CONFIG_SIZE);
    store_le16(config + PCI_VENDOR_ID, id->vendor);
    store_le16(config + PCI_DEVICE_ID, id->device);
    store_le32(config + PCI_CLASS_REVISION, id->class_code << 8 | id->revision);
    store_le16(config + PCI_SUBSYSTEM_VENDOR_ID, id->subsystem_vendor);
    store_le16(config + PCI_SUBSYSTEM_ID, id->subsystem);
    writable[PCI_CACHE_LINE_SIZE] = 0xff; /* software's notes, both; section 6.2.4 */
    writable[PCI_INTERRUPT_LINE] = 0xff;
    store_le16(writable + PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR);
    if (function->bar_size) {
        config[PCI_BASE_ADDRESS_0] = PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH;
        writable[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
        store_le64(writable + PCI_BASE_ADDRESS_0, ~(function->bar_size - 1));
    }
    if (function->interrupts) {
        config[PCI_INTERRUPT_PIN] = 1;
        writable[PCI_COMMAND + 1] |= PCI_COMMAND_INTX_DISABLE >> 8;
    }
    function->bar_base = PCI_BAR_UNMAPPED;
    function->last_capability = 0;
    function->capabilities_end = FIRST_CAPABILITY;
}

int pci_function_add_capability(struct pci_function *function, uint8_t id, unsigned len)
{
    unsigned at = function->capabilities_end, last = function->last_capability;

    if (!range_inside(at, len, PCI_CONFIG_SIZE))
        return -ENOSPC;
    function->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    function->config[last ? last + CAPABILITY_NEXT : PCI_CAPABILITY_LIST] = (uint8_t)at;
    function->config[at] = id;
    function->last_capability = at;
    function->capabilities_end = (unsigned)align_up(at + len, REGISTER_SIZE); /* section 6.7 */
    return (int)at;
}

/* Where the BAR answers, by what the configuration says. A BAR that is not all in the window (as
 * while its size is asked for) answers nowhere, so it can lie on nothing else. */
static uint64_t decoded_base(const struct pci_host *host, const struct pci_function *function)
{
    uint64_t base =
        load_le64(function->config + PCI_BASE_ADDRESS_0) & ~(uint64_t)BAR_ATTRIBUTE_BITS;

    if (function->bar_size == 0 || !(function->config[PCI_COMMAND] & PCI_COMMAND_MEMORY))
        return PCI_BAR_UNMAPPED;
    return range_inside(base - host->board->window, function->bar_size, host->board->window_size)
               ? base
               : PCI_BAR_UNMAPPED;
}

/* With the host's lock held, or before the guest runs. */
static void follow_bar(const struct pci_host *host, struct pci_function *function)
{
    uint64_t base = decoded_base(host, function);

    if (base == function->bar_base)
        return;
    function->bar_base = base;
    if (function->ops && function->ops->bar_moved)
        function->ops->bar_moved(function, base);
}

int pci_host_add(struct pci_host *host, struct pci_function *function, unsigned device)
{
    uint64_t size = function->bar_size;
    uint64_t base = size ? align_up(host->next_bar, size) : 0;

    if (device >= PCI_DEVICES)
        return -EINVAL;
    if (host->functions[device])
        return -EEXIST;
    if (size && !range_inside(base - host->board->window, size, host->board->window_size))
        return -ENOSPC;
    function->device = device;
    if (function->interrupts)
        function->config[PCI_INTERRUPT_LINE] = (uint8_t)isa_irq(device);
    if (size) {
        host->next_bar = base + size;
        store_le64(function->config + PCI_BASE_ADDRESS_0,
                   base | function->config[PCI_BASE_ADDRESS_0]);
        function->config[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
    }
    host->functions[device] = function;
    follow_bar(host, function);
    return 0;
}

/* ---- Configuration. ---- */

/* The function at a place on the bus, or NULL. Each device has one. */
static struct pci_function *find_function(const struct pci_host *host, unsigned bus,
                                          unsigned device, unsigned number)
{
    return bus == 0 && number == 0 ? host->functions[device] : NULL;
}

/*
 * [offset, offset + len) of a function's configuration. What is over 256 bytes, ECAM's part, reads
 * as zero: no extended capabilities (PCI Express 5.0, section 7.6.3).
 */
static void config_read(struct pci_host *host, struct pci_function *function, unsigned offset,
                        void *data, unsigned len)
{
    unsigned part = offset < PCI_CONFIG_SIZE ? (unsigned)min_u64(len, PCI_CONFIG_SIZE - offset) : 0;

    if (!function) {
        memset(data, 0xff, len); /* section 3.2.2.3.4: nobody answers */
        return;
    }
    memset(data, 0, len);
    if (part == 0)
        return;
    pthread_mutex_lock(&host->lock);
    if (function->ops && function->ops->config_read)
        function->ops->config_read(function, offset, part);
    memcpy(data, function->config + offset, part);
    pthread_mutex_unlock(&host->lock);
}

static void config_write(struct pci_host *host, struct pci_function *function, unsigned offset,
                         const void *data, unsigned len)
{
    unsigned part = offset < PCI_CONFIG_SIZE ? (unsigned)min_u64(len, PCI_CONFIG_SIZE - offset) : 0;
    const uint8_t *bytes = data;

    if (!function || part == 0)
        return;
    pthread_mutex_lock(&host->lock);
    for (unsigned i = 0; i < part; i++) {
        uint8_t mask = function->writable[offset + i], *byte = &function->config[offset + i];

        *byte = (uint8_t)((*byte & ~mask) | (bytes[i] & mask));
    }
    follow_bar(host, function);
    if (function->ops && function->ops->config_written)
        function->ops->config_written(function, offset, part);
    pthread_mutex_unlock(&host->lock);
}

/* ---- By ports. ---- */

static uint32_t get_address(struct pci_host *host)
{
    return __atomic_load_n(&host->address, __ATOMIC_RELAXED);
}

static bool is_address_access(uint64_t offset, unsigned len)
{
    return offset == 0 && len == REGISTER_SIZE;
}

/* All in 0xcf8–0xcfb, and not of the address register, which only a double word reaches. */
static bool is_reset_access(const struct pci_host *host, uint64_t offset, unsigned len)
{
    return host->reset && offset + len <= DATA_OFFSET;
}

static bool is_data_access(uint32_t address, uint64_t offset)
{
    return offset >= DATA_OFFSET && (address & ADDRESS_ENABLE);
}

static struct pci_function *addressed(const struct pci_host *host, uint32_t address)
{
    return find_function(host, ADDRESS_BUS(address), ADDRESS_DEVICE(address),
                         ADDRESS_FUNCTION(address));
}

static void port_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct pci_host *host = container_of(range, struct pci_host, port_range);
    uint32_t address = get_address(host);

    if (is_address_access(offset, len))
        store_le32(data, address);
    else if (is_reset_access(host, offset, len))
        host->reset->ops->read(host->reset, offset, data, len);
    else if (is_data_access(address, offset))
        config_read(host, addressed(host, address),
                    ADDRESS_REGISTER(address) + (unsigned)offset - DATA_OFFSET, data, len);
    else
        memset(data, 0xff, len);
}

static void port_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct pci_host *host = container_of(range, struct pci_host, port_range);
    uint32_t address = get_address(host);

    if (is_address_access(offset, len))
        __atomic_store_n(&host->address, load_le32(data) & ADDRESS_KEPT_BITS, __ATOMIC_RELAXED);
    else if (is_reset_access(host, offset, len))
        host->reset->ops->write(host->reset, offset, data, len);
    else if (is_data_access(address, offset))
        config_write(host, addressed(host, address),
                     ADDRESS_REGISTER(address) + (unsigned)offset - DATA_OFFSET, data, len);
}

static const struct bus_ops port_ops = {.read = port_read, .write = port_write};

/* ---- By ECAM. ---- */

/* The function whose 4 KiB hold all of the access, or NULL. */
static struct pci_function *ecam_function(const struct pci_host *host, uint64_t offset,
                                          unsigned len)
{
    if (!range_inside(offset % ECAM_FUNCTION_SIZE, len, ECAM_FUNCTION_SIZE))
        return NULL;
    return find_function(host, 0, (unsigned)(offset >> ECAM_DEVICE_SHIFT),
                         ECAM_FUNCTION_MASK(offset));
}

static void ecam_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct pci_host *host = container_of(range, struct pci_host, ecam_range);

    config_read(host, ecam_function(host, offset, len), offset % ECAM_FUNCTION_SIZE, data, len);
}

static void ecam_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct pci_host *host = container_of(range, struct pci_host, ecam_range);

    config_write(host, ecam_function(host, offset, len), offset % ECAM_FUNCTION_SIZE, data, len);
}

static const struct bus_ops ecam_ops = {.read = ecam_read, .write = ecam_write};

/* ---- The window of BARs. ---- */

/*
 * The function whose BAR holds all of the access, and where in it; or NULL. The lock is let go
 * before the function is called: a BAR that moves at the same time moves after this access.
 */
static struct pci_function *find_bar(struct pci_host *host, uint64_t address, unsigned len,
                                     uint64_t *ret_offset)
{
    struct pci_function *found = NULL;

    pthread_mutex_lock(&host->lock);
    for (unsigned i = 0; i < PCI_DEVICES && !found; i++) {
        struct pci_function *function = host->functions[i];

        if (!function || function->bar_base == PCI_BAR_UNMAPPED)
            continue;
        if (range_inside(address - function->bar_base, len, function->bar_size)) {
            *ret_offset = address - function->bar_base;
            found = function;
        }
    }
    pthread_mutex_unlock(&host->lock);
    return found;
}

static void window_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct pci_host *host = container_of(range, struct pci_host, window_range);
    uint64_t at;
    struct pci_function *function = find_bar(host, range->base + offset, len, &at);

    if (function)
        function->ops->bar_read(function, at, data, len);
    else
        memset(data, 0xff, len);
}

static void window_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct pci_host *host = container_of(range, struct pci_host, window_range);
    uint64_t at;
    struct pci_function *function = find_bar(host, range->base + offset, len, &at);

    if (function)
        function->ops->bar_write(function, at, data, len);
}

static const struct bus_ops window_ops = {.read = window_read, .write = window_write};

/* ---- Interrupts. ---- */

/*
 * A device's part of a line that others may share: the line is high while anyone asserts it. The
 * levels go to KVM in order, for they are set under the lock.
 */
static void drive_line(struct pci_host *host, uint32_t gsi, unsigned device, bool level)
{
    uint32_t before = host->asserted[gsi], after = before & ~(UINT32_C(1) << device);

    if (level)
        after |= UINT32_C(1) << device;
    host->asserted[gsi] = after;
    if (host->vm && !before != !after)
        vm_irq_set_level(host->vm, gsi, after);
}

void pci_host_set_intx(struct pci_host *host, const struct pci_function *function, bool level)
{
    pthread_mutex_lock(&host->intx_lock);
    drive_line(host, pci_intx_gsi(function->device), function->device, level);
    drive_line(host, isa_irq(function->device), function->device, level);
    pthread_mutex_unlock(&host->intx_lock);
}

int pci_host_init(struct pci_host *host, const struct pci_board *board, struct bus_range *reset,
                  struct vm *vm)
{
    uint16_t level_triggered = 0;
    int r = 0;

    *host = (struct pci_host){
        .port_range = {PORT_PCI, PCI_PORT_COUNT, &port_ops, "PCI configuration"},
        .ecam_range = {LAYOUT_PCI_ECAM, LAYOUT_PCI_ECAM_SIZE, &ecam_ops, "PCI ECAM"},
        .window_range = {board->window, board->window_size, &window_ops, "PCI window"},
        .board = board,
        .reset = reset,
        .vm = vm,
        .next_bar = board->window,
    };
    pthread_mutex_init(&host->lock, NULL);
    pthread_mutex_init(&host->intx_lock, NULL);
    pci_function_init(&host->bridge, &bridge_id);
    if (board->bridge)
        r = pci_host_add(host, &host->bridge, 0);
    for (size_t i = 0; i < ARRAY_SIZE(isa_irqs); i++)
        level_triggered |= (uint16_t)(1U << isa_irqs[i]);
    if (r == 0 && vm)
        r = vm_irq_level_triggered(vm, level_triggered);
    if (r < 0)
        pci_host_destroy(host);
    return r;
}

void pci_host_destroy(struct pci_host *host)
{
    pthread_mutex_destroy(&host->lock);
    pthread_mutex_destroy(&host->intx_lock);
}
