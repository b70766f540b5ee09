#include "terminal.h"

#include <errno.h>
#include <unistd.h>

#define CTRL_A 0x01

void terminal_look(struct terminal *terminal, int fd)
{
    *terminal = (struct terminal){.fd = fd};
    terminal->usable =
        isatty(fd) && tcgetpgrp(fd) == getpgrp() && tcgetattr(fd, &terminal->saved) == 0;
}

int terminal_set_raw(struct terminal *terminal)
{
    struct termios raw = terminal->saved;

    if (!terminal->usable)
        return -ENOTTY;
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST; /* so that this program's own lines still begin at the left */
    if (tcsetattr(terminal->fd, TCSANOW, &raw) < 0)
        return -errno;
    terminal->raw = true;
    return 0;
}

void terminal_restore(const struct terminal *terminal)
{
    if (terminal->usable)
        tcsetattr(terminal->fd, TCSANOW, &terminal->saved);
}

bool terminal_key(struct terminal *terminal, uint8_t typed, uint8_t *ret_byte,
                  enum terminal_command *ret_command)
{
    *ret_command = TERMINAL_NONE;
    if (!terminal->escaped) {
        terminal->escaped = typed == CTRL_A;
        *ret_byte = typed;
        return !terminal->escaped;
    }
    terminal->escaped = false;
    switch (typed) {
    case 'x':
        *ret_command = TERMINAL_END;
        return false;
    case 'c':
        *ret_command = TERMINAL_STATUS;
        return false;
    case 'a':
    case CTRL_A: /* a Ctrl-A for the guest */
        *ret_byte = CTRL_A;
        return true;
    default: /* not one of ours: forget the escape, keep the key */
        *ret_byte = typed;
        return true;
    }
}
