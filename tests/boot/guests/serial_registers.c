/* The 16550A's registers, FIFOs, loopback and interrupts (PC16550D data sheet, section 8). */
#include "sdk/apic.h"
#include "sdk/console.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/smp.h"
#include "sdk/time.h"

#define PORT(n) (0x3f8 + (n))
#define RBR     PORT(0)
#define IER     PORT(1)
#define IIR     PORT(2)
#define FCR     PORT(2)
#define LCR     PORT(3)
#define MCR     PORT(4)
#define LSR     PORT(5)
#define MSR     PORT(6)
#define SCR     PORT(7)

#define LCR_8N1      0x03
#define LCR_DLAB     0x80
#define MCR_OUT2     0x08
#define MCR_LOOP     0x10
#define FCR_ENABLE   0x01
#define FCR_CLEAR    0x06
#define LSR_READY    0x01
#define LSR_OVERRUN  0x02
#define LSR_THRE     0x20
#define LSR_TEMT     0x40
#define IIR_NONE     0x01
#define IIR_THRE     0x02
#define IIR_RECEIVED 0x04
#define IIR_LINE     0x06
#define IIR_KIND     0x0f
#define IER_RECEIVE  0x01
#define IER_THRE     0x02
#define IER_LINE     0x04
#define IRQ_SERIAL   4
#define VECTOR       VECTOR_FIRST_FREE
#define TIME_LIMIT   1000000

static volatile uint32_t thre_interrupts;

static RING0_CODE void on_serial(struct interrupt_frame *frame)
{
    (void)frame;
    while (!(port_in8(IIR) & IIR_NONE)) /* reading it clears THRE's */
        thre_interrupts++;
}

/* Results are printed after the port is itself again: in loopback nothing is heard. */
static void check_registers(void)
{
    uint8_t scratch_a, scratch_b, low, high, ier, lcr;

    port_out8(SCR, 0x5a);
    scratch_a = port_in8(SCR);
    port_out8(SCR, 0xa5);
    scratch_b = port_in8(SCR);
    port_out8(LCR, LCR_DLAB | LCR_8N1);
    port_out8(RBR, 0x34);
    port_out8(IER, 0x12);
    low = port_in8(RBR);
    high = port_in8(IER);
    lcr = port_in8(LCR);
    port_out8(RBR, 1);
    port_out8(IER, 0);
    port_out8(LCR, LCR_8N1);
    ier = port_in8(IER);
    report(scratch_a == 0x5a && scratch_b == 0xa5, "the scratch register holds a byte");
    report(low == 0x34 && high == 0x12, "the divisor latch holds two bytes");
    report(lcr == (LCR_DLAB | LCR_8N1), "LCR reads back");
    report(ier == 0, "the divisor latch is not IER");
    report((port_in8(LSR) & (LSR_THRE | LSR_TEMT)) == (LSR_THRE | LSR_TEMT),
           "the transmitter is empty");
}

static void check_loopback(void)
{
    uint8_t lsr_before, lsr_after, byte, msr[4], fifo[20], iir, overrun;
    unsigned n = 0;

    port_out8(FCR, FCR_ENABLE | FCR_CLEAR);
    port_out8(MCR, MCR_LOOP);
    lsr_before = port_in8(LSR);
    port_out8(RBR, 0xc3);
    lsr_after = port_in8(LSR);
    byte = port_in8(RBR);
    /* DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD. */
    for (unsigned i = 0; i < 4; i++) {
        port_out8(MCR, (uint8_t)(MCR_LOOP | 1u << i));
        msr[i] = port_in8(MSR) & 0xf0;
    }
    port_out8(MCR, MCR_LOOP);
    port_in8(MSR);
    for (unsigned i = 0; i < 16; i++)
        port_out8(RBR, (uint8_t)(i + 100));
    port_out8(IER, IER_RECEIVE);
    iir = port_in8(IIR) & IIR_KIND;
    port_out8(IER, 0);
    port_out8(RBR, 1); /* the seventeenth */
    overrun = port_in8(LSR);
    while ((port_in8(LSR) & LSR_READY) && n < sizeof(fifo))
        fifo[n++] = port_in8(RBR);
    port_out8(MCR, MCR_OUT2);
    port_out8(FCR, FCR_ENABLE | FCR_CLEAR);

    report(!(lsr_before & LSR_READY) && (lsr_after & LSR_READY), "loopback: a byte arrives");
    report(byte == 0xc3, "loopback: it is the one that was sent");
    report(msr[0] == 0x20 && msr[1] == 0x10 && msr[2] == 0x40 && msr[3] == 0x80,
           "loopback: modem outputs come back as inputs (%x %x %x %x)", msr[0], msr[1], msr[2],
           msr[3]);
    report(iir == IIR_RECEIVED, "loopback: IIR says received data (%x)", iir);
    report(overrun & LSR_OVERRUN, "the seventeenth byte is an overrun");
    report(n == 16 && fifo[0] == 100 && fifo[15] == 115, "the FIFO holds 16 bytes in order (%u)",
           n);
}

static void check_fifo_bits(void)
{
    uint8_t on, off, cleared;

    port_out8(FCR, FCR_ENABLE | FCR_CLEAR);
    on = port_in8(IIR) & 0xc0;
    port_out8(MCR, MCR_LOOP);
    port_out8(RBR, 'x');
    port_out8(FCR, FCR_ENABLE | FCR_CLEAR);
    cleared = port_in8(LSR) & LSR_READY;
    port_out8(FCR, 0);
    off = port_in8(IIR) & 0xc0;
    port_out8(FCR, FCR_ENABLE | FCR_CLEAR);
    port_out8(MCR, MCR_OUT2);
    report(on == 0xc0 && off == 0, "IIR says whether the FIFOs are on");
    report(cleared == 0, "the FIFO can be cleared");
}

static void check_thre_interrupt(void)
{
    uint8_t kind;
    uint32_t first, second;

    port_out8(MCR, 0);
    port_out8(IER, IER_THRE);
    kind = port_in8(IIR) & IIR_KIND;
    port_out8(IER, 0);
    report(kind == IIR_THRE, "IIR says that the transmitter is empty (%x)", kind);
    interrupt_set_handler(VECTOR, on_serial);
    ioapic_route_isa(IRQ_SERIAL, VECTOR, apic_id());
    port_out8(MCR, MCR_OUT2);
    interrupts_enable();
    port_out8(IER, IER_THRE);
    wait_word(&thre_interrupts, 1, TIME_LIMIT);
    first = thre_interrupts;
    port_out8(RBR, '#');
    wait_word(&thre_interrupts, first + 1, TIME_LIMIT);
    second = thre_interrupts;
    port_out8(IER, 0);
    interrupts_disable();
    ioapic_mask_isa(IRQ_SERIAL);
    printf("\n");
    report(first >= 1, "an empty transmitter interrupts when that is turned on");
    report(second > first, "and after each byte");
    delay_us(1000);
    report(thre_interrupts == second, "and not when it is turned off");
}

int main(void)
{
    smp_start(); /* turns this CPU's APIC on, too */
    check_registers();
    check_loopback();
    check_fifo_bits();
    check_thre_interrupt();
    return report_summary();
}
