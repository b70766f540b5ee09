/* guest/board/reset.h: i8042, reset register, ACPI sleep, debug exit; on a bus, as a guest sees
 * them. */
#include "unit.h"

#include "guest/board/reset.h"
#include "power_spy.h"

struct fixture {
    struct bus bus;
    struct power_spy power;
    struct i8042 i8042;
    struct reset_register reset;
    struct acpi_sleep sleep;
    struct debug_exit exit;
};

static void build(struct fixture *f)
{
    f->bus = (struct bus){.count = 0};
    f->power = power_spy_new();
    i8042_init(&f->i8042, &f->power.sink);
    reset_register_init(&f->reset, &f->power.sink);
    acpi_sleep_init(&f->sleep, &f->power.sink);
    debug_exit_init(&f->exit, 0xf4, &f->power.sink);
    assert_int_equal(bus_add(&f->bus, &f->i8042.data_range), 0);
    assert_int_equal(bus_add(&f->bus, &f->i8042.command_range), 0);
    assert_int_equal(bus_add(&f->bus, &f->reset.range), 0);
    assert_int_equal(bus_add(&f->bus, &f->sleep.sleep_range), 0);
    assert_int_equal(bus_add(&f->bus, &f->sleep.pm1a_range), 0);
    assert_int_equal(bus_add(&f->bus, &f->exit.range), 0);
}

enum step_kind { STEP_END, STEP_OUT, STEP_IN };

struct step {
    enum step_kind kind;
    uint16_t port;
    unsigned len;
    uint32_t value;
};

#define STEP(...)   \
    {               \
        __VA_ARGS__ \
    }
#define OUTB(p, v) STEP(STEP_OUT, p, 1, v)
#define OUTW(p, v) STEP(STEP_OUT, p, 2, v)
#define OUTL(p, v) STEP(STEP_OUT, p, 4, v)
#define INB(p, v)  STEP(STEP_IN, p, 1, v)
#define INW(p, v)  STEP(STEP_IN, p, 2, v)
#define INL(p, v)  STEP(STEP_IN, p, 4, v)

/* How often the sink is told, and what. */
struct row {
    const char *name;
    struct step steps[16];
    unsigned calls;
    enum power_event event;
    uint8_t status;
};

static const struct row rows[] = {
    /* i8042 */
    {"i8042: status at the start", {INB(0x64, 0x14), INB(0x60, 0)}, 0, 0, 0},
    {"i8042: self-test",
     {OUTB(0x64, 0xaa), INB(0x64, 0x1d), INB(0x60, 0x55), INB(0x64, 0x1c)},
     0,
     0,
     0},
    {"i8042: keyboard interface test", {OUTB(0x64, 0xab), INB(0x64, 0x1d), INB(0x60, 0)}, 0, 0, 0},
    {"i8042: aux interface test", {OUTB(0x64, 0xa9), INB(0x64, 0x1d), INB(0x60, 0)}, 0, 0, 0},
    {"i8042: configuration byte",
     {OUTB(0x64, 0x20), INB(0x60, 0x24), OUTB(0x64, 0x60), OUTB(0x60, 0x47), INB(0x64, 0x14),
      OUTB(0x64, 0x20), INB(0x60, 0x47)},
     0,
     0,
     0},
    {"i8042: the system flag follows the configuration byte",
     {OUTB(0x64, 0x60), OUTB(0x60, 0), INB(0x64, 0x10), OUTB(0x64, 0xaa), INB(0x60, 0x55),
      INB(0x64, 0x1c), OUTB(0x64, 0x20), INB(0x60, 0x04)},
     0,
     0,
     0},
    {"i8042: keyboard off and on",
     {OUTB(0x64, 0xad), OUTB(0x64, 0x20), INB(0x60, 0x34), OUTB(0x64, 0xae), OUTB(0x64, 0x20),
      INB(0x60, 0x24)},
     0,
     0,
     0},
    {"i8042: aux on and off",
     {OUTB(0x64, 0xa8), OUTB(0x64, 0x20), INB(0x60, 0x04), OUTB(0x64, 0xa7), OUTB(0x64, 0x20),
      INB(0x60, 0x24)},
     0,
     0,
     0},
    {"i8042: input port", {OUTB(0x64, 0xc0), INB(0x60, 0x80)}, 0, 0, 0},
    {"i8042: output port",
     {OUTB(0x64, 0xd0), INB(0x60, 0xcf), OUTB(0x64, 0xd1), OUTB(0x60, 0xdd), OUTB(0x64, 0xd0),
      INB(0x60, 0xdd)},
     0,
     0,
     0},
    {"i8042: echo as the keyboard",
     {OUTB(0x64, 0xd2), OUTB(0x60, 0x5a), INB(0x64, 0x15), INB(0x60, 0x5a), INB(0x64, 0x14)},
     0,
     0,
     0},
    {"i8042: echo as aux",
     {OUTB(0x64, 0xd3), OUTB(0x60, 0x5a), INB(0x64, 0x35), INB(0x60, 0x5a), INB(0x64, 0x14)},
     0,
     0,
     0},
    {"i8042: no keyboard answers",
     {OUTB(0x60, 0xff), INB(0x64, 0x55), INB(0x60, 0xfe), INB(0x64, 0x14)},
     0,
     0,
     0},
    {"i8042: no aux device answers",
     {OUTB(0x64, 0xd4), OUTB(0x60, 0xff), INB(0x64, 0x75), INB(0x60, 0xfe), INB(0x64, 0x14)},
     0,
     0,
     0},
    {"i8042: a command forgets the one before",
     {OUTB(0x64, 0x60), OUTB(0x64, 0xaa), OUTB(0x60, 0x00), INB(0x60, 0xfe), OUTB(0x64, 0x20),
      INB(0x60, 0x24)},
     0,
     0,
     0},
    {"i8042: unknown commands say nothing", {OUTB(0x64, 0x77), INB(0x64, 0x1c)}, 0, 0, 0},
    {"i8042: 0xfe resets", {OUTB(0x64, 0xfe)}, 1, POWER_RESET, 0},
    {"i8042: any pulse of line 0 resets", {OUTB(0x64, 0xf0)}, 1, POWER_RESET, 0},
    {"i8042: a pulse of nothing does not", {OUTB(0x64, 0xff)}, 0, 0, 0},
    {"i8042: output port bit 0 low resets",
     {OUTB(0x64, 0xd1), OUTB(0x60, 0xfe)},
     1,
     POWER_RESET,
     0},
    {"i8042: 0xfe as data does not reset", {OUTB(0x60, 0xfe)}, 0, 0, 0},

    /* Reset register */
    {"0xcf9: 6 resets", {OUTB(0xcf9, 0x06)}, 1, POWER_RESET, 0},
    {"0xcf9: 4 resets", {OUTB(0xcf9, 0x04)}, 1, POWER_RESET, 0},
    {"0xcf9: first 2, then 6, as Linux does it",
     {OUTB(0xcf9, 0x02), INB(0xcf9, 0x02), OUTB(0xcf9, 0x06)},
     1,
     POWER_RESET,
     0},
    {"0xcf9: without bit 2 nothing", {OUTB(0xcf9, 0xfb), INB(0xcf9, 0x0a)}, 0, 0, 0},
    {"0xcf8: a double word is PCI's and resets nothing",
     {OUTL(0xcf8, 0x8000ffff), INL(0xcf8, 0xffffffff)},
     0,
     0,
     0},
    {"0xcf8: nor does a word", {OUTW(0xcf8, 0xffff), INW(0xcf8, 0xffff)}, 0, 0, 0},
    {"0xcf8: nor the bytes beside it",
     {OUTB(0xcf8, 6), OUTB(0xcfa, 6), OUTB(0xcfb, 6), INB(0xcf8, 0xff)},
     0,
     0,
     0},

    /* ACPI sleep */
    {"sleep control: S5", {OUTB(0x600, 0x20)}, 1, POWER_OFF, 0},
    {"sleep control: reserved bits do not count", {OUTB(0x600, 0xe3)}, 1, POWER_OFF, 0},
    {"sleep control: not without SLP_EN", {OUTB(0x600, 0x00)}, 0, 0, 0},
    {"sleep control: no other state", {OUTB(0x600, 0x34)}, 0, 0, 0},
    {"sleep control: a word does it too", {OUTW(0x600, 0x8020)}, 1, POWER_OFF, 0},
    {"sleep status: reads zero, writes do nothing",
     {OUTB(0x601, 0xff), INB(0x601, 0), INW(0x600, 0)},
     0,
     0,
     0},
    {"PM1a control: S5", {OUTW(0x604, 0x2000)}, 1, POWER_OFF, 0},
    {"PM1a control: S5 with SCI_EN", {OUTW(0x604, 0x2001)}, 1, POWER_OFF, 0},
    {"PM1a control: S5 by its high byte", {OUTB(0x605, 0x20)}, 1, POWER_OFF, 0},
    {"PM1a control: S5 by a double word", {OUTL(0x604, 0x2000)}, 1, POWER_OFF, 0},
    {"PM1a control: the low byte does nothing", {OUTB(0x604, 0x20)}, 0, 0, 0},
    {"PM1a control: no other state", {OUTW(0x604, 0x3400)}, 0, 0, 0},
    {"PM1a control: ACPI is on", {INW(0x604, 1), INB(0x604, 1), INB(0x605, 0)}, 0, 0, 0},

    /* Debug exit */
    {"debug exit: 0 is 1", {OUTB(0xf4, 0)}, 1, POWER_EXIT, 1},
    {"debug exit: 0x10 is 33", {OUTB(0xf4, 0x10)}, 1, POWER_EXIT, 33},
    {"debug exit: the status has 8 bits", {OUTB(0xf4, 0xff)}, 1, POWER_EXIT, 0xff},
    {"debug exit: a double word", {OUTL(0xf4, 0x12345603)}, 1, POWER_EXIT, 7},
    {"debug exit: a word at the next port", {OUTW(0xf5, 0x0102)}, 1, POWER_EXIT, 5},
    {"debug exit: reads give 0", {INB(0xf4, 0), INL(0xf4, 0)}, 0, 0, 0},
};

static void test_row(void **state)
{
    const struct row *row = *state;
    struct fixture f;

    build(&f);
    for (size_t i = 0; i < ARRAY_SIZE(row->steps) && row->steps[i].kind != STEP_END; i++) {
        const struct step *step = &row->steps[i];
        uint32_t value = step->kind == STEP_OUT ? step->value : 0;

        if (step->kind == STEP_OUT)
            bus_write(&f.bus, step->port, &value, step->len);
        else
            bus_read(&f.bus, step->port, &value, step->len);
        if (value != step->value)
            fail_msg("step %zu: found %#x, expected %#x", i + 1, value, step->value);
    }
    assert_int_equal(f.power.calls, row->calls);
    assert_int_equal(f.power.event, row->event);
    assert_int_equal(f.power.status, row->status);
    i8042_destroy(&f.i8042);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_row);
    return unit_run(&unit, "reset");
}
