/* The two devices that a console may belong to, each brought into the form that console.h wants. */
#ifndef OSVM_VMM_CONSOLE_DEVICE_H
#define OSVM_VMM_CONSOLE_DEVICE_H

#include "console.h"
#include "guest/board/serial.h"
#include "virtio/console.h"

struct console_serial {
    struct console_device device; /* for console_start() */
    struct serial_host host;      /* for serial_init() */
    struct console *console;      /* borrowed */
    struct serial *serial;        /* borrowed */
};

void console_serial_init(struct console_serial *end, struct console *console,
                         struct serial *serial);

struct console_virtio {
    struct console_device device;    /* for console_start() */
    struct virtio_console_host host; /* for virtio_console_create() */
    struct console *console;         /* borrowed */
    struct virtio_device *virtio;    /* borrowed; set by the caller before console_start() */
};

void console_virtio_init(struct console_virtio *end, struct console *console);

#endif
