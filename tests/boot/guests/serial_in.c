/*
 * Serial input, polled or (`mode=irq`) by interrupt: `count=N` bytes, byte i being i * 3 + 1. The
 * runner sends them when it has seen READY.
 */
#include "sdk/apic.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/smp.h"
#include "sdk/time.h"

#define PORT_SERIAL 0x3f8
#define PORT_IER    (PORT_SERIAL + 1)
#define PORT_IIR    (PORT_SERIAL + 2)
#define PORT_MCR    (PORT_SERIAL + 4)
#define PORT_LSR    (PORT_SERIAL + 5)
#define IER_RECEIVE 0x01
#define MCR_OUT2    0x08 /* on a PC it lets the interrupt through */
#define IIR_NONE    0x01
#define IRQ_SERIAL  4
#define TIME_LIMIT  5000000
#define BYTES_MAX   8192
#define VECTOR      VECTOR_FIRST_FREE

static uint8_t bytes[BYTES_MAX];
static volatile uint32_t received;

static RING0_CODE void on_serial(struct interrupt_frame *frame)
{
    (void)frame;
    while (!(port_in8(PORT_IIR) & IIR_NONE))
        while ((port_in8(PORT_LSR) & 1) && received < BYTES_MAX)
            bytes[received++] = port_in8(PORT_SERIAL);
}

static void poll(uint32_t count)
{
    uint64_t end = time_us() + TIME_LIMIT;

    while (received < count && time_us() < end) {
        int byte = console_read();

        if (byte >= 0)
            bytes[received++] = (uint8_t)byte;
    }
}

int main(void)
{
    uint32_t count = (uint32_t)boot_option_number("count", 16);
    const char *mode = boot_option("mode");
    bool by_interrupt = mode && mode[0] == 'i';
    bool same = true;

    if (by_interrupt) {
        smp_start();
        interrupt_set_handler(VECTOR, on_serial);
        ioapic_route_isa(IRQ_SERIAL, VECTOR, apic_id());
        port_out8(PORT_MCR, MCR_OUT2);
        port_out8(PORT_IER, IER_RECEIVE);
        interrupts_enable();
    }
    printf("READY\n");
    if (by_interrupt)
        wait_word(&received, count, TIME_LIMIT);
    else
        poll(count);
    interrupts_disable();
    report(received == count, "%u bytes came, %u were sent", received, count);
    for (unsigned i = 0; i < received; i++)
        same = same && bytes[i] == (uint8_t)(i * 3 + 1);
    report(same, "they are the same, in order");
    if (by_interrupt)
        report(*interrupt_count(VECTOR) > 0, "%u interrupts brought them",
               *interrupt_count(VECTOR));
    return report_summary();
}
