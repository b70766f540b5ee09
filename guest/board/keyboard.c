#include "guest/board/keyboard.h"

#include <errno.h>
#include <stddef.h>

enum {
    COMMAND_SET_LEDS = 0xed,
    COMMAND_ECHO = 0xee,
    COMMAND_SCAN_CODE_SET = 0xf0,
    COMMAND_IDENTIFY = 0xf2,
    COMMAND_SET_REPEAT = 0xf3,
    COMMAND_ENABLE = 0xf4,
    COMMAND_DISABLE = 0xf5,
    COMMAND_DEFAULTS = 0xf6,
    COMMAND_RESET = 0xff,
};

#define ANSWER_ACK       0xfa
#define ANSWER_RESEND    0xfe
#define SELF_TEST_PASSED 0xaa
#define SCAN_CODE_SET    2

static void say(struct keyboard *keyboard, uint8_t byte)
{
    if (keyboard->count == KEYBOARD_BUFFER)
        return;
    keyboard->buffer[(keyboard->first + keyboard->count) % KEYBOARD_BUFFER] = byte;
    keyboard->count++;
}

static void take_argument(struct keyboard *keyboard, uint8_t command, uint8_t argument)
{
    say(keyboard, ANSWER_ACK);
    if (command == COMMAND_SCAN_CODE_SET && argument == 0) /* which one it is */
        say(keyboard, SCAN_CODE_SET);
}

static void take_command(struct keyboard *keyboard, uint8_t command)
{
    keyboard->first = keyboard->count = 0; /* what it had to say before is gone */
    switch (command) {
    case COMMAND_SET_LEDS:
    case COMMAND_SCAN_CODE_SET:
    case COMMAND_SET_REPEAT:
        keyboard->pending_command = command;
        say(keyboard, ANSWER_ACK);
        break;
    case COMMAND_ECHO:
        say(keyboard, COMMAND_ECHO);
        break;
    case COMMAND_IDENTIFY:
        say(keyboard, ANSWER_ACK);
        say(keyboard, 0xab);
        say(keyboard, 0x83);
        break;
    case COMMAND_ENABLE:
    case COMMAND_DISABLE:
    case COMMAND_DEFAULTS:
        keyboard->off = command == COMMAND_DISABLE;
        say(keyboard, ANSWER_ACK);
        break;
    case COMMAND_RESET:
        keyboard->off = false;
        say(keyboard, ANSWER_ACK);
        say(keyboard, SELF_TEST_PASSED);
        break;
    default:
        say(keyboard, ANSWER_RESEND);
    }
}

void keyboard_write(struct keyboard *keyboard, uint8_t byte)
{
    uint8_t command = keyboard->pending_command;

    keyboard->pending_command = 0;
    if (command && byte < COMMAND_SET_LEDS) /* else it is a command again */
        take_argument(keyboard, command, byte);
    else
        take_command(keyboard, byte);
}

bool keyboard_read(struct keyboard *keyboard, uint8_t *ret_byte)
{
    if (keyboard->count == 0)
        return false;
    *ret_byte = keyboard->buffer[keyboard->first];
    keyboard->first = (keyboard->first + 1) % KEYBOARD_BUFFER;
    keyboard->count--;
    return true;
}

int keyboard_press_ctrl_alt_del(struct keyboard *keyboard, bool translated)
{
    static const uint8_t set1[] = {0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d};
    static const uint8_t set2[] = {0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0,
                                   0x71, 0xf0, 0x11, 0xf0, 0x14};
    const uint8_t *codes = translated ? set1 : set2;
    size_t count = translated ? sizeof(set1) : sizeof(set2);

    if (keyboard->off || count > KEYBOARD_BUFFER - keyboard->count)
        return -EAGAIN;
    for (size_t i = 0; i < count; i++)
        say(keyboard, codes[i]);
    return 0;
}
