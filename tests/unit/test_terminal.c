/* vmm/terminal.h: the escape character. */
#include "unit.h"

#include "terminal.h"

struct key_row {
    const char *name;
    const char *typed;
    const char *passed; /* what reaches the guest */
    enum terminal_command command;
};

static const struct key_row rows[] = {
    {"plain keys", "ab\r\x03\x1a", "ab\r\x03\x1a", TERMINAL_NONE},
    {"Ctrl-A x ends", "a\001x", "a", TERMINAL_END},
    {"Ctrl-A c shows the status", "\001c", "", TERMINAL_STATUS},
    {"Ctrl-A a is a Ctrl-A", "\001a", "\001", TERMINAL_NONE},
    {"Ctrl-A Ctrl-A is a Ctrl-A", "\001\001x", "\001x", TERMINAL_NONE},
    {"Ctrl-A and another key", "\001qx", "qx", TERMINAL_NONE},
    {"x and c alone", "xc", "xc", TERMINAL_NONE},
};

static void test_keys(void **state)
{
    const struct key_row *row = *state;
    struct terminal terminal = {0};
    enum terminal_command last = TERMINAL_NONE;
    char passed[16] = {0};
    size_t count = 0;

    for (const char *key = row->typed; *key; key++) {
        enum terminal_command command;
        uint8_t byte;

        if (terminal_key(&terminal, (uint8_t)*key, &byte, &command))
            passed[count++] = (char)byte;
        if (command != TERMINAL_NONE)
            last = command;
    }
    assert_string_equal(passed, row->passed);
    assert_int_equal(last, row->command);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_keys);
    return unit_run(&unit, "terminal");
}
