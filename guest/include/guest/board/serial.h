/*
 * A 16550A UART (National Semiconductor PC16550D data sheet, 1995): FIFOs, interrupts, loopback,
 * modem lines. The guest's side is a bus_range; the host's side is a byte stream in both
 * directions that may stall.
 *
 * Output: a byte that the guest sends is offered to the host at once. What the host does not take
 * waits in the device; while there is not room for a whole transmit FIFO, LSR says so (THRE and
 * TEMT clear), and a guest that looks waits. A guest that does not look loses what does not fit,
 * which is counted. A byte taken from the guest counts as sent: a reset of the transmit FIFO (FCR)
 * drops none of it.
 * Input: the host offers bytes; those that fit the receive FIFO (one byte while FIFOs are off) are
 * taken, none in loopback, where the data sheet disconnects the line.
 * Time: there is no baud rate. A character time is nothing, so received data below the trigger
 * level is a character time-out at once.
 * Interrupts are not gated by OUT2 (a PC gates them; QEMU does not, and small guests forget it).
 */
#ifndef OSVM_GUEST_BOARD_SERIAL_H
#define OSVM_GUEST_BOARD_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/bus.h"
#include "guest/irq.h"

/*
 * The host's side. Called with the device's lock held, on a vCPU's or the loop's thread; must
 * not call back into the device and never blocks.
 */
struct serial_host {
    /* Take up to len bytes (at least 1 is offered). Returns how many were taken. After
     * 0, and only then, the host calls serial_output_ready() when it can take more. */
    size_t (*write)(struct serial_host *host, const uint8_t *bytes, size_t len);
    /* The receive FIFO has run empty after serial_input() took less than offered. May be NULL. */
    void (*input_wanted)(struct serial_host *host);
};

#define SERIAL_PORT_COUNT  8
#define SERIAL_FIFO_SIZE   16
#define SERIAL_OUTPUT_SIZE 4096 /* bytes that wait for a stalled host */

struct serial {
    struct bus_range range;
    pthread_mutex_t lock;
    struct irq_line irq; /* owned */
    struct serial_host *host;
    /* The registers and FIFOs; private to serial.c. */
    uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
    uint8_t msr;       /* the lines in bits 4-7, what changed since it was read in bits 0-3 */
    bool overrun;      /* LSR's OE */
    bool thre_pending; /* the transmitter ran empty and the guest was not told yet */
    bool line_high;    /* the interrupt line as the guest last saw it */
    uint8_t rx[SERIAL_FIFO_SIZE];
    unsigned rx_head, rx_count;
    bool input_short; /* serial_input() turned bytes away */
    uint8_t tx[SERIAL_OUTPUT_SIZE];
    unsigned tx_head, tx_count;
    uint64_t lost; /* bytes sent while the device was full */
};

/**
 * Set it up. `irq` is taken over; `host` is borrowed.
 * The caller then adds `serial->range` to the port bus.
 */
void serial_init(struct serial *serial, uint16_t port, struct irq_line irq,
                 struct serial_host *host);
void serial_destroy(struct serial *serial);

/**
 * Offer input. Returns how many bytes were taken; where it is fewer than len, the host is called
 * (input_wanted) when there is room. Any thread.
 */
size_t serial_input(struct serial *serial, const uint8_t *bytes, size_t len);

/* The host can take output again: send what waits. Any thread. */
void serial_output_ready(struct serial *serial);

/* Whether output waits for the host; bytes lost so far. Any thread. */
bool serial_output_waiting(struct serial *serial);
uint64_t serial_lost(struct serial *serial);

#endif
