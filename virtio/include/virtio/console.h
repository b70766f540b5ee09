/*
 * virtio-console (virtio 1.2, section 5.3): one port, a byte stream in both directions, and the
 * size of the window.
 *
 * Nothing is kept in the device. Output waits in the guest's buffer until the host takes it, input
 * waits with the host until the guest has a buffer for it. Nothing blocks; after a turn of 64 KiB
 * of output the loop goes round.
 */
#ifndef OSVM_VIRTIO_CONSOLE_H
#define OSVM_VIRTIO_CONSOLE_H

#include <stddef.h>

#include "base/error.h"
#include "virtio/device.h"

/* Feature bits, section 5.3.3. */
#define VIRTIO_CONSOLE_F_SIZE (UINT64_C(1) << 0)

/*
 * The host's side. Called with the device's lock held, on a vCPU's or the loop's thread; must not
 * call back into the device and never blocks.
 */
struct virtio_console_host {
    /* Take up to len bytes (at least 1 is offered; they lie in guest memory and may change
     * meanwhile). Returns how many were taken. After 0, and only then, the host calls
     * virtio_console_output_ready() when it can take more. */
    size_t (*write)(struct virtio_console_host *host, const uint8_t *bytes, size_t len);
    /* The guest has room after virtio_console_input() took less than offered. May be NULL. */
    void (*input_wanted)(struct virtio_console_host *host);
};

/**
 * Make the device. The window's size is 0 by 0, which a tty takes for unknown.
 *
 * @name, host  borrowed for the device's life
 * Returns 0 or a negative errno. On the loop's thread.
 */
int virtio_console_create(const struct virtio_env *env, const char *name,
                          struct virtio_console_host *host, struct virtio_device **ret,
                          struct error *err);

/* For the host's side; each takes the lock, on any thread. `device` is one of _create(). */

/* Offer input. Returns how many bytes were taken; where it is fewer than len, the host is called
 * (input_wanted) when there is room: also when no driver is there yet. */
size_t virtio_console_input(struct virtio_device *device, const uint8_t *bytes, size_t len);

/* The host can take output again. */
void virtio_console_output_ready(struct virtio_device *device);

/* Whether the driver has given output that the host has not taken. */
bool virtio_console_output_waiting(struct virtio_device *device);

/* The window has another size, in characters. One that is there before the driver is told of as a
 * change with its first output, and with its first input. */
void virtio_console_resize(struct virtio_device *device, uint16_t cols, uint16_t rows);

#endif
