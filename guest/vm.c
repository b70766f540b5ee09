#include "guest/vm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "guest/layout.h"

/* The two 8259s, by KVM's numbers, and the table of routes that has their pins and the IOAPIC's. */
static const uint32_t pic_chips[] = {KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE};
#define PIC_COUNT  ARRAY_SIZE(pic_chips)
#define PIC_PINS   8
#define PIN_ROUTES (IRQ_COUNT + PIC_COUNT * PIC_PINS)

static int create_vm(const struct kvm *kvm)
{
    int fd;

    do {
        fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);
    } while (fd < 0 && errno == EINTR); /* a signal may come while KVM allocates */
    return fd < 0 ? -errno : fd;
}

static int set_memory_slots(struct vm *vm, const struct guest_memory *mem)
{
    size_t count;
    const struct guest_region *regions = guest_memory_regions(mem, &count);

    for (size_t i = 0; i < count; i++) {
        struct kvm_userspace_memory_region slot = {
            .slot = (uint32_t)i,
            .guest_phys_addr = regions[i].gpa,
            .memory_size = regions[i].size,
            .userspace_addr = (uint64_t)(uintptr_t)regions[i].host,
        };

        if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
            return -errno;
    }
    return 0;
}

#define ZEROES_SIZE (LAYOUT_MP_SEARCH_END - LAYOUT_MP_SEARCH_BASE)

/*
 * Where RAM does not begin at 0, a kernel that looks for an MP table as on a PC finds zeroes, and
 * does not come out for each word that it reads. It can only read: on the host it is the kernel's
 * one page of zeroes. All of it is one slot, since on a busy host each may wait for a grace period.
 */
static int set_mp_search_slot(struct vm *vm, const struct guest_memory *mem)
{
    size_t count;
    struct kvm_userspace_memory_region slot = {
        .flags = KVM_MEM_READONLY,
        .guest_phys_addr = LAYOUT_MP_SEARCH_BASE,
        .memory_size = ZEROES_SIZE,
    };

    if (guest_memory_regions(mem, &count)[0].gpa == 0)
        return 0;
    vm->zeroes = mmap(NULL, ZEROES_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (vm->zeroes == MAP_FAILED) {
        vm->zeroes = NULL;
        return -errno;
    }
    slot.slot = (uint32_t)count;
    slot.userspace_addr = (uint64_t)(uintptr_t)vm->zeroes;
    return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0 ? -errno : 0;
}

static int enable_wide_apic_ids(struct vm *vm)
{
    struct kvm_enable_cap cap = {
        .cap = KVM_CAP_X2APIC_API,
        .args = {KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK},
    };

    if (!vm->kvm->has_x2apic_api)
        return 0;
    return ioctl(vm->fd, KVM_ENABLE_CAP, &cap) < 0 ? -errno : 0;
}

int vm_create(struct vm *vm, const struct kvm *kvm, const struct guest_memory *mem,
              struct error *err)
{
    int r = create_vm(kvm);

    *vm = (struct vm){
        .kvm = kvm,
        .fd = r < 0 ? -1 : r,
        .routes_lock = PTHREAD_MUTEX_INITIALIZER,
    };
    if (r < 0)
        return error_set_errno(err, r, "KVM cannot create a VM");
    /*
     * Memory before the interrupt controllers: these register devices on KVM's own buses, and a
     * memory slot set after that waits for their grace periods, several milliseconds long.
     */
    r = set_memory_slots(vm, mem);
    if (r == 0)
        r = set_mp_search_slot(vm, mem);
    if (r < 0)
        error_set_errno(err, r, "KVM does not take the guest's memory");
    if (r == 0 && ioctl(vm->fd, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS_BASE) < 0)
        r = error_set_errno(err, -errno, "KVM does not take a TSS address");
    if (r == 0 && ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
        r = error_set_errno(err, -errno, "KVM cannot create the interrupt controllers");
    if (r == 0) {
        r = enable_wide_apic_ids(vm);
        if (r < 0)
            error_set_errno(err, r, "KVM does not take 32-bit APIC ids");
    }
    if (r < 0)
        vm_destroy(vm);
    return r;
}

void vm_destroy(struct vm *vm)
{
    close_fd(take_fd(&vm->fd));
    free(take_ptr(vm->routes));
    if (vm->zeroes)
        munmap(take_ptr(vm->zeroes), ZEROES_SIZE);
}

int vm_irq_connect(struct vm *vm, uint32_t gsi, struct irq_line *ret_line)
{
    if (gsi >= IRQ_COUNT)
        return -EINVAL;
    *ret_line = (struct irq_line){.fd = vm->fd, .gsi = gsi, .is_pin = true};
    return 0;
}

static int connect_irqfd(struct vm *vm, uint32_t gsi, struct irq_line *ret_line)
{
    struct kvm_irqfd irqfd = {.gsi = gsi};
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return -errno;
    irqfd.fd = (uint32_t)fd;
    if (ioctl(vm->fd, KVM_IRQFD, &irqfd) < 0) {
        int code = -errno;

        close_fd(fd);
        return code;
    }
    *ret_line = (struct irq_line){.fd = fd, .gsi = gsi};
    return 0;
}

int vm_irq_set_level(struct vm *vm, uint32_t gsi, bool level)
{
    struct kvm_irq_level line = {.irq = gsi, .level = level};

    return ioctl(vm->fd, KVM_IRQ_LINE, &line) < 0 ? -errno : 0;
}

int vm_irq_level_triggered(struct vm *vm, uint16_t isa_irqs)
{
    for (unsigned i = 0; i < PIC_COUNT; i++) {
        struct kvm_irqchip chip = {.chip_id = pic_chips[i]};

        if (ioctl(vm->fd, KVM_GET_IRQCHIP, &chip) < 0)
            return -errno;
        chip.chip.pic.elcr |= (uint8_t)(isa_irqs >> (PIC_PINS * i));
        if (ioctl(vm->fd, KVM_SET_IRQCHIP, &chip) < 0)
            return -errno;
    }
    return 0;
}

/* The table starts with what KVM itself begins with: every GSI is the pin of the same number. */
static struct kvm_irq_routing_entry pin_route(uint32_t gsi, uint32_t chip, uint32_t pin)
{
    return (struct kvm_irq_routing_entry){
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_IRQCHIP,
        .u.irqchip = {.irqchip = chip, .pin = pin},
    };
}

static void add_pin_routes(struct kvm_irq_routing *routes)
{
    for (uint32_t gsi = 0; gsi < IRQ_COUNT; gsi++)
        routes->entries[routes->nr++] = pin_route(gsi, KVM_IRQCHIP_IOAPIC, gsi);
    for (uint32_t gsi = 0; gsi < PIC_COUNT * PIC_PINS; gsi++)
        routes->entries[routes->nr++] = pin_route(gsi, pic_chips[gsi / PIC_PINS], gsi % PIC_PINS);
}

/* Room in the table for one message more, so that nothing is allocated while the guest runs. */
static int grow_routes(struct vm *vm)
{
    size_t entries = PIN_ROUTES + vm->msi_count + 1;
    struct kvm_irq_routing *routes =
        realloc(vm->routes, sizeof(*routes) + entries * sizeof(routes->entries[0]));

    if (!routes)
        return -ENOMEM;
    if (!vm->routes) {
        memset(routes, 0, sizeof(*routes));
        add_pin_routes(routes);
    }
    vm->routes = routes;
    return 0;
}

int vm_msi_connect(struct vm *vm, struct irq_line *ret_line)
{
    int r = vm->msi_count < VM_MAX_MSIS ? grow_routes(vm) : -ENOSPC;

    if (r == 0)
        r = connect_irqfd(vm, IRQ_COUNT + vm->msi_count, ret_line);
    if (r == 0)
        vm->msi_count++;
    return r;
}

/* The entry of a message, or the place after the last one. The lock is held. */
static uint32_t find_msi_route(const struct kvm_irq_routing *routes, uint32_t gsi)
{
    uint32_t i = PIN_ROUTES;

    while (i < routes->nr && routes->entries[i].gsi != gsi)
        i++;
    return i;
}

static int set_msi_route(struct vm *vm, const struct kvm_irq_routing_entry *entry)
{
    struct kvm_irq_routing *routes = vm->routes;
    uint32_t at = find_msi_route(routes, entry->gsi), count = routes->nr;
    struct kvm_irq_routing_entry before = *entry;

    if (at < count) {
        before = routes->entries[at];
        if (memcmp(&before.u.msi, &entry->u.msi, sizeof(before.u.msi)) == 0)
            return 0; /* replacing the table is not for nothing: KVM waits for a grace period */
    } else {
        routes->nr++;
    }
    routes->entries[at] = *entry;
    if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, routes) < 0) {
        int code = -errno;

        routes->entries[at] = before;
        routes->nr = count;
        return code;
    }
    return 0;
}

int vm_msi_route(struct vm *vm, uint32_t gsi, uint64_t address, uint32_t data)
{
    struct kvm_irq_routing_entry entry = {
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_MSI,
        .u.msi = {.address_lo = (uint32_t)address,
                  .address_hi = (uint32_t)(address >> 32),
                  .data = data},
    };
    int r;

    if (gsi < IRQ_COUNT || gsi - IRQ_COUNT >= vm->msi_count)
        return -EINVAL;
    pthread_mutex_lock(&vm->routes_lock);
    r = set_msi_route(vm, &entry);
    pthread_mutex_unlock(&vm->routes_lock);
    return r;
}

int vm_notify_on_write(struct vm *vm, uint64_t gpa, unsigned len, uint64_t value)
{
    struct kvm_ioeventfd ioeventfd = {
        .datamatch = value,
        .addr = gpa,
        .len = len,
        .flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
    };
    _cleanup_close_ int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return -errno;
    ioeventfd.fd = fd;
    if (ioctl(vm->fd, KVM_IOEVENTFD, &ioeventfd) < 0)
        return -errno;
    return take_fd(&fd);
}

/* Of no length and no value to match: KVM then need not decode the guest's instruction. */
static int set_notify(struct vm *vm, uint64_t gpa, int fd, uint32_t flags)
{
    struct kvm_ioeventfd ioeventfd = {.addr = gpa, .fd = fd, .flags = flags};

    return ioctl(vm->fd, KVM_IOEVENTFD, &ioeventfd) < 0 ? -errno : 0;
}

int vm_notify_attach(struct vm *vm, uint64_t gpa, int fd)
{
    return set_notify(vm, gpa, fd, 0);
}

void vm_notify_detach(struct vm *vm, uint64_t gpa, int fd)
{
    set_notify(vm, gpa, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}
