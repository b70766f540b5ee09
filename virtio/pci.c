/* Section numbers are those of virtio 1.2. */
#include "virtio/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "pci_internal.h"

#define VENDOR         0x1af4 /* 4.1.2 */
#define DEVICE_ID_BASE 0x1040 /* 4.1.2: plus the virtio device id */
#define REVISION       1      /* 4.1.2.1: at least */

/* Struct virtio_pci_cap, section 4.1.4. */
#define CAP_LEN        2
#define CAP_CFG_TYPE   3
#define CAP_BAR        4
#define CAP_OFFSET     8
#define CAP_LENGTH     12
#define CAP_SIZE       16
#define CAP_MULTIPLIER 16 /* VIRTIO_PCI_CAP_NOTIFY_CFG */
#define CAP_DATA       16 /* VIRTIO_PCI_CAP_PCI_CFG */
#define CAP_MORE_SIZE  20 /* of these two */

enum {
    CFG_COMMON = 1,
    CFG_NOTIFY = 2,
    CFG_ISR = 3,
    CFG_DEVICE = 4,
    CFG_PCI = 5,
};

#define COMMON_SIZE       64
#define ISR_SIZE          1
#define NOTIFY_MULTIPLIER 4
#define WINDOW_DATA_SIZE  4

/* PCI code and id assignment specification 1.11. Where it has no class, "other". */
static uint32_t class_code(enum virtio_id id)
{
    switch (id) {
    case VIRTIO_ID_NET:
        return 0x020000; /* Ethernet */
    case VIRTIO_ID_BLOCK:
    case VIRTIO_ID_FS:
        return 0x018000; /* mass storage, other */
    case VIRTIO_ID_CONSOLE:
    case VIRTIO_ID_VSOCK:
        return 0x078000; /* communication, other */
    case VIRTIO_ID_RNG:
    case VIRTIO_ID_BALLOON:
        break;
    }
    return 0xff0000; /* of no class */
}

/* ---- The memory behind the BAR. ---- */

static void part_read(struct virtio_pci *pci, uint64_t part, uint64_t offset, void *data,
                      unsigned len)
{
    memset(data, 0, len);
    switch (part) {
    case VIRTIO_PCI_COMMON:
        virtio_pci_common_read(pci, offset, data, len);
        break;
    case VIRTIO_PCI_ISR:
        if (offset == 0)
            *(uint8_t *)data = virtio_pci_take_isr(pci);
        break;
    case VIRTIO_PCI_DEVICE:
        virtio_device_config_read(pci->device, offset, data, len);
        break;
    case VIRTIO_PCI_MSIX:
        virtio_pci_msix_read(pci, offset, data, len);
        break;
    case VIRTIO_PCI_PBA:
        virtio_pci_pba_read(pci, offset, data, len);
        break;
    default: /* the doorbells are write-only; behind all is nothing */
        break;
    }
}

/* The work is the loop's, however the guest calls for it: this is a vCPU's thread. */
static void ring(struct virtio_pci *pci, uint64_t queue)
{
    const uint64_t one = 1;
    bool driver_ok;

    if (queue >= pci->device->queue_count)
        return;
    if (!pci->host->vm) { /* nor a vCPU's thread, then */
        virtio_device_notify(pci->device, (unsigned)queue);
        return;
    }
    pthread_mutex_lock(&pci->notify_lock);
    driver_ok = pci->driver_ok;
    pthread_mutex_unlock(&pci->notify_lock);
    if (!driver_ok)
        return;
    if (write(pci->notifiers[queue].source.fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: it has been called often enough. */
    }
}

static void part_write(struct virtio_pci *pci, uint64_t part, uint64_t offset, const void *data,
                       unsigned len)
{
    switch (part) {
    case VIRTIO_PCI_COMMON:
        virtio_pci_common_write(pci, offset, data, len);
        break;
    case VIRTIO_PCI_DEVICE:
        virtio_device_config_write(pci->device, offset, data, len);
        break;
    case VIRTIO_PCI_NOTIFY: /* by the capability's window, or without ioeventfds. 4.1.5.2: the
                               queue is told by the address */
        if (offset % NOTIFY_MULTIPLIER == 0)
            ring(pci, offset / NOTIFY_MULTIPLIER);
        break;
    case VIRTIO_PCI_MSIX:
        virtio_pci_msix_write(pci, offset, data, len);
        break;
    default:
        break;
    }
}

static bool is_in_one_part(uint64_t offset, unsigned len)
{
    return range_inside(offset % VIRTIO_PCI_PART, len, VIRTIO_PCI_PART);
}

static void bar_read(struct pci_function *function, uint64_t offset, void *data, unsigned len)
{
    struct virtio_pci *pci = container_of(function, struct virtio_pci, function);
    uint64_t within = offset % VIRTIO_PCI_PART;

    if (is_in_one_part(offset, len))
        part_read(pci, offset - within, within, data, len);
    else
        memset(data, 0, len);
}

static void bar_write(struct pci_function *function, uint64_t offset, const void *data,
                      unsigned len)
{
    struct virtio_pci *pci = container_of(function, struct virtio_pci, function);
    uint64_t within = offset % VIRTIO_PCI_PART;

    if (is_in_one_part(offset, len))
        part_write(pci, offset - within, within, data, len);
}

/* ---- Doorbells. ---- */

/*
 * Where a queue's notifications go by ioeventfd now: nowhere before the first DRIVER_OK, so that a
 * driver that looks for the BAR's size does not move them about. They stay where they are over a
 * reset, because KVM waits for a grace period, milliseconds long, to take one away; a device that
 * is not active does not listen to them.
 */
static uint64_t doorbell(const struct virtio_pci *pci, unsigned queue)
{
    uint64_t place = pci->bar_base + VIRTIO_PCI_NOTIFY + (uint64_t)queue * NOTIFY_MULTIPLIER;

    if (pci->bar_base == PCI_BAR_UNMAPPED)
        return PCI_BAR_UNMAPPED;
    return pci->driver_ok || pci->notifiers[queue].attached == place ? place : PCI_BAR_UNMAPPED;
}

/* Where KVM takes no ioeventfd, the writes come to bar_write(). */
static void move_doorbells(struct virtio_pci *pci)
{
    struct vm *vm = pci->host->vm;

    for (unsigned i = 0; vm && i < pci->device->queue_count; i++) {
        struct virtio_pci_notifier *notifier = &pci->notifiers[i];
        uint64_t wanted = doorbell(pci, i);

        if (notifier->attached == wanted)
            continue;
        if (notifier->attached != PCI_BAR_UNMAPPED)
            vm_notify_detach(vm, notifier->attached, notifier->source.fd);
        notifier->attached = PCI_BAR_UNMAPPED;
        if (wanted != PCI_BAR_UNMAPPED && vm_notify_attach(vm, wanted, notifier->source.fd) == 0)
            notifier->attached = wanted;
    }
}

static void bar_moved(struct pci_function *function, uint64_t base)
{
    struct virtio_pci *pci = container_of(function, struct virtio_pci, function);

    pthread_mutex_lock(&pci->notify_lock);
    pci->bar_base = base;
    move_doorbells(pci);
    pthread_mutex_unlock(&pci->notify_lock);
}

void virtio_pci_status_changed(struct virtio_pci *pci)
{
    pthread_mutex_lock(&pci->notify_lock);
    pci->driver_ok = virtio_device_status(pci->device) & VIRTIO_STATUS_DRIVER_OK;
    move_doorbells(pci);
    pthread_mutex_unlock(&pci->notify_lock);
}

static void on_notification(struct loop_source *source, uint32_t events)
{
    struct virtio_pci_notifier *notifier = container_of(source, struct virtio_pci_notifier, source);
    uint64_t count;

    (void)events;
    if (read(source->fd, &count, sizeof(count)) == sizeof(count))
        virtio_device_notify(notifier->pci->device,
                             (unsigned)(notifier - notifier->pci->notifiers));
}

/* ---- Configuration space. ---- */

static bool overlap(unsigned offset, unsigned len, unsigned at, unsigned size)
{
    return offset < at + size && at < offset + len;
}

/*
 * VIRTIO_PCI_CAP_PCI_CFG, section 4.1.4.9: an access to its data is one to the BAR, whether or not
 * memory is enabled. Returns whether the driver has said a place that is there.
 */
static bool window_target(const struct virtio_pci *pci, uint32_t *ret_offset, uint32_t *ret_len)
{
    const uint8_t *cap = pci->function.config + pci->window_capability;
    uint32_t offset = load_le32(cap + CAP_OFFSET), len = load_le32(cap + CAP_LENGTH);

    if (cap[CAP_BAR] != 0 || (len != 1 && len != 2 && len != 4) || offset % len != 0 ||
        !range_inside(offset, len, VIRTIO_PCI_PARTS_SIZE))
        return false;
    *ret_offset = offset;
    *ret_len = len;
    return true;
}

static void config_read(struct pci_function *function, unsigned offset, unsigned len)
{
    struct virtio_pci *pci = container_of(function, struct virtio_pci, function);
    unsigned data = pci->window_capability + CAP_DATA;
    uint32_t at, size;

    if (overlap(offset, len, PCI_STATUS, 1)) {
        function->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
        if (virtio_pci_interrupt_status(pci))
            function->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
    }
    if (pci->window_capability && overlap(offset, len, data, WINDOW_DATA_SIZE) &&
        window_target(pci, &at, &size))
        bar_read(function, at, function->config + data, size);
}

static void config_written(struct pci_function *function, unsigned offset, unsigned len)
{
    struct virtio_pci *pci = container_of(function, struct virtio_pci, function);
    unsigned data = pci->window_capability + CAP_DATA, control = pci->msix_capability + 2;
    uint32_t at, size;

    if (overlap(offset, len, PCI_COMMAND, 2))
        virtio_pci_set_intx_disabled(pci, load_le16(function->config + PCI_COMMAND) &
                                              PCI_COMMAND_INTX_DISABLE);
    if (pci->msix_capability && overlap(offset, len, control, 2)) {
        uint16_t flags = load_le16(function->config + control);

        virtio_pci_set_msix_control(pci, flags & PCI_MSIX_FLAGS_ENABLE,
                                    flags & PCI_MSIX_FLAGS_MASKALL);
    }
    if (pci->window_capability && overlap(offset, len, data, WINDOW_DATA_SIZE) &&
        window_target(pci, &at, &size))
        bar_write(function, at, function->config + data, size);
}

static const struct pci_function_ops function_ops = {
    .bar_read = bar_read,
    .bar_write = bar_write,
    .bar_moved = bar_moved,
    .config_read = config_read,
    .config_written = config_written,
};

/* Section 6.8.2 of PCI 3.0. Returns its offset or a negative errno. */
static int add_msix(struct virtio_pci *pci)
{
    int at = pci_function_add_capability(&pci->function, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
    uint8_t *cap;

    if (at < 0)
        return at;
    cap = pci->function.config + at;
    store_le16(cap + PCI_MSIX_FLAGS, (uint16_t)(pci->vector_count - 1));
    store_le16(pci->function.writable + at + PCI_MSIX_FLAGS,
               PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    store_le32(cap + PCI_MSIX_TABLE, VIRTIO_PCI_MSIX); /* the low bits are the BAR's number, 0 */
    store_le32(cap + PCI_MSIX_PBA, VIRTIO_PCI_PBA);
    return at;
}

/* Returns its offset or a negative errno. */
static int add_virtio_capability(struct virtio_pci *pci, uint8_t type, unsigned cap_size,
                                 uint32_t offset, uint32_t length)
{
    int at = pci_function_add_capability(&pci->function, PCI_CAP_ID_VNDR, cap_size);
    uint8_t *cap;

    if (at < 0)
        return at;
    cap = pci->function.config + at;
    cap[CAP_LEN] = (uint8_t)cap_size;
    cap[CAP_CFG_TYPE] = type;
    store_le32(cap + CAP_OFFSET, offset);
    store_le32(cap + CAP_LENGTH, length);
    return at;
}

static int add_notify(struct virtio_pci *pci)
{
    int at = add_virtio_capability(pci, CFG_NOTIFY, CAP_MORE_SIZE, VIRTIO_PCI_NOTIFY,
                                   pci->device->queue_count * NOTIFY_MULTIPLIER);

    if (at >= 0)
        store_le32(pci->function.config + at + CAP_MULTIPLIER, NOTIFY_MULTIPLIER);
    return at;
}

static int add_window(struct virtio_pci *pci)
{
    int at = add_virtio_capability(pci, CFG_PCI, CAP_MORE_SIZE, 0, 0);
    uint8_t *writable;

    if (at < 0)
        return at;
    writable = pci->function.writable + at;
    writable[CAP_BAR] = 0xff;
    memset(writable + CAP_OFFSET, 0xff, CAP_MORE_SIZE - CAP_OFFSET);
    return at;
}

/* Those that drive the device. Returns a positive number or a negative errno. */
static int add_registers(struct virtio_pci *pci)
{
    uint32_t config_size = pci->device->config_size;
    int r = add_virtio_capability(pci, CFG_COMMON, CAP_SIZE, VIRTIO_PCI_COMMON, COMMON_SIZE);

    if (r >= 0)
        r = add_notify(pci);
    if (r >= 0)
        r = add_virtio_capability(pci, CFG_ISR, CAP_SIZE, VIRTIO_PCI_ISR, ISR_SIZE);
    if (r >= 0 && config_size > 0) /* 4.1.4.6.1: only where the device has one */
        r = add_virtio_capability(pci, CFG_DEVICE, CAP_SIZE, VIRTIO_PCI_DEVICE, config_size);
    return r;
}

static int add_capabilities(struct virtio_pci *pci)
{
    bool plain = pci->host->board->plain;
    int r = plain ? 0 : add_msix(pci);

    if (r >= 0) {
        pci->msix_capability = (unsigned)r;
        r = add_registers(pci);
    }
    if (r >= 0 && !plain) {
        r = add_window(pci);
        if (r >= 0)
            pci->window_capability = (unsigned)r;
    }
    return r < 0 ? r : 0;
}

/* ---- Life. ---- */

static int add_notifier(struct virtio_pci *pci, unsigned queue)
{
    struct virtio_pci_notifier *notifier = &pci->notifiers[queue];
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return -errno;
    notifier->source =
        (struct loop_source){.fd = fd, .events = EPOLLIN, .callback = on_notification};
    return loop_add(pci->loop, &notifier->source);
}

static void init_function(struct virtio_pci *pci)
{
    uint16_t id = (uint16_t)(DEVICE_ID_BASE + pci->device->id);

    pci->function.ops = &function_ops;
    pci->function.bar_size = max_u64(VIRTIO_PCI_PARTS_SIZE, pci->host->board->bar_size);
    pci->function.interrupts = true;
    pci_function_init(&pci->function, &(struct pci_id){
                                          .vendor = VENDOR,
                                          .device = id,
                                          .subsystem_vendor = VENDOR,
                                          .subsystem = id,
                                          .class_code = class_code(pci->device->id),
                                          .revision = REVISION,
                                      });
}

int virtio_pci_init(struct virtio_pci *pci, struct virtio_device *device, struct pci_host *host,
                    unsigned number, struct loop *loop)
{
    int r;

    *pci = (struct virtio_pci){
        .device = device,
        .host = host,
        .loop = loop,
        .bar_base = PCI_BAR_UNMAPPED,
    };
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
        pci->notifiers[i] =
            (struct virtio_pci_notifier){.source.fd = -1, .pci = pci, .attached = PCI_BAR_UNMAPPED};
    pthread_mutex_init(&pci->notify_lock, NULL);
    init_function(pci);
    r = virtio_pci_interrupts_init(pci);
    for (unsigned i = 0; r == 0 && host->vm && i < device->queue_count; i++)
        r = add_notifier(pci, i);
    if (r == 0)
        r = add_capabilities(pci);
    if (r == 0)
        r = pci_host_add(host, &pci->function, number); /* the last: there is no way back */
    if (r < 0) {
        virtio_pci_destroy(pci);
        return r;
    }
    virtio_pci_interrupts_reset(pci);
    virtio_pci_reset_queue_sizes(pci);
    virtio_device_connect(device, &virtio_pci_transport_ops, pci);
    return 0;
}

void virtio_pci_destroy(struct virtio_pci *pci)
{
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        struct loop_source *source = &pci->notifiers[i].source;

        loop_remove(pci->loop, source);
        close_fd(take_fd(&source->fd));
    }
    virtio_pci_interrupts_deinit(pci);
    pthread_mutex_destroy(&pci->notify_lock);
}
