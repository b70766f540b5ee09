/* The virtio devices of a machine: made from the configuration, and put behind a transport. */
#ifndef OSVM_VMM_DEVICES_H
#define OSVM_VMM_DEVICES_H

#include <stdbool.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/thread.h"
#include "config.h"
#include "guest/board/acpi.h"
#include "guest/bus.h"
#include "guest/memory.h"
#include "guest/vm.h"
#include "virtio/console.h"
#include "virtio/device.h"

struct devices;

/* What they are connected with; all borrowed for their life. */
struct devices_host {
    struct loop *loop;
    struct guest_memory *mem;
    struct vm *vm;
    struct bus *ports, *mmio;
    struct bus_range *reset_register;    /* shares its ports with PCI's */
    struct virtio_console_host *console; /* NULL: no such device */
    const struct log *log;
    bool hermit; /* the guest is a Hermit image: devices where, and as, it looks for them */
};

/* The transport that such a machine has. */
enum config_transport devices_transport(const struct config *config, bool hermit);

/**
 * Make all devices that the configuration asks for, and connect them.
 *
 * @ret_devices  freed by devices_destroy(), after the vCPUs' and the loop's end
 * Returns 0 or a negative errno with the option and what is wrong in err. Before the guest runs.
 */
int devices_create(const struct config *config, const struct devices_host *host,
                   struct devices **ret_devices, struct error *err);
void devices_destroy(struct devices *devices);

/* The virtio console, for the functions of virtio/console.h; NULL where there is none. */
struct virtio_device *devices_console(const struct devices *devices);

/* Disks and network devices by their place in the configuration, and the rng; NULL: there is none.
 */
struct virtio_device *devices_disk(const struct devices *devices, unsigned number);
struct virtio_device *devices_net(const struct devices *devices, unsigned number);
struct virtio_device *devices_rng(const struct devices *devices);

/* The balloon, for the functions of virtio/balloon.h; NULL where there is none. */
struct virtio_device *devices_balloon(const struct devices *devices);

/**
 * Start the threads that they have, parked. @hook is what each does first; borrowed for their life.
 * Returns 0 or a negative errno with the reason in err.
 */
int devices_start(struct devices *devices, struct thread_hook *hook, struct error *err);

/* The vsock device, or NULL where there is none. */
struct virtio_device *devices_vsock(const struct devices *devices);

/**
 * Take a part of --disk-limit for files that are no device's: `wanted`, or half of what the disks
 * leave, the other half being for shares; all of it where there is no share.
 * Returns how many bytes; `wanted` where there is no limit. Before the guest runs.
 */
uint64_t devices_take_disk(struct devices *devices, uint64_t wanted);

/* Tell the ACPI tables of them. The lists are valid as long as `devices`. */
void devices_describe(const struct devices *devices, struct acpi_options *acpi);

/* Whether there are devices on a PCI bus. */
bool devices_have_pci(const struct devices *devices);

/**
 * The kernel's command line: `cmdline`, and where it turns ACPI off what Linux then wants to be
 * told of virtio-mmio devices (virtio_mmio.device=4K@ADDRESS:GSI).
 * @ret_cmdline  the caller frees it
 * Returns 0 or -ENOMEM.
 */
int devices_cmdline(const struct devices *devices, const char *cmdline, char **ret_cmdline);

#endif
