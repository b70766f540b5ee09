#include "guest/board/reset.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/util.h"
#include "guest/layout.h"

static void power_event(struct power_sink *sink, enum power_event event, uint8_t status)
{
    sink->event(sink, event, status);
}

/*
 * i8042. IBM PS/2 Hardware Interface Technical Reference (1988), "Keyboard and auxiliary device
 * controller": the status register's bits, the commands and the output port.
 */
#define STATUS_OUTPUT_FULL     0x01
#define STATUS_SYSTEM          0x04 /* the self-test has passed; a firmware leaves it set */
#define STATUS_COMMAND         0x08 /* the last write was a command */
#define STATUS_NOT_INHIBITED   0x10
#define STATUS_AUX_OUTPUT_FULL 0x20
#define STATUS_TIMEOUT         0x40
#define STATUS_OF_OUTPUT       (STATUS_OUTPUT_FULL | STATUS_AUX_OUTPUT_FULL | STATUS_TIMEOUT)

#define CONFIG_KEYBOARD_IRQ      0x01
#define CONFIG_SYSTEM            0x04
#define CONFIG_KEYBOARD_DISABLED 0x10
#define CONFIG_AUX_DISABLED      0x20
#define CONFIG_TRANSLATE         0x40

#define OUTPUT_PORT_NOT_RESET 0x01
#define OUTPUT_PORT_A20       0x02
#define OUTPUT_PORT_START     0xcf /* no reset, A20 open, the idle lines of both devices high */

#define INPUT_PORT_NOT_INHIBITED 0x80
#define SELF_TEST_PASSED         0x55
#define INTERFACE_TEST_PASSED    0x00
#define DEVICE_TIMED_OUT         0xfe /* what the controller says for a device that does not answer */

enum {
    COMMAND_READ_CONFIG = 0x20,
    COMMAND_WRITE_CONFIG = 0x60,
    COMMAND_AUX_DISABLE = 0xa7,
    COMMAND_AUX_ENABLE = 0xa8,
    COMMAND_AUX_TEST = 0xa9,
    COMMAND_SELF_TEST = 0xaa,
    COMMAND_KEYBOARD_TEST = 0xab,
    COMMAND_KEYBOARD_DISABLE = 0xad,
    COMMAND_KEYBOARD_ENABLE = 0xae,
    COMMAND_READ_INPUT_PORT = 0xc0,
    COMMAND_READ_OUTPUT_PORT = 0xd0,
    COMMAND_WRITE_OUTPUT_PORT = 0xd1,
    COMMAND_WRITE_KEYBOARD_OUTPUT = 0xd2,
    COMMAND_WRITE_AUX_OUTPUT = 0xd3,
    COMMAND_WRITE_AUX = 0xd4,
    COMMAND_PULSE =
        0xf0, /* 0xf0-0xff: pulses those of the output port's low four bits that are 0 */
};

static void i8042_answer(struct i8042 *i8042, uint8_t value, uint8_t status)
{
    i8042->output = value;
    i8042->status = (i8042->status & ~STATUS_OF_OUTPUT) | STATUS_OUTPUT_FULL | status;
}

/* Where the guest has read what was there: the keyboard's next byte, and its interrupt. */
static void i8042_fetch(struct i8042 *i8042)
{
    uint8_t byte;

    if (!i8042->has_keyboard || (i8042->status & STATUS_OUTPUT_FULL) ||
        (i8042->config & CONFIG_KEYBOARD_DISABLED) || !keyboard_read(&i8042->keyboard, &byte))
        return;
    i8042_answer(i8042, byte, 0);
    if (i8042->config & CONFIG_KEYBOARD_IRQ)
        irq_line_pulse(&i8042->irq);
}

/* Returns whether the machine is to be reset. */
static bool i8042_command(struct i8042 *i8042, uint8_t command)
{
    i8042->status |= STATUS_COMMAND;
    i8042->pending_command = 0;
    if (command >= COMMAND_PULSE)
        return !(command & OUTPUT_PORT_NOT_RESET);
    switch (command) {
    case COMMAND_READ_CONFIG:
        i8042_answer(i8042, i8042->config, 0);
        break;
    case COMMAND_WRITE_CONFIG:
    case COMMAND_WRITE_OUTPUT_PORT:
    case COMMAND_WRITE_KEYBOARD_OUTPUT:
    case COMMAND_WRITE_AUX_OUTPUT:
    case COMMAND_WRITE_AUX:
        i8042->pending_command = command; /* the byte for it comes by the data port */
        break;
    case COMMAND_AUX_DISABLE:
        i8042->config |= CONFIG_AUX_DISABLED;
        break;
    case COMMAND_AUX_ENABLE:
        i8042->config &= ~CONFIG_AUX_DISABLED;
        break;
    case COMMAND_AUX_TEST:
    case COMMAND_KEYBOARD_TEST:
        i8042_answer(i8042, INTERFACE_TEST_PASSED, 0);
        break;
    case COMMAND_SELF_TEST:
        i8042->config |= CONFIG_SYSTEM;
        i8042->status |= STATUS_SYSTEM;
        i8042_answer(i8042, SELF_TEST_PASSED, 0);
        break;
    case COMMAND_KEYBOARD_DISABLE:
        i8042->config |= CONFIG_KEYBOARD_DISABLED;
        break;
    case COMMAND_KEYBOARD_ENABLE:
        i8042->config &= ~CONFIG_KEYBOARD_DISABLED;
        break;
    case COMMAND_READ_INPUT_PORT:
        i8042_answer(i8042, INPUT_PORT_NOT_INHIBITED, 0);
        break;
    case COMMAND_READ_OUTPUT_PORT:
        i8042_answer(i8042, i8042->output_port, 0);
        break;
    default: /* the others concern a keyboard's RAM and test modes: nothing answers */
        break;
    }
    return false;
}

/* A byte for the command before it, or for a device. Returns whether the machine is to be reset. */
static bool i8042_data(struct i8042 *i8042, uint8_t value)
{
    uint8_t command = i8042->pending_command;

    i8042->status &= ~STATUS_COMMAND;
    i8042->pending_command = 0;
    switch (command) {
    case COMMAND_WRITE_CONFIG:
        i8042->config = value;
        i8042->status &= ~STATUS_SYSTEM;
        if (value & CONFIG_SYSTEM)
            i8042->status |= STATUS_SYSTEM;
        break;
    case COMMAND_WRITE_OUTPUT_PORT:
        i8042->output_port = value;
        return !(value & OUTPUT_PORT_NOT_RESET);
    case COMMAND_WRITE_KEYBOARD_OUTPUT:
        i8042_answer(i8042, value, 0);
        break;
    case COMMAND_WRITE_AUX_OUTPUT:
        i8042_answer(i8042, value, STATUS_AUX_OUTPUT_FULL);
        break;
    case COMMAND_WRITE_AUX:
        i8042_answer(i8042, DEVICE_TIMED_OUT, STATUS_AUX_OUTPUT_FULL | STATUS_TIMEOUT);
        break;
    default: /* a byte for the keyboard, which switches it on */
        i8042->config &= ~(i8042->has_keyboard ? CONFIG_KEYBOARD_DISABLED : 0);
        if (i8042->has_keyboard)
            keyboard_write(&i8042->keyboard, value);
        else
            i8042_answer(i8042, DEVICE_TIMED_OUT, STATUS_TIMEOUT);
        break;
    }
    return false;
}

static void i8042_data_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct i8042 *i8042 = container_of(range, struct i8042, data_range);

    (void)offset, (void)len; /* the range is one byte */
    pthread_mutex_lock(&i8042->lock);
    *(uint8_t *)data = i8042->output;
    i8042->status &= ~STATUS_OF_OUTPUT;
    i8042_fetch(i8042);
    pthread_mutex_unlock(&i8042->lock);
}

static void i8042_data_write(struct bus_range *range, uint64_t offset, const void *data,
                             unsigned len)
{
    struct i8042 *i8042 = container_of(range, struct i8042, data_range);
    bool reset;

    (void)offset, (void)len;
    pthread_mutex_lock(&i8042->lock);
    reset = i8042_data(i8042, *(const uint8_t *)data);
    i8042_fetch(i8042);
    pthread_mutex_unlock(&i8042->lock);
    if (reset)
        power_event(i8042->power, POWER_RESET, 0);
}

static void i8042_status_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct i8042 *i8042 = container_of(range, struct i8042, command_range);

    (void)offset, (void)len;
    pthread_mutex_lock(&i8042->lock);
    *(uint8_t *)data = i8042->status;
    pthread_mutex_unlock(&i8042->lock);
}

static void i8042_command_write(struct bus_range *range, uint64_t offset, const void *data,
                                unsigned len)
{
    struct i8042 *i8042 = container_of(range, struct i8042, command_range);
    bool reset;

    (void)offset, (void)len;
    pthread_mutex_lock(&i8042->lock);
    reset = i8042_command(i8042, *(const uint8_t *)data);
    i8042_fetch(i8042);
    pthread_mutex_unlock(&i8042->lock);
    if (reset)
        power_event(i8042->power, POWER_RESET, 0);
}

static const struct bus_ops i8042_data_ops = {.read = i8042_data_read, .write = i8042_data_write};
static const struct bus_ops i8042_command_ops = {.read = i8042_status_read,
                                                 .write = i8042_command_write};

void i8042_init(struct i8042 *i8042, struct power_sink *power)
{
    *i8042 = (struct i8042){
        .data_range = {.base = PORT_I8042_DATA,
                       .size = 1,
                       .ops = &i8042_data_ops,
                       .name = "i8042 data"},
        .command_range = {.base = PORT_I8042_COMMAND,
                          .size = 1,
                          .ops = &i8042_command_ops,
                          .name = "i8042 command"},
        .power = power,
        .config = CONFIG_SYSTEM | CONFIG_AUX_DISABLED,
        .output_port = OUTPUT_PORT_START,
        .status = STATUS_SYSTEM | STATUS_NOT_INHIBITED,
        .irq.fd = -1,
    };
    pthread_mutex_init(&i8042->lock, NULL);
}

void i8042_add_keyboard(struct i8042 *i8042, struct irq_line irq)
{
    i8042->has_keyboard = true;
    i8042->irq = irq;
}

int i8042_press_ctrl_alt_del(struct i8042 *i8042)
{
    int r = -EAGAIN;

    if (!i8042->has_keyboard)
        return -ENODEV;
    pthread_mutex_lock(&i8042->lock);
    if ((i8042->config & CONFIG_KEYBOARD_IRQ) && !(i8042->config & CONFIG_KEYBOARD_DISABLED))
        r = keyboard_press_ctrl_alt_del(&i8042->keyboard, i8042->config & CONFIG_TRANSLATE);
    i8042_fetch(i8042);
    pthread_mutex_unlock(&i8042->lock);
    return r;
}

void i8042_destroy(struct i8042 *i8042)
{
    irq_line_destroy(&i8042->irq);
    pthread_mutex_destroy(&i8042->lock);
}

/* Reset control: Intel ICH9 data sheet (316972), section 13.7.5. */
#define RESET_SYSTEM    0x02
#define RESET_CPU       0x04 /* does it */
#define RESET_FULL      0x08
#define RESET_KEPT_BITS (RESET_SYSTEM | RESET_FULL)

/* The register is the second byte of the four, and only a byte access reaches it. */
static bool is_reset_access(uint64_t offset, unsigned len)
{
    return offset == PORT_RESET - RESET_RANGE_BASE && len == 1;
}

static void reset_register_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct reset_register *reset = container_of(range, struct reset_register, range);

    memset(data, 0xff, len);
    if (is_reset_access(offset, len))
        *(uint8_t *)data = __atomic_load_n(&reset->value, __ATOMIC_RELAXED);
}

static void reset_register_write(struct bus_range *range, uint64_t offset, const void *data,
                                 unsigned len)
{
    struct reset_register *reset = container_of(range, struct reset_register, range);
    uint8_t value = *(const uint8_t *)data;

    if (!is_reset_access(offset, len))
        return;
    __atomic_store_n(&reset->value, value & RESET_KEPT_BITS, __ATOMIC_RELAXED);
    if (value & RESET_CPU)
        power_event(reset->power, POWER_RESET, 0);
}

static const struct bus_ops reset_register_ops = {.read = reset_register_read,
                                                  .write = reset_register_write};

void reset_register_init(struct reset_register *reset, struct power_sink *power)
{
    *reset = (struct reset_register){
        .range = {.base = RESET_RANGE_BASE,
                  .size = RESET_RANGE_SIZE,
                  .ops = &reset_register_ops,
                  .name = "reset"},
        .power = power,
    };
}

int reset_vector_write(struct guest_memory *mem)
{
    static const uint8_t code[] = {
        0xba,
        PORT_RESET & 0xff,
        PORT_RESET >> 8, /* mov $PORT_RESET, %dx */
        0xb0,
        RESET_SYSTEM | RESET_CPU, /* mov $6, %al */
        0xee,                     /* out %al, %dx */
        0xf4,                     /* hlt */
        0xeb,
        0xfd, /* jmp to the hlt */
    };

    return guest_memory_write(mem, LAYOUT_RESET_VECTOR, code, sizeof(code));
}

/* SLEEP_CONTROL_REG, ACPI 6.5, section 4.8.3.7. */
#define SLEEP_TYPE(value) (((value) >> 2) & 7)
#define SLEEP_ENABLE      0x20
/* PM1_CNT, section 4.8.3.2.1: its high byte has the same two fields in the same bits. */
#define PM1_CNT_SCI_ENABLE 0x01 /* low byte: ACPI mode is on, as always where it is reduced */

static void sleep_if_told(struct acpi_sleep *sleep, uint8_t value)
{
    if ((value & SLEEP_ENABLE) && SLEEP_TYPE(value) == ACPI_S5_SLEEP_TYPE)
        power_event(sleep->power, POWER_OFF, 0);
}

/* Both registers read as zero: the control bits are write-only, and nobody has woken up. */
static void sleep_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    (void)range, (void)offset;
    memset(data, 0, len);
}

static void sleep_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct acpi_sleep *sleep = container_of(range, struct acpi_sleep, sleep_range);

    (void)len;
    if (offset == 0)
        sleep_if_told(sleep, *(const uint8_t *)data);
}

static void pm1a_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    (void)range;
    memset(data, 0, len);
    if (offset == 0)
        *(uint8_t *)data = PM1_CNT_SCI_ENABLE;
}

static void pm1a_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct acpi_sleep *sleep = container_of(range, struct acpi_sleep, pm1a_range);
    const uint8_t *bytes = data;

    if (offset + len == 2) /* the high byte is among them */
        sleep_if_told(sleep, bytes[len - 1]);
}

static const struct bus_ops sleep_ops = {.read = sleep_read, .write = sleep_write};
static const struct bus_ops pm1a_ops = {.read = pm1a_read, .write = pm1a_write};

void acpi_sleep_init(struct acpi_sleep *sleep, struct power_sink *power)
{
    *sleep = (struct acpi_sleep){
        .sleep_range = {.base = PORT_SLEEP_CONTROL,
                        .size = 2,
                        .ops = &sleep_ops,
                        .name = "ACPI sleep"},
        .pm1a_range = {.base = PORT_PM1A_CONTROL, .size = 2, .ops = &pm1a_ops, .name = "ACPI PM1a"},
        .power = power,
    };
}

/* hw/misc/debugexit.c of QEMU is the specification: any width, any of the ports; reads give 0. */
static void debug_exit_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    (void)range, (void)offset;
    memset(data, 0, len);
}

static void debug_exit_write(struct bus_range *range, uint64_t offset, const void *data,
                             unsigned len)
{
    struct debug_exit *exit = container_of(range, struct debug_exit, range);
    uint8_t value = *(const uint8_t *)data;

    (void)offset, (void)len;
    power_event(exit->power, POWER_EXIT, (uint8_t)(value << 1 | 1));
}

static const struct bus_ops debug_exit_ops = {.read = debug_exit_read, .write = debug_exit_write};

void debug_exit_init(struct debug_exit *exit, uint16_t port, struct power_sink *power)
{
    *exit = (struct debug_exit){
        .range = {.base = port,
                  .size = DEBUG_EXIT_SIZE,
                  .ops = &debug_exit_ops,
                  .name = "debug exit"},
        .power = power,
    };
}
