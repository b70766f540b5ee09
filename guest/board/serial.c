#include "guest/board/serial.h"

#include "base/util.h"

/* Registers by offset, DLAB clear. PC16550D data sheet, section 8.0, table II. */
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

/* Interrupt enable, section 8.7. */
#define IER_RX          0x01
#define IER_THRE        0x02
#define IER_LINE_STATUS 0x04
#define IER_MODEM       0x08
#define IER_BITS        0x0f

/* Interrupt identification, section 8.6 and table IV. */
#define IIR_MODEM       0x00
#define IIR_NONE        0x01
#define IIR_THRE        0x02
#define IIR_RX          0x04
#define IIR_LINE_STATUS 0x06
#define IIR_RX_TIMEOUT  0x0c
#define IIR_FIFOS_ON    0xc0

/* FIFO control, section 8.5. */
#define FCR_ENABLE        0x01
#define FCR_CLEAR_RX      0x02
#define FCR_KEPT          0xc9 /* enable, DMA mode, trigger level; the clear bits clear themselves */
#define FCR_TRIGGER_SHIFT 6

/* Line control, section 8.1. */
#define LCR_8N1  0x03
#define LCR_DLAB 0x80

/* Modem control, section 8.8. */
#define MCR_DTR      0x01
#define MCR_RTS      0x02
#define MCR_OUT1     0x04
#define MCR_OUT2     0x08
#define MCR_LOOPBACK 0x10
#define MCR_BITS     0x1f

/* Line status, section 8.4. */
#define LSR_DATA_READY 0x01
#define LSR_OVERRUN    0x02
#define LSR_THRE       0x20
#define LSR_TEMT       0x40

/* Modem status, section 8.9: lines in bits 4-7, what changed in the same order in bits 0-3. */
#define MSR_CTS           0x10
#define MSR_DSR           0x20
#define MSR_RI            0x40
#define MSR_DCD           0x80
#define MSR_LINES         0xf0
#define MSR_CHANGES       0x0f
#define MSR_CHANGES_SHIFT 4
#define MSR_PEER_READY    (MSR_CTS | MSR_DSR | MSR_DCD) /* the host is a peer that is always there */

#define DIVISOR_9600_BAUD 12 /* of 1.8432 MHz, section 8.3, table III */

static bool fifos_on(const struct serial *serial)
{
    return serial->fcr & FCR_ENABLE;
}

static unsigned rx_capacity(const struct serial *serial)
{
    return fifos_on(serial) ? SERIAL_FIFO_SIZE : 1;
}

static unsigned rx_trigger(const struct serial *serial)
{
    static const uint8_t levels[] = {1, 4, 8, 14}; /* section 8.5, bits 6 and 7 */

    return fifos_on(serial) ? levels[serial->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

/*
 * Whether the transmitter says that it is empty. A guest that sees THRE may send a whole FIFO
 * without looking again, so there has to be room for one.
 */
static bool tx_ready(const struct serial *serial)
{
    return SERIAL_OUTPUT_SIZE - serial->tx_count >= SERIAL_FIFO_SIZE;
}

/* The pending cause of the highest priority, by table IV; IIR_NONE where there is none. */
static uint8_t interrupt_cause(const struct serial *serial)
{
    if ((serial->ier & IER_LINE_STATUS) && serial->overrun)
        return IIR_LINE_STATUS;
    if ((serial->ier & IER_RX) && serial->rx_count >= rx_trigger(serial))
        return IIR_RX;
    if ((serial->ier & IER_RX) && serial->rx_count > 0)
        return IIR_RX_TIMEOUT;
    if ((serial->ier & IER_THRE) && serial->thre_pending)
        return IIR_THRE;
    if ((serial->ier & IER_MODEM) && (serial->msr & MSR_CHANGES))
        return IIR_MODEM;
    return IIR_NONE;
}

static void update_line(struct serial *serial)
{
    bool high = interrupt_cause(serial) != IIR_NONE;

    if (high && !serial->line_high)
        irq_line_pulse(&serial->irq);
    serial->line_high = high;
}

static void rx_push(struct serial *serial, uint8_t byte)
{
    serial->rx[(serial->rx_head + serial->rx_count) % SERIAL_FIFO_SIZE] = byte;
    serial->rx_count++;
}

static void rx_clear(struct serial *serial)
{
    serial->rx_head = 0;
    serial->rx_count = 0;
}

/* Tell a host that was turned away that it may offer again. */
static void want_input(struct serial *serial)
{
    if (!serial->input_short || serial->rx_count > 0 || (serial->mcr & MCR_LOOPBACK))
        return;
    serial->input_short = false;
    if (serial->host->input_wanted)
        serial->host->input_wanted(serial->host);
}

static uint8_t read_data(struct serial *serial)
{
    uint8_t byte;

    if (serial->rx_count == 0)
        return 0;
    byte = serial->rx[serial->rx_head];
    serial->rx_head = (serial->rx_head + 1) % SERIAL_FIFO_SIZE;
    serial->rx_count--;
    /*
     * On a wire every character has its own moment, and with it an edge. Here a burst arrives at
     * once, so what is left of it gets a new edge for each character read: a handler that reads
     * one byte an interrupt would otherwise never be called again.
     */
    if (serial->rx_count > 0 && (serial->ier & IER_RX))
        serial->line_high = false;
    want_input(serial);
    return byte;
}

static uint8_t read_iir(struct serial *serial)
{
    uint8_t cause = interrupt_cause(serial);

    if (cause == IIR_THRE)
        serial->thre_pending = false; /* telling it is what ends it: table IV */
    return cause | (fifos_on(serial) ? IIR_FIFOS_ON : 0);
}

static uint8_t read_lsr(struct serial *serial)
{
    uint8_t value = 0;

    if (serial->rx_count > 0)
        value |= LSR_DATA_READY;
    if (serial->overrun)
        value |= LSR_OVERRUN;
    if (tx_ready(serial))
        value |= LSR_THRE | LSR_TEMT;
    serial->overrun = false;
    return value;
}

static uint8_t read_msr(struct serial *serial)
{
    uint8_t value = serial->msr;

    serial->msr &= MSR_LINES;
    return value;
}

static uint8_t read_register(struct serial *serial, unsigned reg)
{
    bool dlab = serial->lcr & LCR_DLAB;

    switch (reg) {
    case REG_DATA:
        return dlab ? serial->dll : read_data(serial);
    case REG_IER:
        return dlab ? serial->dlm : serial->ier;
    case REG_IIR_FCR:
        return read_iir(serial);
    case REG_LCR:
        return serial->lcr;
    case REG_MCR:
        return serial->mcr;
    case REG_LSR:
        return read_lsr(serial);
    case REG_MSR:
        return read_msr(serial);
    default:
        return serial->scr;
    }
}

/* What waits goes to the host, as far as it takes it. */
static void drain(struct serial *serial)
{
    while (serial->tx_count > 0) {
        size_t chunk = min_u64(serial->tx_count, SERIAL_OUTPUT_SIZE - serial->tx_head);
        size_t taken = serial->host->write(serial->host, serial->tx + serial->tx_head, chunk);

        serial->tx_head = (serial->tx_head + taken) % SERIAL_OUTPUT_SIZE;
        serial->tx_count -= taken;
        if (taken == 0)
            return; /* the host calls when it can take more */
    }
}

static void send_to_host(struct serial *serial, uint8_t byte)
{
    /* Where bytes wait, the host has said that it will call; asking again would only cost. */
    if (serial->tx_count == 0 && serial->host->write(serial->host, &byte, 1) == 1)
        return;
    if (serial->tx_count == SERIAL_OUTPUT_SIZE) {
        serial->lost++;
        return;
    }
    serial->tx[(serial->tx_head + serial->tx_count) % SERIAL_OUTPUT_SIZE] = byte;
    serial->tx_count++;
}

/* In loopback the guest is its own peer, and one that does not wait: section 8.8, bit 4. */
static void send_to_self(struct serial *serial, uint8_t byte)
{
    if (serial->rx_count < rx_capacity(serial)) {
        rx_push(serial, byte);
        return;
    }
    /* The FIFO keeps what it holds; without FIFOs the new byte takes the old one's place. */
    serial->overrun = true;
    if (!fifos_on(serial))
        serial->rx[serial->rx_head] = byte;
}

static void write_data(struct serial *serial, uint8_t byte)
{
    serial->thre_pending = false;
    update_line(serial);
    if (serial->mcr & MCR_LOOPBACK)
        send_to_self(serial, byte);
    else
        send_to_host(serial, byte);
    serial->thre_pending = tx_ready(serial); /* the byte is gone already: a new edge */
}

static void write_ier(struct serial *serial, uint8_t value)
{
    uint8_t enabled = value & ~serial->ier;

    serial->ier = value & IER_BITS;
    /* Drivers start (and probe) the transmitter by this: an empty one tells so when enabled. */
    if ((enabled & IER_THRE) && tx_ready(serial))
        serial->thre_pending = true;
}

static void write_fcr(struct serial *serial, uint8_t value)
{
    bool on = value & FCR_ENABLE;

    if (on != fifos_on(serial) || (on && (value & FCR_CLEAR_RX)))
        rx_clear(serial);
    serial->fcr = on ? value & FCR_KEPT : 0; /* without bit 0 the others are not programmed */
    want_input(serial);
}

static void set_modem_lines(struct serial *serial, uint8_t lines)
{
    uint8_t changed = (serial->msr ^ lines) & MSR_LINES;

    /* The ring indicator counts its trailing edge alone (TERI). */
    if (lines & MSR_RI)
        changed &= ~MSR_RI;
    serial->msr = lines | (serial->msr & MSR_CHANGES) | (changed >> MSR_CHANGES_SHIFT);
}

static void write_mcr(struct serial *serial, uint8_t value)
{
    uint8_t lines = MSR_PEER_READY;

    serial->mcr = value & MCR_BITS;
    if (value & MCR_LOOPBACK) {
        lines = (value & MCR_RTS ? MSR_CTS : 0) | (value & MCR_DTR ? MSR_DSR : 0) |
                (value & MCR_OUT1 ? MSR_RI : 0) | (value & MCR_OUT2 ? MSR_DCD : 0);
    }
    set_modem_lines(serial, lines);
    want_input(serial);
}

static void write_register(struct serial *serial, unsigned reg, uint8_t value)
{
    bool dlab = serial->lcr & LCR_DLAB;

    switch (reg) {
    case REG_DATA:
        if (dlab)
            serial->dll = value;
        else
            write_data(serial, value);
        break;
    case REG_IER:
        if (dlab)
            serial->dlm = value;
        else
            write_ier(serial, value);
        break;
    case REG_IIR_FCR:
        write_fcr(serial, value);
        break;
    case REG_LCR:
        serial->lcr = value;
        break;
    case REG_MCR:
        write_mcr(serial, value);
        break;
    case REG_SCR:
        serial->scr = value;
        break;
    default: /* LSR and MSR: for factory tests only, section 8.4; nothing happens */
        break;
    }
}

/* The registers are a byte wide: a wider access is so many of them, one after the other. */
static void serial_read(struct bus_range *range, uint64_t offset, void *data, unsigned len)
{
    struct serial *serial = container_of(range, struct serial, range);
    uint8_t *bytes = data;

    pthread_mutex_lock(&serial->lock);
    for (unsigned i = 0; i < len; i++) {
        bytes[i] = read_register(serial, (unsigned)offset + i);
        update_line(serial);
    }
    pthread_mutex_unlock(&serial->lock);
}

static void serial_write(struct bus_range *range, uint64_t offset, const void *data, unsigned len)
{
    struct serial *serial = container_of(range, struct serial, range);
    const uint8_t *bytes = data;

    pthread_mutex_lock(&serial->lock);
    for (unsigned i = 0; i < len; i++) {
        write_register(serial, (unsigned)offset + i, bytes[i]);
        update_line(serial);
    }
    pthread_mutex_unlock(&serial->lock);
}

static const struct bus_ops serial_ops = {.read = serial_read, .write = serial_write};

void serial_init(struct serial *serial, uint16_t port, struct irq_line irq,
                 struct serial_host *host)
{
    *serial = (struct serial){
        .range = {.base = port, .size = SERIAL_PORT_COUNT, .ops = &serial_ops, .name = "serial"},
        .irq = irq,
        .host = host,
        .lcr = LCR_8N1,
        .msr = MSR_PEER_READY,
        .dll = DIVISOR_9600_BAUD,
    };
    pthread_mutex_init(&serial->lock, NULL);
}

void serial_destroy(struct serial *serial)
{
    irq_line_destroy(&serial->irq);
    pthread_mutex_destroy(&serial->lock);
}

size_t serial_input(struct serial *serial, const uint8_t *bytes, size_t len)
{
    size_t taken = 0;

    pthread_mutex_lock(&serial->lock);
    if (!(serial->mcr & MCR_LOOPBACK)) {
        for (; taken < len && serial->rx_count < rx_capacity(serial); taken++)
            rx_push(serial, bytes[taken]);
    }
    if (taken < len)
        serial->input_short = true;
    update_line(serial);
    pthread_mutex_unlock(&serial->lock);
    return taken;
}

void serial_output_ready(struct serial *serial)
{
    bool was_ready;

    pthread_mutex_lock(&serial->lock);
    was_ready = tx_ready(serial);
    drain(serial);
    if (!was_ready && tx_ready(serial))
        serial->thre_pending = true;
    update_line(serial);
    pthread_mutex_unlock(&serial->lock);
}

bool serial_output_waiting(struct serial *serial)
{
    bool waiting;

    pthread_mutex_lock(&serial->lock);
    waiting = serial->tx_count > 0;
    pthread_mutex_unlock(&serial->lock);
    return waiting;
}

uint64_t serial_lost(struct serial *serial)
{
    uint64_t lost;

    pthread_mutex_lock(&serial->lock);
    lost = serial->lost;
    pthread_mutex_unlock(&serial->lock);
    return lost;
}
