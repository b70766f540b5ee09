/*
 * The host's end of a console: standard input and output, a file, a Unix socket that one client at
 * a time connects to, or nothing.
 *
 * Output comes on vCPU threads or the loop's and is written at once where the host takes it; what
 * stalls waits in the device until the loop sees room. Input is read only as the device takes it.
 * What the device is (console_device.h), a console does not know.
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
#include "terminal.h"

struct console;

/* What the person at the terminal may ask for. Called on the loop's thread. */
struct console_user {
    void (*end)(struct console_user *user);                           /* Ctrl-A x */
    void (*status)(struct console_user *user, char *buf, size_t len); /* Ctrl-A c */
};

/* The device's side, which may take locks of its own. Called on the loop's thread. */
struct console_device {
    /* Offer input. Returns how many bytes were taken; after fewer than len, console_input_wanted()
     * is called when there is room. */
    size_t (*input)(struct console_device *device, const uint8_t *bytes, size_t len);
    /* The host can take output again: send what waits. */
    void (*output_ready)(struct console_device *device);
    /* Whether output waits for the host. */
    bool (*output_waiting)(struct console_device *device);
    /* The terminal's size in characters. NULL where console_follow_size() is not called. */
    void (*resize)(struct console_device *device, uint16_t cols, uint16_t rows);
};

/* All borrowed for the console's life. */
struct console_options {
    enum console_kind kind;
    const char *name;                /* for messages: "console" */
    const char *path;                /* the file or socket; NULL for the other kinds */
    const struct terminal *terminal; /* as terminal_look() found it; copied */
};

/**
 * Open the console's host end. The terminal, if it is one, is not touched yet.
 *
 * @ret_console  freed by console_destroy()
 * Returns 0 or a negative errno with the reason in err.
 */
int console_create(const struct console_options *options, struct loop *loop, const struct log *log,
                   struct console_user *user, struct console **ret_console, struct error *err);

/**
 * Write all of it, waiting where the host is slow, until `*ending` is set: for output that does not
 * come through the serial device, and so has nowhere to wait. The bytes may be changed meanwhile.
 * On vCPU threads, several at once.
 */
void console_write_all(struct console *console, const uint8_t *bytes, size_t len,
                       const bool *ending);

/**
 * Where it is a terminal, tell the device of its size, at the start and after each SIGWINCH, which
 * is blocked in the calling thread from here on. Before other threads are made.
 * Returns 0 or a negative errno with the reason in err.
 */
int console_follow_size(struct console *console, struct error *err);

/* Remove the socket, and a new file where the console was never started. After the vCPUs' end. */
void console_destroy(struct console *console);

/**
 * Begin: connect it with the device (borrowed), put the terminal into raw mode (whoever looked at
 * it puts it back), read input from when the loop runs.
 * Returns 0 or a negative errno. The loop's thread, before the jail.
 */
int console_start(struct console *console, struct console_device *device);

/* For the device, on any thread, with its lock held or not. */

/* Take up to len bytes (at least 1). Returns how many were taken. After 0, and only then, the
 * device is told when there is room (output_ready). */
size_t console_write(struct console *console, const uint8_t *bytes, size_t len);

/* The device has room for input after it took less than was offered. */
void console_input_wanted(struct console *console);

/**
 * After the vCPUs have stopped: wait until the host has taken the guest's last words, but no
 * longer than CONSOLE_DRAIN_MS without any progress, nor when `abort_fd` becomes readable.
 */
void console_drain(struct console *console, int abort_fd);

#define CONSOLE_DRAIN_MS 5000

#endif
