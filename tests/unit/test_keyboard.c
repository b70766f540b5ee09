/* guest/board/keyboard.h, behind the i8042: what a driver asks it, and the three keys. */
#include "unit.h"

#include "guest/board/reset.h"

struct fixture {
    struct bus bus;
    struct power_sink power;
    struct i8042 i8042;
};

static void no_event(struct power_sink *sink, enum power_event event, uint8_t status)
{
    (void)sink, (void)event, (void)status;
    fail();
}

static void begin(struct fixture *f)
{
    const struct irq_line nowhere = {.fd = -1};

    memset(f, 0, sizeof(*f));
    f->power.event = no_event;
    i8042_init(&f->i8042, &f->power);
    i8042_add_keyboard(&f->i8042, nowhere);
    assert_int_equal(bus_add(&f->bus, &f->i8042.data_range), 0);
    assert_int_equal(bus_add(&f->bus, &f->i8042.command_range), 0);
}

static uint8_t in(struct fixture *f, uint16_t port)
{
    uint8_t value = 0xff;

    bus_read(&f->bus, port, &value, 1);
    return value;
}

static void out(struct fixture *f, uint16_t port, uint8_t value)
{
    bus_write(&f->bus, port, &value, 1);
}

/* All that it has to say is this. */
static void assert_says(struct fixture *f, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(in(f, 0x64) & 1, 1);
        assert_int_equal(in(f, 0x60), bytes[i]);
    }
    assert_int_equal(in(f, 0x64) & 1, 0);
}

struct command_row {
    const char *name;
    uint8_t sent[2];
    size_t sent_len;
    uint8_t said[4];
    size_t said_len;
};

static const struct command_row commands[] = {
    {"reset", {0xff}, 1, {0xfa, 0xaa}, 2},
    {"identify", {0xf2}, 1, {0xfa, 0xab, 0x83}, 3},
    {"echo", {0xee}, 1, {0xee}, 1},
    {"lights", {0xed, 0x07}, 2, {0xfa}, 1},
    {"repeat", {0xf3, 0x00}, 2, {0xfa}, 1},
    {"which set", {0xf0, 0x00}, 2, {0xfa, 0x02}, 2},
    {"another set", {0xf0, 0x02}, 2, {0xfa}, 1},
    {"enable", {0xf4}, 1, {0xfa}, 1},
    {"unknown", {0xf9}, 1, {0xfe}, 1},
    {"a command in the place of an argument", {0xed, 0xf4}, 2, {0xfa}, 1},
};

static void test_command(void **state)
{
    const struct command_row *row = *state;
    struct fixture f;

    begin(&f);
    out(&f, 0x60, row->sent[0]);
    if (row->sent_len == 2) {
        assert_says(&f, (const uint8_t[]){0xfa}, 1);
        out(&f, 0x60, row->sent[1]);
    }
    assert_says(&f, row->said, row->said_len);
    i8042_destroy(&f.i8042);
}

static const uint8_t set2[] = {0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14};
static const uint8_t set1[] = {0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d};

static void configure(struct fixture *f, uint8_t config)
{
    out(f, 0x64, 0x60);
    out(f, 0x60, config);
}

static void test_keys(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_true(i8042_press_ctrl_alt_del(&f.i8042) < 0); /* it is not set up */
    configure(&f, 0x01);
    assert_int_equal(i8042_press_ctrl_alt_del(&f.i8042), 0);
    assert_says(&f, set2, sizeof(set2));
    configure(&f, 0x41);
    assert_int_equal(i8042_press_ctrl_alt_del(&f.i8042), 0);
    assert_says(&f, set1, sizeof(set1));
    configure(&f, 0x11);
    assert_true(i8042_press_ctrl_alt_del(&f.i8042) < 0); /* switched off by the controller */
    configure(&f, 0x01);
    out(&f, 0x60, 0xf5);
    assert_says(&f, (const uint8_t[]){0xfa}, 1);
    assert_true(i8042_press_ctrl_alt_del(&f.i8042) < 0); /* and by a command */
    i8042_destroy(&f.i8042);
}

/* One that reads nothing is not pressed on for ever. */
static void test_full(void **state)
{
    struct fixture f;
    unsigned pressed = 0;

    (void)state;
    begin(&f);
    configure(&f, 0x01);
    while (pressed < 100 && i8042_press_ctrl_alt_del(&f.i8042) == 0)
        pressed++;
    assert_in_range(pressed, 2, 3);
    for (unsigned i = 0; i < pressed; i++) {
        for (size_t at = 0; at < sizeof(set2); at++)
            assert_int_equal(in(&f, 0x60), set2[at]);
    }
    assert_int_equal(in(&f, 0x64) & 1, 0);
    i8042_destroy(&f.i8042);
}

static void test_no_keyboard(void **state)
{
    struct power_sink power = {.event = no_event};
    struct i8042 i8042;

    (void)state;
    i8042_init(&i8042, &power);
    assert_true(i8042_press_ctrl_alt_del(&i8042) < 0);
    i8042_destroy(&i8042);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, commands, test_command);
    unit_add(&unit, "Ctrl-Alt-Delete", test_keys, NULL);
    unit_add(&unit, "a full buffer", test_full, NULL);
    unit_add(&unit, "without a keyboard", test_no_keyboard, NULL);
    return unit_run(&unit, "keyboard");
}
