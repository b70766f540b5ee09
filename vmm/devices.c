#include "devices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/util.h"
#include "guest/layout.h"
#include "guest/pci_host.h"
#include "net/mac.h"
#include "net/passt.h"
#include "net/tap.h"
#include "virtio/balloon.h"
#include "virtio/block.h"
#include "virtio/fs.h"
#include "virtio/mmio.h"
#include "virtio/net.h"
#include "virtio/pci.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"

/* As many as there are interrupt lines that no ISA device has; PCI could take more. */
#define MAX_DEVICES (IRQ_COUNT - IRQ_DEVICE_FIRST)

/* What Hermit's own hypervisor has of the network; its kernels are tried with no more. */
#define HERMIT_MTU 1500
#define HERMIT_NET_FEATURES                                                          \
    (VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU | VIRTIO_NET_F_CSUM | \
     VIRTIO_NET_F_GUEST_CSUM | VIRTIO_F_VERSION_1)

/* One device and the transport that it is behind. */
struct slot {
    char name[16]; /* "disk0" */
    struct virtio_device *device;
    bool connected;
    union {
        struct virtio_mmio mmio;
        struct virtio_pci pci;
    };
};

struct devices {
    struct devices_host host;
    const struct limits_config *limits; /* borrowed */
    enum config_transport transport;
    const char *vm_id;
    struct pci_host pci_host;
    bool pci_ready;
    struct slot slots[MAX_DEVICES];
    struct acpi_mmio_device mmio_devices[MAX_DEVICES];
    unsigned count;
    /* Of those in the slots, or NULL. */
    struct virtio_device *console, *balloon, *vsock, *rng;
    struct virtio_device *disks[CONFIG_MAX_DISKS], *nets[CONFIG_MAX_NETS];
    struct shared_rate all_rx, all_tx;
    bool rates_ready;
    bool has_shares;
    struct virtio_fs_budget shares; /* of --disk-limit, what disks leave */
};

static bool has_devices(const struct device_config *config)
{
    return config->disk_count || config->net_count || config->share_count || config->vsock.cid ||
           config->rng || config->balloon.wanted;
}

enum config_transport devices_transport(const struct config *config, bool hermit)
{
    if (config->devices.transport != TRANSPORT_DEFAULT)
        return config->devices.transport;
    /* Without a device there is no bus: it would cost a start some ioctls. */
    return hermit && has_devices(&config->devices) ? TRANSPORT_PCI : TRANSPORT_MMIO;
}

static struct virtio_env device_env(const struct devices *devices)
{
    return (struct virtio_env){
        .loop = devices->host.loop,
        .mem = devices->host.mem,
        .log = devices->host.log,
    };
}

/* The next free place, with a name for it. NULL, with the reason in err, where there is none. */
static struct slot *next_slot(struct devices *devices, const char *kind, unsigned number,
                              struct error *err)
{
    struct slot *slot = &devices->slots[devices->count];

    if (devices->count == MAX_DEVICES) {
        error_set(err, -E2BIG, "at most %u devices in all", (unsigned)MAX_DEVICES);
        return NULL;
    }
    snprintf(slot->name, sizeof(slot->name), "%s%u", kind, number);
    return slot;
}

/* The place of the next device, and its interrupt. */
static struct acpi_mmio_device next_mmio_place(const struct devices *devices)
{
    unsigned n = devices->count;

    if (devices->host.hermit)
        return (struct acpi_mmio_device){
            .base = LAYOUT_HERMIT_MMIO + n * LAYOUT_HERMIT_MMIO_STRIDE,
            .size = LAYOUT_HERMIT_MMIO_STRIDE,
            .gsi = IRQ_HERMIT_MMIO_FIRST + n,
        };
    return (struct acpi_mmio_device){
        .base = LAYOUT_VIRTIO_MMIO + n * (uint64_t)VIRTIO_MMIO_SIZE,
        .size = VIRTIO_MMIO_SIZE,
        .gsi = IRQ_DEVICE_FIRST + n,
    };
}

static int connect_mmio(struct devices *devices, struct slot *slot)
{
    struct acpi_mmio_device *place = &devices->mmio_devices[devices->count];
    struct irq_line irq;
    int r;

    *place = next_mmio_place(devices);
    r = vm_irq_connect(devices->host.vm, place->gsi, &irq);
    if (r < 0)
        return r;
    r = virtio_mmio_init(&slot->mmio, slot->device, place->base, place->size, irq, devices->host.vm,
                         devices->host.loop);
    if (r < 0) {
        irq_line_destroy(&irq);
        return r;
    }
    slot->connected = true;
    return bus_add(devices->host.mmio, &slot->mmio.range);
}

static int connect_pci(struct devices *devices, struct slot *slot)
{
    /* Device 0 is the host bridge, where there is one. */
    unsigned number = devices->count + devices->pci_host.board->bridge;
    int r =
        virtio_pci_init(&slot->pci, slot->device, &devices->pci_host, number, devices->host.loop);

    slot->connected = r == 0;
    return r;
}

/* Put the device that was just made behind its transport. */
static int connect_slot(struct devices *devices, struct slot *slot, struct error *err)
{
    int r = devices->transport == TRANSPORT_PCI ? connect_pci(devices, slot)
                                                : connect_mmio(devices, slot);

    devices->count++;
    if (r == -ENOSPC)
        return error_set(err, r, "there is no room for %s: %u devices at most", slot->name,
                         devices->count - 1);
    return r < 0 ? error_set_errno(err, r, "cannot connect %s", slot->name) : 0;
}

static int add_disk(struct devices *devices, const struct config_disk *disk, unsigned number,
                    struct error *err)
{
    static const enum block_cache caches[] = {
        [DISK_WRITEBACK] = BLOCK_CACHE_WRITEBACK,
        [DISK_UNSAFE] = BLOCK_CACHE_UNSAFE,
        [DISK_DIRECT] = BLOCK_CACHE_DIRECT,
    };
    struct virtio_block_options options = {
        .path = disk->path,
        .size = disk->size,
        .read_only = disk->read_only,
        .cache = caches[disk->cache],
        .bytes = disk->rate.bytes,
        .ops = disk->rate.operations,
    };
    struct virtio_env env = device_env(devices);
    struct slot *slot = next_slot(devices, "disk", number, err);
    int r;

    if (!slot)
        return -E2BIG;
    memcpy(options.serial, disk->serial, sizeof(options.serial));
    r = virtio_block_create(&env, slot->name, &options, &slot->device, err);
    if (r < 0)
        return error_prefix(err, r, "--disk %s", disk->path ? disk->path : "scratch");
    devices->disks[number] = slot->device;
    return connect_slot(devices, slot, err);
}

static int open_backend(const struct config_net *net, struct net_backend **ret_backend,
                        struct error *err)
{
    int r;

    switch (net->kind) {
    case NET_TAP:
        r = net_tap_open(net->name, false, ret_backend, err);
        return r < 0 ? error_prefix(err, r, "--net tap=%s", net->name) : 0;
    case NET_FD:
        r = net_tap_from_fd(net->fd, ret_backend, err);
        if (r == -EINVAL) /* not a tap: perhaps a socket that leads to a passt */
            r = net_passt_from_fd(net->fd, ret_backend, err);
        return r < 0 ? error_prefix(err, r, "--net fd=%d", net->fd) : 0;
    case NET_PASST_SOCKET:
        r = net_passt_connect(net->name, ret_backend, err);
        return r < 0 ? error_prefix(err, r, "--net passt=%s", net->name) : 0;
    default:
        r = net_passt_spawn("passt", ret_backend, err);
        return r < 0 ? error_prefix(err, r, "--net passt") : 0;
    }
}

static int add_net(struct devices *devices, const struct config_net *net, unsigned number,
                   struct error *err)
{
    _cleanup_(net_backend_close_cleanup) struct net_backend *backend = NULL;
    struct virtio_net_options options = {
        .mtu = net->mtu,
        .rx_bytes = net->rx.bytes,
        .rx_ops = net->rx.operations,
        .tx_bytes = net->tx.bytes,
        .tx_ops = net->tx.operations,
        .all_rx = devices->rates_ready ? &devices->all_rx : NULL,
        .all_tx = devices->rates_ready ? &devices->all_tx : NULL,
    };
    struct virtio_env env = device_env(devices);
    struct slot *slot = next_slot(devices, "net", number, err);
    int r;

    if (!slot)
        return -E2BIG;
    r = open_backend(net, &backend, err);
    if (r < 0)
        return r;
    if (devices->host.hermit && options.mtu == 0)
        options.mtu = HERMIT_MTU;
    if (net->has_mac)
        memcpy(options.mac, net->mac, sizeof(options.mac));
    else
        net_mac_derive(devices->vm_id, number, options.mac);
    r = virtio_net_create(&env, slot->name, backend, &options, &slot->device, err);
    if (r < 0)
        return error_prefix(err, r, "--net");
    backend = NULL; /* the device's now */
    devices->nets[number] = slot->device;
    if (devices->host.hermit)
        virtio_device_offer_only(slot->device, HERMIT_NET_FEATURES);
    return connect_slot(devices, slot, err);
}

/* As many connections as a guest may have, and what a machine needs besides. */
#define DESCRIPTORS_WANTED (VIRTIO_VSOCK_MAX_CONNECTIONS + 512)

/* The caller's soft limit is often 1,024; as far as the hard one goes it is ours to raise. */
static void raise_descriptor_limit(const struct log *log)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS_WANTED)
        return;
    limit.rlim_cur = min_u64(limit.rlim_max, DESCRIPTORS_WANTED);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < DESCRIPTORS_WANTED)
        log_info(log, "vsock: the limit of open files bounds the number of connections");
}

static int add_vsock(struct devices *devices, const struct config_vsock *vsock, struct error *err)
{
    struct virtio_vsock_options options = {
        .guest_cid = vsock->cid,
        .path = vsock->path,
        .bytes = vsock->rate.bytes,
        .ops = vsock->rate.operations,
    };
    struct virtio_env env = device_env(devices);
    struct slot *slot = next_slot(devices, "vsock", 0, err);
    int r;

    if (!slot)
        return -E2BIG;
    raise_descriptor_limit(devices->host.log);
    r = virtio_vsock_create(&env, slot->name, &options, &slot->device, err);
    if (r < 0)
        return error_prefix(err, r, "--vsock");
    devices->vsock = slot->device;
    return connect_slot(devices, slot, err);
}

static int add_rng(struct devices *devices, const struct config_rate *rate, struct error *err)
{
    const struct virtio_rng_options options = {.bytes = rate->bytes, .ops = rate->operations};
    struct virtio_env env = device_env(devices);
    struct slot *slot = next_slot(devices, "rng", 0, err);
    int r;

    if (!slot)
        return -E2BIG;
    r = virtio_rng_create(&env, slot->name, &options, &slot->device, err);
    devices->rng = slot->device;
    return r < 0 ? error_prefix(err, r, "--rng") : connect_slot(devices, slot, err);
}

static int add_balloon(struct devices *devices, const struct config_balloon *balloon,
                       struct error *err)
{
    struct virtio_balloon_options options = {
        .target_bytes = balloon->target,
        .deflate_on_oom = balloon->deflate_on_oom,
        .free_page_reporting = balloon->free_page_reporting,
        .stats_interval_s = balloon->stats_interval_s,
    };
    struct virtio_env env = device_env(devices);
    struct slot *slot = next_slot(devices, "balloon", 0, err);
    int r;

    if (!slot)
        return -E2BIG;
    r = virtio_balloon_create(&env, slot->name, &options, &slot->device, err);
    if (r < 0)
        return error_prefix(err, r, "--balloon");
    devices->balloon = slot->device;
    return connect_slot(devices, slot, err);
}

static int add_share(struct devices *devices, const struct config_share *share, unsigned number,
                     struct error *err)
{
    struct virtio_fs_options options = {
        .tag = share->tag,
        .path = share->path,
        .read_only = share->read_only,
        .budget = devices->limits->disk_bytes ? &devices->shares : NULL,
    };
    struct virtio_env env = device_env(devices);
    struct slot *slot = next_slot(devices, "share", number, err);
    int r;

    if (!slot)
        return -E2BIG;
    r = virtio_fs_create(&env, slot->name, &options, &slot->device, err);
    if (r < 0)
        return error_prefix(err, r, "--share %s=%s", share->tag, share->path);
    return connect_slot(devices, slot, err);
}

static int add_console(struct devices *devices, struct error *err)
{
    struct virtio_env env = device_env(devices);
    struct slot *slot = next_slot(devices, "console", 0, err);
    int r;

    if (!slot)
        return -E2BIG;
    r = virtio_console_create(&env, slot->name, devices->host.console, &slot->device, err);
    if (r < 0)
        return error_prefix(err, r, "--virtio-console");
    devices->console = slot->device;
    return connect_slot(devices, slot, err);
}

static int start_pci(struct devices *devices, struct error *err)
{
    struct bus *mmio = devices->host.mmio;
    int r =
        pci_host_init(&devices->pci_host, devices->host.hermit ? &pci_board_hermit : &pci_board_pc,
                      devices->host.reset_register, devices->host.vm);

    if (r < 0)
        return error_set_errno(err, r, "cannot make a PCI host");
    devices->pci_ready = true;
    r = bus_add(devices->host.ports, &devices->pci_host.port_range);
    if (r == 0 && !devices->host.hermit) /* nobody would tell a Hermit image of it */
        r = bus_add(mmio, &devices->pci_host.ecam_range);
    if (r == 0)
        r = bus_add(mmio, &devices->pci_host.window_range);
    return r < 0 ? error_set_errno(err, r, "the PCI host's ports, 0xcf8 to 0xcff, are taken") : 0;
}

/* What the disks, which are the slots from `first` on, leave of --disk-limit is for the shares. */
static int limit_disks(struct devices *devices, const struct device_config *config, unsigned first,
                       struct error *err)
{
    uint64_t left = devices->limits->disk_bytes;
    char size[32];

    if (!left)
        return 0;
    for (unsigned i = 0; i < config->disk_count; i++) {
        uint64_t bytes = virtio_block_size(devices->slots[first + i].device);

        if (config->disks[i].read_only)
            continue;
        if (bytes > left)
            return error_set(err, -ENOSPC, "--disk-limit: the writable disks have more than %s",
                             format_size(devices->limits->disk_bytes, size, sizeof(size)));
        left -= bytes;
    }
    devices->shares.left = left;
    return 0;
}

static void init_rates(struct devices *devices, uint64_t bytes_per_second)
{
    uint64_t now_ns = clock_monotonic_ns();

    shared_rate_init(&devices->all_rx, bytes_per_second, now_ns);
    shared_rate_init(&devices->all_tx, bytes_per_second, now_ns);
    devices->rates_ready = true;
}

static int add_disks(struct devices *devices, const struct device_config *config, struct error *err)
{
    unsigned first = devices->count;
    int r = 0;

    for (unsigned i = 0; r == 0 && i < config->disk_count; i++)
        r = add_disk(devices, &config->disks[i], i, err);
    if (r == 0)
        r = limit_disks(devices, config, first, err);
    return r;
}

/*
 * All of them, in the order in which the guest will number them. A Hermit image has its network
 * first, for that is where it looks; for disks it has no driver.
 */
static int add_all(struct devices *devices, const struct device_config *config, struct error *err)
{
    int r = devices->host.hermit ? 0 : add_disks(devices, config, err);

    for (unsigned i = 0; r == 0 && i < config->net_count; i++)
        r = add_net(devices, &config->nets[i], i, err);
    for (unsigned i = 0; r == 0 && i < config->share_count; i++)
        r = add_share(devices, &config->shares[i], i, err);
    if (r == 0 && config->vsock.cid)
        r = add_vsock(devices, &config->vsock, err);
    if (r == 0 && config->rng)
        r = add_rng(devices, &config->rng_rate, err);
    if (r == 0 && config->balloon.wanted)
        r = add_balloon(devices, &config->balloon, err);
    if (r == 0 && devices->host.console)
        r = add_console(devices, err);
    if (r == 0 && devices->host.hermit)
        r = add_disks(devices, config, err);
    return r;
}

DEFINE_CLEANUP(struct devices, devices_destroy)

int devices_create(const struct config *config, const struct devices_host *host,
                   struct devices **ret_devices, struct error *err)
{
    _cleanup_(devices_destroy_cleanup) struct devices *devices = calloc(1, sizeof(*devices));
    int r = 0;

    if (!devices)
        return error_set(err, -ENOMEM, "out of memory");
    devices->host = *host;
    devices->limits = &config->limits;
    devices->transport = devices_transport(config, host->hermit);
    devices->vm_id = config->id ? config->id : "osvm";
    devices->has_shares = config->devices.share_count > 0;
    if (config->limits.net_bytes_per_second)
        init_rates(devices, config->limits.net_bytes_per_second);
    if (devices->transport == TRANSPORT_PCI)
        r = start_pci(devices, err);
    if (r == 0)
        r = add_all(devices, &config->devices, err);
    if (r < 0)
        return r;
    *ret_devices = take_ptr(devices);
    return 0;
}

void devices_destroy(struct devices *devices)
{
    if (!devices)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(devices->slots); i++) {
        struct slot *slot = &devices->slots[i];

        if (slot->connected && devices->transport == TRANSPORT_PCI)
            virtio_pci_destroy(&slot->pci);
        else if (slot->connected)
            virtio_mmio_destroy(&slot->mmio);
        if (slot->device)
            slot->device->ops->destroy(slot->device);
    }
    if (devices->rates_ready) {
        shared_rate_destroy(&devices->all_rx);
        shared_rate_destroy(&devices->all_tx);
    }
    if (devices->pci_ready)
        pci_host_destroy(&devices->pci_host);
    free(devices);
}

struct virtio_device *devices_console(const struct devices *devices)
{
    return devices->console;
}

struct virtio_device *devices_balloon(const struct devices *devices)
{
    return devices->balloon;
}

struct virtio_device *devices_rng(const struct devices *devices)
{
    return devices->rng;
}

struct virtio_device *devices_disk(const struct devices *devices, unsigned number)
{
    return number < CONFIG_MAX_DISKS ? devices->disks[number] : NULL;
}

struct virtio_device *devices_net(const struct devices *devices, unsigned number)
{
    return number < CONFIG_MAX_NETS ? devices->nets[number] : NULL;
}

int devices_start(struct devices *devices, struct thread_hook *hook, struct error *err)
{
    for (unsigned i = 0; i < devices->count; i++) {
        struct virtio_device *device = devices->slots[i].device;
        int r = device->ops->start ? device->ops->start(device, hook) : 0;

        if (r < 0)
            return error_set_errno(err, r, "cannot start %s", devices->slots[i].name);
    }
    return 0;
}

struct virtio_device *devices_vsock(const struct devices *devices)
{
    return devices->vsock;
}

uint64_t devices_take_disk(struct devices *devices, uint64_t wanted)
{
    uint64_t left = devices->shares.left;

    if (!devices->limits->disk_bytes)
        return wanted;
    if (devices->has_shares)
        left /= 2;
    wanted = min_u64(wanted, left);
    devices->shares.left -= wanted;
    return max_u64(wanted, 1); /* 0 would be no limit */
}

void devices_describe(const struct devices *devices, struct acpi_options *acpi)
{
    acpi->pci = devices->pci_ready;
    if (devices->transport == TRANSPORT_PCI)
        return;
    acpi->mmio_devices = devices->mmio_devices;
    acpi->mmio_device_count = devices->count;
}

bool devices_have_pci(const struct devices *devices)
{
    return devices->transport == TRANSPORT_PCI && devices->count > 0;
}

static bool turns_acpi_off(const char *cmdline)
{
    const char *found = strstr(cmdline, "acpi=off");

    return found && (found == cmdline || found[-1] == ' ') && (!found[8] || found[8] == ' ');
}

int devices_cmdline(const struct devices *devices, const char *cmdline, char **ret_cmdline)
{
    size_t room =
        strlen(cmdline) + devices->count * sizeof(" virtio_mmio.device=4K@0x123456789:12");
    char *text = malloc(room + 1);
    int used;

    if (!text)
        return -ENOMEM;
    used = snprintf(text, room + 1, "%s", cmdline);
    for (unsigned i = 0;
         devices->transport == TRANSPORT_MMIO && turns_acpi_off(cmdline) && i < devices->count; i++)
        used += snprintf(text + used, room + 1 - (size_t)used,
                         " virtio_mmio.device=4K@0x%" PRIx64 ":%" PRIu32,
                         devices->mmio_devices[i].base, devices->mmio_devices[i].gsi);
    *ret_cmdline = text;
    return 0;
}
