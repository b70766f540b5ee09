/*
 * Test images that follow the contract of Hermit's own hypervisor (docs/hermit.md): freestanding,
 * in ring 0, linked as ET_DYN or ET_EXEC, with its notes. A source defines hermit_main() and names
 * its kind in tests/boot/hermit/meson.build; the notes come from there too (HERMIT_INTERFACE, …).
 *
 * Results go to the serial port as TAP, not by hypercalls, so that they do not depend on them.
 */
#ifndef OSVM_TESTS_HERMIT_H
#define OSVM_TESTS_HERMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RawBootInfo. */
struct boot_info {
    uint64_t ram_start, ram_end;
    uint16_t serial_port;
    uint64_t fdt;
    uint64_t kernel_start, kernel_end;
    uint64_t tls_start, tls_file_size, tls_memory_size, tls_alignment;
    uint32_t platform, reserved;
    uint8_t has_pci;
    uint64_t cpus;
    uint32_t tsc_khz;
    uint64_t boot_time_ns, boot_time_ns_high;
};

_Static_assert(sizeof(struct boot_info) == 0x80, "RawBootInfo");

/* A CPU's registers at its first instruction. */
struct entry_registers {
    uint64_t rsp, rflags, cr0, cr3, cr4;
    uint64_t efer;
    uint64_t rip; /* of the first instruction */
    uint16_t cs, ds, es, ss;
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } gdt;
};

/* The image's own. Runs on every CPU at once, each on a stack of its own; ends the machine with
 * hermit_end(), or returns and halts this CPU. */
void hermit_main(const struct boot_info *info, uint64_t cpu);

/* Of CPU 0; and of the others, by their number, the stack pointer. */
extern struct entry_registers hermit_entry_registers;
extern uint64_t hermit_entry_rsp[];

/* ---- The machine. ---- */

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint64_t read_msr(uint32_t number)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(number)
                     : "memory");
}

static inline void cpuid(uint32_t leaf, uint32_t registers[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(registers[0]), "=b"(registers[1]), "=c"(registers[2]),
                       "=d"(registers[3])
                     : "a"(leaf), "c"(0));
}

/* ---- Hypercalls. What `argument` points to is mapped one to one. ---- */

/* Interface 1: the low half of the argument's address in EAX. */
static inline void hermit_call_1(uint16_t port, const volatile void *argument)
{
    __asm__ volatile("outl %%eax, %%dx"
                     :
                     : "a"((uint32_t)(uintptr_t)argument), "d"(port)
                     : "memory");
}

/* Interfaces 2 and 3: its address in RDI. */
static inline void hermit_call(uint16_t port, const volatile void *argument)
{
    __asm__ volatile("outl %%eax, %%dx" : : "a"(0), "d"(port), "D"(argument) : "memory");
}

/* ---- Results. ---- */

void put_text(const char *text);
void put_number(uint64_t value); /* hexadecimal */
void put_decimal(uint64_t value);

/* One line of TAP; CPU 0 alone. */
void report(bool good, const char *what);
/* The same, with the two numbers where they differ. */
void report_equal(uint64_t value, uint64_t expected, const char *what);
/* The plan, and the end of the machine: status 0, or 1 where something was not good. */
void report_end(void) __attribute__((noreturn));
void hermit_end(uint8_t status) __attribute__((noreturn));

/* ---- The device tree. ---- */

/**
 * Find a property of a node, by the beginnings of the names on its path ("memory@", "chosen").
 *
 * @nth       which of the nodes of that name, from 0
 * @ret_size  bytes; NULL where they are not wanted
 * Returns where it is, big-endian, or NULL.
 */
const void *fdt_find(const struct boot_info *info, const char *node, unsigned nth,
                     const char *property, uint32_t *ret_size);
uint32_t be32(const void *at);
uint64_t be64(const void *at);

/* A number NAME=NUMBER, decimal or after 0x, of the boot arguments. */
uint64_t bootargs_number(const struct boot_info *info, const char *name);

/* Whether two strings are the same, and whether one begins with another. */
bool same_text(const char *a, const char *b);
bool begins_with(const char *text, const char *beginning);

/* ---- Memory. ---- */

/* Map the page of 2 MiB that has this address, one to one. Some ten of different GiB at most. */
void map_large_page(uint64_t address);

#endif
