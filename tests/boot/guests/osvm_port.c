/* The port of osvm-vmm itself (guest/include/guest/board/osvm_port.h). */
#include "sdk/exit.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/time.h"

int main(void)
{
    uint32_t first, now, later;

    report(port_in32(OSVM_PORT) == OSVM_PORT_SIGNATURE, "it has its signature");
    report(port_in32(OSVM_PORT + OSVM_PORT_EXIT) == 1, "its interface is version 1");
    first = port_in32(OSVM_PORT + OSVM_PORT_FIRST_INSTRUCTION);
    now = port_in32(OSVM_PORT + OSVM_PORT_NOW);
    delay_us(10000);
    later = port_in32(OSVM_PORT + OSVM_PORT_NOW);
    report(first > 0 && first <= now, "the first instruction came %u us after the start", first);
    report(later - now >= 9500 && later - now < 1000000, "its clock goes on (%u us in 10 ms)",
           later - now);
    report(port_in32(OSVM_PORT + OSVM_PORT_FIRST_INSTRUCTION) == first, "the first time stays");
    port_out32(OSVM_PORT, 1);
    report(port_in32(OSVM_PORT + OSVM_PORT_FIRST_INSTRUCTION) == first, "even if told again");
    report(port_in8(OSVM_PORT) == 0xff && port_in16(OSVM_PORT) == 0xffff,
           "narrower reads are all ones");
    port_out8(OSVM_PORT + OSVM_PORT_EXIT, 7);
    port_out16(OSVM_PORT + OSVM_PORT_EXIT, 7);
    report(true, "narrower writes do nothing");
    return report_summary();
}
