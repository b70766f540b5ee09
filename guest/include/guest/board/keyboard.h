/*
 * A keyboard behind the i8042, on which three keys can be pressed: Ctrl, Alt and Delete, for the
 * host that asks its guest to shut down. It answers what a driver asks a keyboard: IBM PS/2
 * Hardware Interface Technical Reference (1988), "Keyboards (101- and 102-key)". It speaks scan
 * code set 2; a controller that translates is told set 1.
 *
 * Not thread-safe: the controller's lock is held.
 */
#ifndef OSVM_GUEST_BOARD_KEYBOARD_H
#define OSVM_GUEST_BOARD_KEYBOARD_H

#include <stdbool.h>
#include <stdint.h>

#define KEYBOARD_BUFFER 32

struct keyboard {
    uint8_t buffer[KEYBOARD_BUFFER]; /* what it has to say, from `first` on, around the end */
    unsigned first, count;
    uint8_t pending_command; /* which waits for its argument; 0: none */
    bool off;                /* it was told to send no keys */
};

/* A byte from the driver. */
void keyboard_write(struct keyboard *keyboard, uint8_t byte);

/* The next byte that it has to say. Returns whether there is one. */
bool keyboard_read(struct keyboard *keyboard, uint8_t *ret_byte);

/**
 * Press Ctrl-Alt-Delete, and let go.
 *
 * @translated  by the controller, into set 1
 * Returns 0, or -EAGAIN where it may not send keys now or its buffer has no room.
 */
int keyboard_press_ctrl_alt_del(struct keyboard *keyboard, bool translated);

#endif
