/* The serial port, a 16550A (PC16550D data sheet, 1995), polled. */
#include "sdk/console.h"

#include <stdbool.h>

#include "cpu_state.h"
#include "sdk/io.h"
#include "sdk/smp.h"

#define PORT_SERIAL 0x3f8
#define PORT_FCR    (PORT_SERIAL + 2) /* FIFO control; read: IIR */
#define PORT_LSR    (PORT_SERIAL + 5)

#define FCR_ENABLE     0x01
#define IIR_FIFOS      0xc0
#define LSR_DATA_READY 0x01
#define LSR_THRE       0x20
#define FIFO_SIZE      16

static struct spinlock lock;
static size_t burst = 1; /* what may be sent each time that THRE is set */

/* Input that was there before the FIFO came on, which empties the receiver. */
static uint8_t early[FIFO_SIZE];
static unsigned early_head, early_count;

void console_init(void)
{
    while (early_count < FIFO_SIZE && (port_in8(PORT_LSR) & LSR_DATA_READY))
        early[early_count++] = port_in8(PORT_SERIAL);
    port_out8(PORT_FCR, FCR_ENABLE);
    if ((port_in8(PORT_FCR) & IIR_FIFOS) == IIR_FIFOS)
        burst = FIFO_SIZE;
}

void console_write_unlocked(const void *bytes, uint64_t length)
{
    const uint8_t *next = bytes;

    while (length > 0) {
        size_t n = length < burst ? length : burst;

        while (!(port_in8(PORT_LSR) & LSR_THRE))
            cpu_pause();
        port_out8_string(PORT_SERIAL, next, n);
        next += n;
        length -= n;
    }
}

void console_write(const void *bytes, size_t length)
{
    spin_lock(&lock);
    console_write_unlocked(bytes, length);
    spin_unlock(&lock);
}

int console_read(void)
{
    if (early_head < early_count)
        return early[early_head++];
    if (port_in8(PORT_LSR) & LSR_DATA_READY)
        return port_in8(PORT_SERIAL);
    return -1;
}
