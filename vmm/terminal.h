/* A terminal in raw mode for the guest, and the escape character by which its user is heard. */
#ifndef OSVM_VMM_TERMINAL_H
#define OSVM_VMM_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct terminal {
    int fd;      /* borrowed */
    bool usable; /* it is one, and this process is in its foreground, so that it may read */
    bool raw;
    struct termios saved; /* as it was found, where it is usable */
    bool escaped;         /* Ctrl-A was typed, its second key is awaited */
};

/*
 * Look at it, before the process enters a PID namespace: in there the foreground process group has
 * no number that could be compared.
 */
void terminal_look(struct terminal *terminal, int fd);

/* Put a usable one into raw mode. Returns 0 or a negative errno. */
int terminal_set_raw(struct terminal *terminal);

/* Put a usable one back as it was found. */
void terminal_restore(const struct terminal *terminal);

enum terminal_command { TERMINAL_NONE, TERMINAL_END, TERMINAL_STATUS };

/**
 * Take one typed byte.
 *
 * @ret_byte  what goes to the guest, where the result is true
 * @ret_command  what the user asks for (TERMINAL_NONE mostly)
 * Returns whether a byte goes to the guest.
 */
bool terminal_key(struct terminal *terminal, uint8_t typed, uint8_t *ret_byte,
                  enum terminal_command *ret_command);

#endif
