/* guest/board/serial.h. A row is a script: what guest and host do, and what each then sees. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest/board/serial.h"

/* Registers; DLL and DLM share the first two. */
enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
enum { FCR = IIR, DLL = DATA, DLM = IER };

enum step_kind {
    STEP_END,
    STEP_WRITE,
    STEP_READ,
    STEP_FILL,
    STEP_INPUT,
    STEP_IRQ,
    STEP_OUT,
    STEP_OUT_COUNT,
    STEP_HOST,
    STEP_READY,
    STEP_WANTED,
    STEP_LOST
};

struct step {
    enum step_kind kind;
    unsigned reg;
    size_t value;
    const char *text;
};

#define STEP(...)   \
    {               \
        __VA_ARGS__ \
    }
/* The guest writes a register; reads one and sees this; writes n bytes of data. */
#define W(r, v) STEP(STEP_WRITE, r, v, NULL)
#define R(r, v) STEP(STEP_READ, r, v, NULL)
#define FILL(n) STEP(STEP_FILL, 0, n, NULL)
/* The host offers text, of which n bytes are taken. */
#define IN(t, n) STEP(STEP_INPUT, 0, n, t)
/* So many edges since the last look; the host has received this, or so much, since then. */
#define IRQ(n)       STEP(STEP_IRQ, 0, n, NULL)
#define OUT(t)       STEP(STEP_OUT, 0, 0, t)
#define OUT_COUNT(n) STEP(STEP_OUT_COUNT, 0, n, NULL)
/* The host takes n more bytes and then stalls; it says that it can take more. */
#define HOST(n) STEP(STEP_HOST, 0, n, NULL)
#define READY   STEP(STEP_READY, 0, 0, NULL)
/* How often the host was asked for input since the last look; how many bytes were lost in all. */
#define WANTED(n) STEP(STEP_WANTED, 0, n, NULL)
#define LOST(n)   STEP(STEP_LOST, 0, n, NULL)

#define MAX_STEPS 48

struct row {
    const char *name;
    struct step steps[MAX_STEPS];
};

#define NONE_PENDING 0x01
#define FIFOS        0xc0
#define FIFO_ON      0x01

static const struct row rows[] = {
    /* Plain registers. */
    {"reset values",
     {R(IER, 0), R(IIR, 0x01), R(LCR, 0x03), R(MCR, 0), R(LSR, 0x60), R(MSR, 0xb0), R(SCR, 0),
      IRQ(0)}},
    {"scratch", {W(SCR, 0xa5), R(SCR, 0xa5), W(SCR, 0x5a), R(SCR, 0x5a)}},
    {"IER keeps four bits", {W(IER, 0xff), R(IER, 0x0f)}},
    {"MCR keeps five bits", {W(MCR, 0xff), R(MCR, 0x1f)}},
    {"LCR keeps all", {W(LCR, 0x7f), R(LCR, 0x7f)}},
    {"LSR and MSR are read-only", {W(LSR, 0), R(LSR, 0x60), W(MSR, 0), R(MSR, 0xb0), R(MSR, 0xb0)}},
    {"DLAB turns to the divisor and back",
     {W(LCR, 0x83), W(DLL, 0x34), W(DLM, 0x12), R(DLL, 0x34), R(DLM, 0x12), W(LCR, 0x03), OUT(""),
      R(IER, 0), R(DATA, 0), W(LCR, 0x83), R(DLL, 0x34), R(DLM, 0x12)}},
    {"no data reads as zero", {R(DATA, 0), R(LSR, 0x60)}},

    /* FIFO control. */
    {"IIR shows FIFOs", {W(FCR, FIFO_ON), R(IIR, FIFOS | NONE_PENDING), W(FCR, 0), R(IIR, 0x01)}},
    {"FCR without bit 0 sets no trigger", {W(IER, 1), W(FCR, 0xc0), IN("a", 1), R(IIR, 0x04)}},
    {"FIFO to 8250 clears what was received",
     {W(FCR, FIFO_ON), IN("abc", 3), W(FCR, 0), R(LSR, 0x60), R(DATA, 0)}},
    {"8250 to FIFO clears what was received", {IN("a", 1), W(FCR, FIFO_ON), R(LSR, 0x60)}},
    {"FCR bit 1 clears what was received",
     {W(FCR, FIFO_ON), IN("abc", 3), W(FCR, 0x03), R(LSR, 0x60), IN("d", 1), R(DATA, 'd')}},
    {"writing FCR again clears nothing", {W(FCR, 0x01), IN("ab", 2), W(FCR, 0x81), R(DATA, 'a')}},
    {"FCR bit 2 drops no output that waits",
     {W(FCR, FIFO_ON), HOST(0), W(DATA, 'x'), W(FCR, 0x05), HOST(9), READY, OUT("x")}},

    /* Output. */
    {"output reaches the host at once", {W(DATA, 'h'), W(DATA, 'i'), OUT("hi"), R(LSR, 0x60)}},
    {"a stalled host makes output wait",
     {HOST(1), W(DATA, 'a'), W(DATA, 'b'), W(DATA, 'c'), OUT("a"), R(LSR, 0x60), HOST(9), READY,
      OUT("bc")}},
    {"order is kept behind what waits",
     {HOST(0), W(DATA, 'a'), HOST(9), W(DATA, 'b'), OUT(""), READY, OUT("ab"), W(DATA, 'c'),
      OUT("c")}},
    {"the host takes a part of what waits",
     {HOST(0), W(DATA, 'a'), W(DATA, 'b'), W(DATA, 'c'), HOST(2), READY, OUT("ab"), HOST(9), READY,
      OUT("c")}},
    {"nothing waits, nothing happens", {READY, OUT(""), IRQ(0)}},
    {"THRE and TEMT go when no whole FIFO fits",
     {HOST(0), FILL(SERIAL_OUTPUT_SIZE - SERIAL_FIFO_SIZE), R(LSR, 0x60), FILL(1), R(LSR, 0)}},
    {"a whole FIFO still fits after THRE was seen",
     {HOST(0), FILL(SERIAL_OUTPUT_SIZE - SERIAL_FIFO_SIZE), R(LSR, 0x60), FILL(SERIAL_FIFO_SIZE),
      LOST(0), FILL(1), LOST(1)}},
    {"what does not fit is lost and counted",
     {HOST(0), FILL(SERIAL_OUTPUT_SIZE), LOST(0), FILL(3), LOST(3), HOST(SERIAL_OUTPUT_SIZE + 9),
      READY, OUT_COUNT(SERIAL_OUTPUT_SIZE), R(LSR, 0x60)}},
    {"the output ring wraps",
     {HOST(0), FILL(4000), HOST(4000), READY, OUT_COUNT(4000), FILL(4000), OUT_COUNT(0), HOST(5000),
      READY, OUT_COUNT(4000), LOST(0)}},

    /* The transmitter's interrupt. */
    {"enabling THRE raises it", {W(IER, 2), IRQ(1), R(IIR, 0x02), R(IIR, 0x01)}},
    {"enabling THRE again raises it again",
     {W(IER, 2), R(IIR, 0x02), IRQ(1), W(IER, 0), W(IER, 2), IRQ(1), R(IIR, 0x02)}},
    {"writing IER with THRE still set raises nothing",
     {W(IER, 2), R(IIR, 0x02), IRQ(1), W(IER, 3), IRQ(0), R(IIR, 0x01)}},
    {"each byte sent raises THRE anew",
     {W(IER, 2), IRQ(1), R(IIR, 0x02), W(DATA, 'a'), IRQ(1), W(DATA, 'b'), IRQ(1), R(IIR, 0x02)}},
    {"not enabled, not raised", {W(DATA, 'a'), R(IIR, 0x01), IRQ(0)}},
    {"a full device raises no THRE until it drains",
     {W(IER, 2), HOST(0), FILL(SERIAL_OUTPUT_SIZE), R(IIR, 0x01),
      IRQ(SERIAL_OUTPUT_SIZE - SERIAL_FIFO_SIZE + 1), HOST(15), READY, IRQ(0), R(LSR, 0), HOST(1),
      READY, IRQ(1), R(IIR, 0x02), R(LSR, 0x60)}},
    {"enabling THRE while full waits for the drain",
     {HOST(0), FILL(SERIAL_OUTPUT_SIZE), W(IER, 2), IRQ(0), R(IIR, 0x01), HOST(9999), READY, IRQ(1),
      R(IIR, 0x02)}},

    /* Input without FIFOs. */
    {"8250: one byte at a time",
     {IN("ab", 1), R(LSR, 0x61), R(DATA, 'a'), WANTED(1), R(LSR, 0x60), IN("b", 1), R(DATA, 'b')}},
    {"8250: received data raises", {W(IER, 1), IN("a", 1), IRQ(1), R(IIR, 0x04), R(IIR, 0x04)}},
    {"8250: reading ends it, the next raises anew",
     {W(IER, 1), IN("a", 1), IRQ(1), R(DATA, 'a'), R(IIR, 0x01), IRQ(0), IN("b", 1), IRQ(1)}},
    {"enabling after it arrived raises", {IN("a", 1), IRQ(0), W(IER, 1), IRQ(1), R(IIR, 0x04)}},
    {"not enabled, not raised (input)", {IN("a", 1), R(IIR, 0x01), R(LSR, 0x61), IRQ(0)}},

    /* Input with FIFOs. */
    {"FIFO: order",
     {W(FCR, 1), IN("abc", 3), R(DATA, 'a'), IN("d", 1), R(DATA, 'b'), R(DATA, 'c'), R(DATA, 'd'),
      R(LSR, 0x60)}},
    {"FIFO: takes 16", {W(FCR, 1), IN("0123456789abcdefgh", 16), IN("x", 0)}},
    {"FIFO: the host is asked again when it ran empty, once",
     {W(FCR, 1),    IN("0123456789abcdefgh", 16),
      R(DATA, '0'), WANTED(0),
      R(DATA, '1'), R(DATA, '2'),
      R(DATA, '3'), R(DATA, '4'),
      R(DATA, '5'), R(DATA, '6'),
      R(DATA, '7'), R(DATA, '8'),
      R(DATA, '9'), R(DATA, 'a'),
      R(DATA, 'b'), R(DATA, 'c'),
      R(DATA, 'd'), R(DATA, 'e'),
      WANTED(0),    R(DATA, 'f'),
      WANTED(1),    IN("gh", 2),
      R(DATA, 'g'), R(DATA, 'h'),
      WANTED(0)}},
    {"FIFO: a host that was not turned away is not asked",
     {W(FCR, 1), IN("ab", 2), R(DATA, 'a'), R(DATA, 'b'), WANTED(0)}},
    {"FIFO: a clear asks too", {W(FCR, 1), IN("0123456789abcdefgh", 16), W(FCR, 3), WANTED(1)}},
    {"FIFO: switching it on asks too", {IN("ab", 1), W(FCR, 1), WANTED(1), IN("ab", 2)}},
    {"trigger 1", {W(IER, 1), W(FCR, 0x01), IN("a", 1), R(IIR, 0xc4), IRQ(1)}},
    {"trigger 4, below: a time-out", {W(IER, 1), W(FCR, 0x41), IN("abc", 3), R(IIR, 0xcc), IRQ(1)}},
    {"trigger 4, reached", {W(IER, 1), W(FCR, 0x41), IN("abcd", 4), R(IIR, 0xc4), IRQ(1)}},
    {"trigger 8, below: a time-out", {W(IER, 1), W(FCR, 0x81), IN("abcdefg", 7), R(IIR, 0xcc)}},
    {"trigger 8, reached", {W(IER, 1), W(FCR, 0x81), IN("abcdefgh", 8), R(IIR, 0xc4)}},
    {"trigger 14, below", {W(IER, 1), W(FCR, 0xc1), IN("abcdefghijklm", 13), R(IIR, 0xcc)}},
    {"trigger 14, reached", {W(IER, 1), W(FCR, 0xc1), IN("abcdefghijklmn", 14), R(IIR, 0xc4)}},
    {"reading under the trigger leaves a time-out",
     {W(IER, 1), W(FCR, 0x41), IN("abcd", 4), R(IIR, 0xc4), R(DATA, 'a'), R(IIR, 0xcc)}},
    {"a burst gives an edge for each byte left",
     {W(IER, 1), W(FCR, 1), IN("abc", 3), IRQ(1), R(DATA, 'a'), IRQ(1), R(DATA, 'b'), IRQ(1),
      R(DATA, 'c'), IRQ(0), R(IIR, 0xc1)}},

    /* Priorities, several causes. */
    {"line status before data before THRE before modem",
     {W(FCR, 0), W(MCR, 0x10), R(MSR, 0x0b), W(MCR, 0x12), W(DATA, 'a'), W(DATA, 'b'), W(IER, 0x0f),
      IRQ(1), R(IIR, 0x06), R(LSR, 0x63), R(IIR, 0x04), R(DATA, 'b'), R(IIR, 0x02), R(IIR, 0x00),
      R(MSR, 0x11), R(IIR, 0x01)}},
    {"the line stays high from cause to cause",
     {W(IER, 3), IRQ(1), IN("a", 1), IRQ(0), R(IIR, 0x04), R(DATA, 'a'), R(IIR, 0x02), R(IIR, 0x01),
      IRQ(0), IN("b", 1), IRQ(1)}},
    {"a disabled cause lets go of the line",
     {W(IER, 1), IN("a", 1), IRQ(1), W(IER, 0), R(IIR, 0x01), W(IER, 1), IRQ(1)}},
    {"data in front does not use up THRE",
     {W(IER, 3), IN("a", 1), R(IIR, 0x04), R(DATA, 'a'), R(IIR, 0x02)}},

    /* Loopback and modem lines. */
    {"loopback brings output back",
     {W(MCR, 0x10), W(DATA, 'l'), OUT(""), R(LSR, 0x61), R(DATA, 'l')}},
    {"loopback raises interrupts",
     {W(MCR, 0x10), W(IER, 1), W(DATA, 'l'), IRQ(1), R(IIR, 0x04), R(DATA, 'l'), R(IIR, 0x01)}},
    {"loopback fills the FIFO in order",
     {W(FCR, 1), W(MCR, 0x10), W(DATA, 'a'), W(DATA, 'b'), R(DATA, 'a'), R(DATA, 'b')}},
    {"8250 overrun: the new byte stays",
     {W(MCR, 0x10), W(DATA, 'a'), W(DATA, 'b'), R(LSR, 0x63), R(LSR, 0x61), R(DATA, 'b')}},
    {"FIFO overrun: the old bytes stay",
     {W(FCR, 1), W(MCR, 0x10), FILL(16), R(LSR, 0x61), W(DATA, 'z'), R(LSR, 0x63), R(LSR, 0x61),
      R(DATA, 'x')}},
    {"overrun raises line status",
     {W(MCR, 0x10), W(IER, 4), W(DATA, 'a'), IRQ(0), W(DATA, 'b'), IRQ(1), R(IIR, 0x06),
      R(LSR, 0x63), R(IIR, 0x01)}},
    {"loopback takes no input from the host",
     {W(MCR, 0x10), IN("a", 0), R(LSR, 0x60), W(MCR, 0), WANTED(1), IN("a", 1), R(DATA, 'a')}},
    {"loopback sends nothing to a stalled host",
     {HOST(0), W(MCR, 0x10), W(DATA, 'a'), W(MCR, 0), HOST(9), READY, OUT("")}},
    {"loopback: RTS is CTS", {W(MCR, 0x12), R(MSR, 0x1a), R(MSR, 0x10)}},
    {"loopback: DTR is DSR", {W(MCR, 0x11), R(MSR, 0x29)}},
    {"loopback: OUT1 is RI, its start is no change", {W(MCR, 0x14), R(MSR, 0x4b)}},
    {"loopback: OUT2 is DCD", {W(MCR, 0x18), R(MSR, 0x83)}},
    {"loopback as drivers probe it", {W(MCR, 0x1a), R(MSR, 0x92)}},
    {"the ring indicator's end is a change",
     {W(MCR, 0x14), R(MSR, 0x4b), W(MCR, 0x10), R(MSR, 0x04), R(MSR, 0)}},
    {"changes add up until read",
     {W(MCR, 0x10), R(MSR, 0x0b), W(MCR, 0x12), W(MCR, 0x13), R(MSR, 0x33), R(MSR, 0x30)}},
    {"leaving loopback is a change", {W(MCR, 0x10), R(MSR, 0x0b), W(MCR, 0), R(MSR, 0xbb)}},
    {"outside loopback MCR changes no line", {W(MCR, 0x0f), R(MSR, 0xb0)}},
    {"a modem change raises, reading MSR ends it",
     {W(IER, 8), W(MCR, 0x10), IRQ(1), R(IIR, 0x00), R(MSR, 0x0b), R(IIR, 0x01)}},
    {"interrupts do not need OUT2", {W(MCR, 0), W(IER, 2), IRQ(1)}},
};

struct fixture {
    struct serial serial;
    struct serial_host host;
    size_t room; /* what the host still takes */
    uint8_t output[2 * SERIAL_OUTPUT_SIZE];
    size_t output_len;
    unsigned wanted;
};

static size_t host_write(struct serial_host *host, const uint8_t *bytes, size_t len)
{
    struct fixture *f = container_of(host, struct fixture, host);
    size_t taken = min_u64(len, f->room);

    assert_true(len >= 1);
    assert_true(f->output_len + taken <= sizeof(f->output));
    memcpy(f->output + f->output_len, bytes, taken);
    f->output_len += taken;
    f->room -= taken;
    return taken;
}

static void host_wanted(struct serial_host *host)
{
    container_of(host, struct fixture, host)->wanted++;
}

static struct fixture *build(void)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    struct irq_line irq = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .gsi = 4};

    assert_true(irq.fd >= 0);
    f->host = (struct serial_host){.write = host_write, .input_wanted = host_wanted};
    f->room = SIZE_MAX;
    serial_init(&f->serial, 0x3f8, irq, &f->host);
    return f;
}

static void destroy(struct fixture *f)
{
    serial_destroy(&f->serial);
    test_free(f);
}

static uint64_t pulses(const struct irq_line *line)
{
    uint64_t count;

    return read(line->fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void write_reg(struct serial *serial, unsigned reg, uint8_t value)
{
    serial->range.ops->write(&serial->range, reg, &value, 1);
}

static uint8_t read_reg(struct serial *serial, unsigned reg)
{
    uint8_t value = 0x77;

    serial->range.ops->read(&serial->range, reg, &value, 1);
    return value;
}

/* What the step finds, to be compared with its value; what only acts gives its value back. */
static size_t run_step(struct fixture *f, const struct step *step)
{
    size_t result = step->value;

    switch (step->kind) {
    case STEP_WRITE:
        write_reg(&f->serial, step->reg, (uint8_t)step->value);
        break;
    case STEP_READ:
        return read_reg(&f->serial, step->reg);
    case STEP_FILL:
        for (size_t i = 0; i < step->value; i++)
            write_reg(&f->serial, DATA, 'x');
        break;
    case STEP_INPUT:
        return serial_input(&f->serial, (const uint8_t *)step->text, strlen(step->text));
    case STEP_IRQ:
        return pulses(&f->serial.irq);
    case STEP_OUT:
        assert_int_equal(f->output_len, strlen(step->text));
        assert_memory_equal(f->output, step->text, f->output_len);
        f->output_len = 0;
        break;
    case STEP_OUT_COUNT:
        result = f->output_len;
        f->output_len = 0;
        break;
    case STEP_HOST:
        f->room = step->value;
        break;
    case STEP_READY:
        serial_output_ready(&f->serial);
        break;
    case STEP_WANTED:
        result = f->wanted;
        f->wanted = 0;
        break;
    case STEP_LOST:
        return serial_lost(&f->serial);
    case STEP_END:
        break;
    }
    return result;
}

static void test_script(void **state)
{
    const struct row *row = *state;
    struct fixture *f = build();

    for (size_t i = 0; i < MAX_STEPS && row->steps[i].kind != STEP_END; i++) {
        size_t found = run_step(f, &row->steps[i]);

        if (found != row->steps[i].value)
            fail_msg("step %zu: found %#zx, expected %#zx", i + 1, found, row->steps[i].value);
    }
    destroy(f);
}

static void test_wide_read(void **state)
{
    struct fixture *f = build();
    uint32_t value = 0;

    (void)state;
    write_reg(&f->serial, SCR, 0x99);
    f->serial.range.ops->read(&f->serial.range, LCR + 1, &value, 4);
    assert_int_equal(value, 0x99b06000); /* MCR, LSR, MSR, SCR */
    destroy(f);
}

static void test_wide_write(void **state)
{
    struct fixture *f = build();
    const uint8_t divisor[2] = {0x01, 0x02};

    (void)state;
    write_reg(&f->serial, LCR, 0x80);
    f->serial.range.ops->write(&f->serial.range, DLL, divisor, 2);
    assert_int_equal(read_reg(&f->serial, DLL), 1);
    assert_int_equal(read_reg(&f->serial, DLM), 2);
    destroy(f);
}

static void test_waiting(void **state)
{
    struct fixture *f = build();

    (void)state;
    assert_false(serial_output_waiting(&f->serial));
    f->room = 0;
    write_reg(&f->serial, DATA, 'a');
    assert_true(serial_output_waiting(&f->serial));
    f->room = 1;
    serial_output_ready(&f->serial);
    assert_false(serial_output_waiting(&f->serial));
    destroy(f);
}

static void test_no_line_no_wish(void **state)
{
    struct serial_host host = {.write = host_write};
    struct fixture *f = build();

    (void)state;
    serial_destroy(&f->serial);
    serial_init(&f->serial, 0x3f8, (struct irq_line){.fd = -1}, &f->host);
    f->host = host; /* without input_wanted */
    write_reg(&f->serial, IER, 0x0f);
    assert_int_equal(serial_input(&f->serial, (const uint8_t *)"ab", 2), 1);
    assert_int_equal(read_reg(&f->serial, DATA), 'a');
    destroy(f);
}

/* Two threads at one device; a sanitizer watches, and no byte may vanish unaccounted. */
#define THREAD_BYTES 20000

static void *guest_thread(void *arg)
{
    struct serial *serial = arg;

    write_reg(serial, FCR, 0xc1);
    write_reg(serial, IER, 0x0f);
    for (unsigned i = 0; i < THREAD_BYTES; i++) {
        write_reg(serial, DATA, 'x');
        if (read_reg(serial, LSR) & 1)
            read_reg(serial, DATA);
        read_reg(serial, IIR);
    }
    return NULL;
}

/* A host that takes about a half of what it is offered, and each fifth time nothing. */
struct counting_host {
    struct serial_host host;
    size_t calls, taken; /* under the device's lock */
};

static size_t counting_write(struct serial_host *host, const uint8_t *bytes, size_t len)
{
    struct counting_host *counting = container_of(host, struct counting_host, host);
    size_t taken = ++counting->calls % 5 ? (len + 1) / 2 : 0;

    (void)bytes;
    counting->taken += taken;
    return taken;
}

/* A host that takes a little at a time calls back only after it took nothing: it is asked again. */
static size_t sipping_write(struct serial_host *host, const uint8_t *bytes, size_t len)
{
    struct counting_host *counting = container_of(host, struct counting_host, host);

    (void)bytes;
    if (counting->calls++ == 0)
        return 0;
    counting->taken += min_u64(len, 256);
    return min_u64(len, 256);
}

static void test_sipping_host(void **state)
{
    struct counting_host counting = {.host = {.write = sipping_write}};
    struct irq_line irq = {.fd = -1};
    struct serial serial;

    (void)state;
    serial_init(&serial, 0x3f8, irq, &counting.host);
    for (unsigned i = 0; i < 2000; i++)
        write_reg(&serial, 0, 'x');
    assert_int_equal(counting.calls, 1);
    serial_output_ready(&serial);
    assert_int_equal(counting.taken, 2000);
    assert_false(serial_output_waiting(&serial));
    serial_destroy(&serial);
}

static void test_threads(void **state)
{
    struct counting_host counting = {.host = {.write = counting_write}};
    struct irq_line irq = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    struct serial serial;
    pthread_t thread;

    (void)state;
    serial_init(&serial, 0x3f8, irq, &counting.host);
    assert_int_equal(pthread_create(&thread, NULL, guest_thread, &serial), 0);
    for (unsigned i = 0; i < THREAD_BYTES; i++) {
        serial_input(&serial, (const uint8_t *)"hello", 5);
        serial_output_ready(&serial);
        serial_output_waiting(&serial);
    }
    pthread_join(thread, NULL);
    while (serial_output_waiting(&serial))
        serial_output_ready(&serial);
    assert_int_equal(counting.taken + serial_lost(&serial), THREAD_BYTES);
    serial_destroy(&serial);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_script);
    unit_add(&unit, "a wide read is bytes in sequence", test_wide_read, NULL);
    unit_add(&unit, "a wide write is bytes in sequence", test_wide_write, NULL);
    unit_add(&unit, "waiting output is told", test_waiting, NULL);
    unit_add(&unit, "no interrupt line, no input callback", test_no_line_no_wish, NULL);
    unit_add(&unit, "a host that takes little is asked again", test_sipping_host, NULL);
    unit_add(&unit, "guest and host at once", test_threads, NULL);
    return unit_run(&unit, "serial");
}
