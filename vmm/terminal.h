/* A terminal in raw mode for the guest, and the escape character by which its user is heard. */
#ifndef OSVM_VMM_TERMINAL_H
#define OSVM_VMM_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct terminal {
    int fd; /* borrowed */
    bool raw;
    struct termios saved;
    bool escaped; /* Ctrl-A was typed, its second key is awaited */
};

/* Whether fd is a terminal that this process may read (it is in the foreground). */
bool terminal_usable(int fd);

/* Put it into raw mode; terminal_restore() undoes that. Returns 0 or a negative errno. */
int terminal_set_raw(struct terminal *terminal, int fd);
void terminal_restore(struct terminal *terminal);

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
