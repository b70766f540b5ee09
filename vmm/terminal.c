#include "terminal.h"

#include <errno.h>
#include <unistd.h>

#define CTRL_A 0x01

bool terminal_usable(int fd)
{
    return isatty(fd) && tcgetpgrp(fd) == getpgrp();
}

int terminal_set_raw(struct terminal *terminal, int fd)
{
    struct termios raw;

    if (tcgetattr(fd, &terminal->saved) < 0)
        return -errno;
    raw = terminal->saved;
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST; /* so that this program's own lines still begin at the left */
    if (tcsetattr(fd, TCSANOW, &raw) < 0)
        return -errno;
    terminal->fd = fd;
    terminal->raw = true;
    return 0;
}

void terminal_restore(struct terminal *terminal)
{
    if (terminal->raw)
        tcsetattr(terminal->fd, TCSANOW, &terminal->saved);
    terminal->raw = false;
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
