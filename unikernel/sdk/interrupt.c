/* The interrupt table, and what a vector leads to. */
#include "sdk/interrupt.h"

#include "cpu_state.h"
#include "sdk/apic.h"
#include "sdk/console.h"
#include "sdk/exit.h"
#include "sdk/io.h"
#include "sdk/smp.h"

#define VECTORS         256
#define FIRST_EXTERNAL  32
#define STUB_SIZE       16
#define PORT_PIC_MASTER 0x21 /* Intel 8259A: interrupt mask, OCW1 */
#define PORT_PIC_SLAVE  0xa1

#define IDT_INTERRUPT_GATE 0x8e
#define IDT_RING3          0x60

/* AMD64 APM vol. 2, section 4.8.3. */
struct idt_entry {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

extern struct idt_entry idt[VECTORS];
struct idt_entry idt[VECTORS] __attribute__((aligned(16)));

extern const char interrupt_stubs[], invalid_opcode_entry[], gate_entry[];

static interrupt_handler *volatile handlers[VECTORS];
static volatile uint32_t counts[VECTORS];

static void set_entry(unsigned vector, uintptr_t target, uint8_t type)
{
    idt[vector] = (struct idt_entry){
        .offset_low = (uint16_t)target,
        .selector = SELECTOR_CODE64,
        .type = type,
        .offset_middle = (uint16_t)(target >> 16),
        .offset_high = (uint32_t)(target >> 32),
    };
}

static void wake(struct interrupt_frame *frame)
{
    (void)frame;
}

void interrupts_init(void)
{
    for (unsigned v = 0; v < VECTORS; v++)
        set_entry(v, (uintptr_t)interrupt_stubs + v * STUB_SIZE, IDT_INTERRUPT_GATE);
    set_entry(VECTOR_BREAKPOINT, (uintptr_t)interrupt_stubs + VECTOR_BREAKPOINT * STUB_SIZE,
              IDT_INTERRUPT_GATE | IDT_RING3);
    set_entry(VECTOR_INVALID_OPCODE, (uintptr_t)invalid_opcode_entry, IDT_INTERRUPT_GATE);
    set_entry(GATE_VECTOR, (uintptr_t)gate_entry, IDT_INTERRUPT_GATE | IDT_RING3);
    handlers[VECTOR_SMP_WAKE] = wake;
    /* Firmware may have left the old interrupt controller on; its vectors are exceptions'. */
    port_out8(PORT_PIC_MASTER, 0xff);
    port_out8(PORT_PIC_SLAVE, 0xff);
}

void interrupt_set_entry(unsigned vector, const void *entry)
{
    uintptr_t stub = (uintptr_t)interrupt_stubs + (uintptr_t)vector * STUB_SIZE;

    set_entry(vector, entry ? (uintptr_t)entry : stub, IDT_INTERRUPT_GATE);
}

void interrupt_set_handler(unsigned vector, interrupt_handler *handler)
{
    if (vector < VECTORS)
        handlers[vector] = handler;
}

const volatile uint32_t *interrupt_count(unsigned vector)
{
    return &counts[vector & (VECTORS - 1)];
}

static _Noreturn void die(const struct interrupt_frame *f)
{
    char text[640];
    int n = snprintf(text, sizeof(text),
                     "\nunexpected exception %lu, error 0x%lx, ring %lu, cpu %u\n"
                     "rip %016lx rsp %016lx rflags %08lx cr2 %016lx\n"
                     "rax %016lx rbx %016lx rcx %016lx rdx %016lx\n"
                     "rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n"
                     "r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n"
                     "r13 %016lx r14 %016lx r15 %016lx\n",
                     f->vector, f->error_code, f->cs & 3, cpu_index(), f->rip, f->rsp, f->rflags,
                     cr_read(2), f->rax, f->rbx, f->rcx, f->rdx, f->rsi, f->rdi, f->rbp, f->r8,
                     f->r9, f->r10, f->r11, f->r12, f->r13, f->r14, f->r15);

    console_write_unlocked(text, (uint64_t)n);
    machine_exit(EXIT_UNEXPECTED_EXCEPTION);
}

void interrupt_dispatch(struct interrupt_frame *frame)
{
    unsigned vector = (unsigned)frame->vector;
    interrupt_handler *handler = handlers[vector];

    if (handler)
        handler(frame);
    else if (vector < FIRST_EXTERNAL)
        die(frame);
    __atomic_fetch_add(&counts[vector], 1, __ATOMIC_RELEASE);
    if (vector >= FIRST_EXTERNAL && vector != VECTOR_SPURIOUS)
        apic_write(APIC_EOI, 0);
}
