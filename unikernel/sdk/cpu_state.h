/*
 * What start-up, written in assembly, shares with the rest: selectors, and the layout of a CPU's
 * own state. Private to the SDK.
 */
#ifndef SDK_CPU_STATE_H
#define SDK_CPU_STATE_H

#define SELECTOR_CODE32    0x08
#define SELECTOR_CODE64    0x10
#define SELECTOR_DATA      0x18
#define SELECTOR_USER_DATA (0x28 | 3)
#define SELECTOR_USER_CODE (0x30 | 3)
#define SELECTOR_TSS       0x40 /* the first CPU's; each is 16 bytes */

#define STATE_CPU_MAX      256
#define STATE_KERNEL_STACK 8
#define STATE_USER_STACK   16
#define STATE_ENTRY        24
#define STATE_TSS_SELECTOR 32

/*
 * The TSSs lie in a row, and behind the last a map that lets ring 3 reach every I/O port: the end
 * of each TSS is the end of the map. IOPL 3 alone would do, but a software KVM may lose it.
 */
#define TSS_SIZE     104
#define IO_MAP_SIZE  (65536 / 8 + 1)
#define TSS_LIMIT(n) (TSS_SIZE * (STATE_CPU_MAX - (n)) + IO_MAP_SIZE - 1)

/* Control bits. AMD64 APM vol. 2, section 3.1. */
#define START_CR0 0x80000033 /* PG NE ET MP PE */
#define START_CR4 0x00000620 /* OSXMMEXCPT OSFXSR PAE */
#define EFER_LME  0x00000100

/* RFLAGS for ring 3: bit 1 always, IOPL 3, interrupts off. */
#define START_USER_FLAGS 0x3002

/* The gate's software interrupt, and the bytes of its instruction, `int $0x80`. */
#define GATE_VECTOR      0x80
#define GATE_INSTRUCTION 0x80cd

/* Operations of the gate, in RAX. */
#define GATE_HALT_WHILE    0
#define GATE_MSR_READ      1
#define GATE_MSR_WRITE     2
#define GATE_TLB_FLUSH     3
#define GATE_CALL          4
#define GATE_SET_INTERRUPT 5
#define GATE_CPUID         6
#define GATE_COUNT         7

#ifndef __ASSEMBLER__

#include <stdint.h>

#define RFLAGS_IF (1u << 9)

/* AMD64 APM vol. 2, section 12.2.5. */
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map_base;
} __attribute__((packed));

/* GS points at it in both rings. */
struct cpu {
    struct cpu *self;
    uint64_t kernel_stack, user_stack; /* tops, 16-byte aligned */
    void (*entry)(struct cpu *cpu);    /* in ring 3; does not return */
    uint64_t tss_selector;
    unsigned index;
    uint32_t apic_id;
    volatile uint32_t online;
    volatile uint32_t work_count, done_count; /* work is there while they differ */
    void (*work)(void *argument);
    void *work_argument;
};

_Static_assert(__builtin_offsetof(struct cpu, kernel_stack) == STATE_KERNEL_STACK, "layout");
_Static_assert(__builtin_offsetof(struct cpu, user_stack) == STATE_USER_STACK, "layout");
_Static_assert(__builtin_offsetof(struct cpu, entry) == STATE_ENTRY, "layout");
_Static_assert(__builtin_offsetof(struct cpu, tss_selector) == STATE_TSS_SELECTOR, "layout");
_Static_assert(sizeof(struct tss) == TSS_SIZE, "layout");

struct tss_area {
    struct tss tss[STATE_CPU_MAX];
    uint8_t io_map[IO_MAP_SIZE];
};

_Static_assert(sizeof(struct tss_area) == TSS_LIMIT(0) + 1, "layout");

extern struct cpu boot_cpu;
extern struct tss_area tss_area;
extern uint64_t gdt[];
extern uint32_t start_info_address, start_magic;

/* start.S: the boot CPU's first C function, in ring 3. */
void sdk_start(struct cpu *cpu);

struct interrupt_frame;
void interrupt_dispatch(struct interrupt_frame *frame);
void interrupts_init(void);

/* Have a vector enter the code at `entry`, in ring 0, and not go through interrupt_dispatch();
 * NULL: as before. It must save what it changes, end the interrupt at the APIC, and `iretq`. */
void interrupt_set_entry(unsigned vector, const void *entry);
void boot_init(void);
void tss_init(const struct cpu *cpu);
void console_init(void);

/* apic.c: send a command as the ICR has it. */
void apic_send(uint32_t to_apic_id, uint32_t command);

/* Console output that takes no lock: for the last words of a machine. */
void console_write_unlocked(const void *bytes, uint64_t length);

static inline struct cpu *cpu_self(void)
{
    struct cpu *cpu;
    __asm__("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/* entry.S */
uint64_t gate_from_ring0(uint64_t operation, uint64_t a, uint64_t b);
void gate_halt_while_ring3(const volatile uint32_t *word, uint32_t value);

static inline uint64_t gate(uint64_t operation, uint64_t a, uint64_t b)
{
    uint16_t cs;

    __asm__("mov %%cs, %0" : "=r"(cs));
    if ((cs & 3) == 0)
        return gate_from_ring0(operation, a, b);
    __asm__ volatile("int $0x80"
                     : "+a"(operation), "+D"(a), "+S"(b)
                     :
                     : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return operation;
}

#endif
#endif
