/* The ways out of a machine: `via=ROUTE status=N`. */
#include "sdk/exit.h"
#include "sdk/acpi.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/cpu.h"
#include "sdk/io.h"
#include "sdk/report.h"
#include "sdk/string.h"
#include "sdk/time.h"

/* guest/include/guest/layout.h. */
#define PORT_I8042_COMMAND 0x64
#define PORT_SLEEP_CONTROL 0x600
#define PORT_PM1A_CONTROL  0x604
#define PORT_RESET         0xcf9

#define I8042_PULSE_RESET 0xfe
#define I8042_WRITE_OUT   0xd1
#define RESET_HARD        0x06 /* SYS_RST, RST_CPU */
#define SLEEP_S5          0x20 /* SLP_EN, SLP_TYP 0 */
#define PM1_S5            0x2000

static void leave(const char *route, uint32_t status)
{
    if (strcmp(route, "port") == 0)
        port_out32(OSVM_PORT + OSVM_PORT_EXIT, status);
    else if (strcmp(route, "debug") == 0)
        port_out32(PORT_DEBUG_EXIT, status);
    else if (strcmp(route, "debug8") == 0)
        port_out8(PORT_DEBUG_EXIT, (uint8_t)status);
    else if (strcmp(route, "sleep") == 0)
        port_out8(PORT_SLEEP_CONTROL, SLEEP_S5);
    else if (strcmp(route, "pm1a") == 0)
        port_out16(PORT_PM1A_CONTROL, PM1_S5);
    else if (strcmp(route, "acpi-off") == 0)
        acpi_power_off();
    else if (strcmp(route, "acpi-reset") == 0)
        acpi_reset();
    else if (strcmp(route, "cf9") == 0)
        port_out8(PORT_RESET, RESET_HARD);
    else if (strcmp(route, "i8042") == 0)
        port_out8(PORT_I8042_COMMAND, I8042_PULSE_RESET);
    else if (strcmp(route, "triple") == 0)
        machine_triple_fault();
    else if (strcmp(route, "hang") == 0)
        for (;;)
            cpu_pause();
    else if (strcmp(route, "halt") == 0)
        for (;;)
            cpu_halt();
}

int main(void)
{
    char route[16] = {0};
    const char *via = boot_option("via");

    for (size_t i = 0; via && via[i] && via[i] != ' ' && i < sizeof(route) - 1; i++)
        route[i] = via[i];
    printf("READY to leave by %s\n", route);
    leave(route, (uint32_t)boot_option_number("status", 0));
    /* The last instruction may have completed before the machine stopped this CPU. */
    delay_us(200000);
    report(false, "%s ends the machine", route);
    return 99;
}
