/*
 * The ways of a PC to reset and switch off: the i8042 keyboard controller's reset line
 * (command 0xfe, output port bit 0), the reset control register at 0xcf9, ACPI's sleep
 * registers; and QEMU's isa-debug-exit port, where it is asked for.
 */
#ifndef OSVM_GUEST_BOARD_RESET_H
#define OSVM_GUEST_BOARD_RESET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest/board/keyboard.h"
#include "guest/bus.h"
#include "guest/irq.h"
#include "guest/memory.h"
#include "guest/power.h"

/*
 * The controller: self-test, configuration byte, output port. Without i8042_add_keyboard() there is
 * no keyboard behind it, and never a mouse: a byte for one is answered as the controller does for a
 * device that is not there (0xfe, with the time-out bit), and it raises no interrupts.
 */
struct i8042 {
    struct bus_range data_range, command_range;
    pthread_mutex_t lock;
    struct power_sink *power;
    uint8_t config, output_port, output, pending_command;
    uint8_t status;
    bool has_keyboard;
    struct keyboard keyboard;
    struct irq_line irq; /* the keyboard's */
};

void i8042_init(struct i8042 *i8042, struct power_sink *power);
void i8042_destroy(struct i8042 *i8042);

/* Put a keyboard behind it. @irq  taken over. Before the guest runs. */
void i8042_add_keyboard(struct i8042 *i8042, struct irq_line irq);

/**
 * Press Ctrl-Alt-Delete on it.
 * Returns 0; -ENODEV where there is none; -EAGAIN where the guest has not set it up, or has not
 * read what was pressed before. Any thread.
 */
int i8042_press_ctrl_alt_del(struct i8042 *i8042);

/*
 * 0xcf9: a write that sets bit 2 resets (Intel ICH9 data sheet, section 13.7.5). The range is that
 * of PCI's address register, 0xcf8-0xcfb, in which the register hides: only a byte access reaches
 * it (PCI 3.0, section 3.2.2.3.2), so that a guest which looks for PCI by a double word at 0xcf8
 * does not reset itself. All else in the range reads all ones: no PCI by this mechanism. Where
 * there is a PCI host, its range is on the bus instead, and hands on what is not PCI's
 * (guest/pci_host.h).
 */
#define RESET_RANGE_BASE 0xcf8
#define RESET_RANGE_SIZE 4

struct reset_register {
    struct bus_range range;
    struct power_sink *power;
    uint8_t value;
};

void reset_register_init(struct reset_register *reset, struct power_sink *power);

/**
 * Put code at FFFF:0, where a PC's firmware begins, that writes the reset register. Whoever wants
 * a reset from real mode jumps there: so does Linux where ACPI is hardware-reduced and there is no
 * EFI (arch/x86/kernel/reboot.c), and without this it would execute zeroes for ever.
 * Returns 0, or -EFAULT where there is no memory there. Before the guest runs.
 */
int reset_vector_write(struct guest_memory *mem);

/*
 * ACPI sleep: SLEEP_CONTROL_REG and SLEEP_STATUS_REG (ACPI 6.5, section 4.8.3.7), and PM1a_CNT
 * (section 4.8.3.2.1) for guests that look no further. S5 is the only state; its SLP_TYP is 0,
 * as \_S5 in the DSDT says.
 */
#define ACPI_S5_SLEEP_TYPE 0

struct acpi_sleep {
    struct bus_range sleep_range; /* 0x600–0x601 */
    struct bus_range pm1a_range;  /* 0x604–0x605 */
    struct power_sink *power;
};

void acpi_sleep_init(struct acpi_sleep *sleep, struct power_sink *power);

/*
 * QEMU's isa-debug-exit: a write of v, in any width, to any of its ports ends the machine with
 * status (v << 1) | 1, in 8 bits. Reads give 0.
 */
#define DEBUG_EXIT_SIZE 4

struct debug_exit {
    struct bus_range range;
    struct power_sink *power;
};

void debug_exit_init(struct debug_exit *exit, uint16_t port, struct power_sink *power);

#endif
