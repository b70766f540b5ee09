/*
 * The host's end of the serial console: standard input and output, a file, a Unix socket that one
 * client at a time connects to, or nothing.
 *
 * Output comes on vCPU threads and is written at once where the host takes it; what stalls waits
 * in the serial device until the loop sees room. Input is read only as the device takes it.
 */
#ifndef OSVM_VMM_CONSOLE_H
#define OSVM_VMM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "config.h"
#include "guest/board/serial.h"

struct console;

/* What the person at the terminal may ask for. Called on the loop's thread. */
struct console_user {
    void (*end)(struct console_user *user);                           /* Ctrl-A x */
    void (*status)(struct console_user *user, char *buf, size_t len); /* Ctrl-A c */
};

/**
 * Open the console's host end. The terminal, if it is one, is not touched yet.
 *
 * @path         the file or socket, borrowed; NULL for the other kinds
 * @ret_console  freed by console_destroy()
 * Returns 0 or a negative errno with the reason in err.
 */
int console_create(enum console_kind kind, const char *path, struct loop *loop,
                   const struct log *log, struct console_user *user, struct console **ret_console,
                   struct error *err);

/*
 * Give the terminal back as it was, remove the socket, and a new file where the console was never
 * started. After the vCPUs' end.
 */
void console_destroy(struct console *console);

/* What the serial device is told to write to. */
struct serial_host *console_serial_host(struct console *console);

/**
 * Write all of it, waiting where the host is slow, until `*ending` is set: for output that does not
 * come through the serial device, and so has nowhere to wait. The bytes may be changed meanwhile.
 * On vCPU threads, several at once.
 */
void console_write_all(struct console *console, const uint8_t *bytes, size_t len,
                       const bool *ending);

/**
 * Begin: connect it with the device, put the terminal into raw mode, read input.
 * Returns 0 or a negative errno. The loop's thread.
 */
int console_start(struct console *console, struct serial *serial);

/**
 * After the vCPUs have stopped: wait until the host has taken the guest's last words, but no
 * longer than CONSOLE_DRAIN_MS without any progress, nor when `abort_fd` becomes readable.
 */
void console_drain(struct console *console, int abort_fd);

#define CONSOLE_DRAIN_MS 5000

#endif
