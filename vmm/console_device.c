#include "console_device.h"

#include "base/util.h"

/* ---- The serial port. ---- */

static struct console_serial *serial_end(struct console_device *device)
{
    return container_of(device, struct console_serial, device);
}

static size_t from_serial(struct serial_host *host, const uint8_t *bytes, size_t len)
{
    return console_write(container_of(host, struct console_serial, host)->console, bytes, len);
}

static void serial_has_room(struct serial_host *host)
{
    console_input_wanted(container_of(host, struct console_serial, host)->console);
}

static size_t to_serial(struct console_device *device, const uint8_t *bytes, size_t len)
{
    return serial_input(serial_end(device)->serial, bytes, len);
}

static void serial_may_go_on(struct console_device *device)
{
    serial_output_ready(serial_end(device)->serial);
}

static bool serial_waits(struct console_device *device)
{
    return serial_output_waiting(serial_end(device)->serial);
}

void console_serial_init(struct console_serial *end, struct console *console, struct serial *serial)
{
    *end = (struct console_serial){
        .device.input = to_serial,
        .device.output_ready = serial_may_go_on,
        .device.output_waiting = serial_waits,
        .host.write = from_serial,
        .host.input_wanted = serial_has_room,
        .console = console,
        .serial = serial,
    };
}

/* ---- virtio-console. ---- */

static struct virtio_device *virtio_of(struct console_device *device)
{
    return container_of(device, struct console_virtio, device)->virtio;
}

static size_t from_virtio(struct virtio_console_host *host, const uint8_t *bytes, size_t len)
{
    return console_write(container_of(host, struct console_virtio, host)->console, bytes, len);
}

static void virtio_has_room(struct virtio_console_host *host)
{
    console_input_wanted(container_of(host, struct console_virtio, host)->console);
}

static size_t to_virtio(struct console_device *device, const uint8_t *bytes, size_t len)
{
    return virtio_console_input(virtio_of(device), bytes, len);
}

static void virtio_may_go_on(struct console_device *device)
{
    virtio_console_output_ready(virtio_of(device));
}

static bool virtio_waits(struct console_device *device)
{
    return virtio_console_output_waiting(virtio_of(device));
}

static void resize_virtio(struct console_device *device, uint16_t cols, uint16_t rows)
{
    virtio_console_resize(virtio_of(device), cols, rows);
}

void console_virtio_init(struct console_virtio *end, struct console *console)
{
    *end = (struct console_virtio){
        .device.input = to_virtio,
        .device.output_ready = virtio_may_go_on,
        .device.output_waiting = virtio_waits,
        .device.resize = resize_virtio,
        .host.write = from_virtio,
        .host.input_wanted = virtio_has_room,
        .console = console,
    };
}
