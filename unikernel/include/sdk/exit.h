/* The end of the machine. */
#ifndef SDK_EXIT_H
#define SDK_EXIT_H

#include <stdbool.h>
#include <stdint.h>

/* osvm-vmm's port; guest/include/guest/board/osvm_port.h says what it does. */
#define OSVM_PORT                   0x700
#define OSVM_PORT_SIGNATURE         UINT32_C(0x4d56534f)
#define OSVM_PORT_EXIT              0x4
#define OSVM_PORT_FIRST_INSTRUCTION 0x8
#define OSVM_PORT_NOW               0xc
#define OSVM_MILESTONE_READY        2

/* QEMU's isa-debug-exit (docs/specs): a write of v ends QEMU with (v << 1) | 1. */
#define PORT_DEBUG_EXIT 0xf4

/* Whether the port of osvm-vmm is there. */
bool osvm_port_present(void);

/**
 * End the machine with this status: by osvm-vmm's port, else by QEMU's debug-exit port, else by
 * ACPI power-off, else by a triple fault. Any CPU, any ring.
 */
_Noreturn void machine_exit(int status);

/* End by an exception that cannot be delivered. */
_Noreturn void machine_triple_fault(void);

#endif
