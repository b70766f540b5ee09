/* The other CPUs. */
#include "sdk/smp.h"

#include "cpu_state.h"
#include "sdk/acpi.h"
#include "sdk/apic.h"
#include "sdk/boot.h"
#include "sdk/interrupt.h"
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define KERNEL_STACK_SIZE 8192
#define USER_STACK_SIZE   16384
#define BOOT_STACK_SIZE   65536

/* Intel SDM vol. 3, section 9.4.4: how a CPU is started. */
#define ICR_INIT         0x4500
#define ICR_STARTUP      0x4600
#define STARTUP_RETRY_US 100000
#define STARTUP_GIVE_UP  2000000

/* Where a trampoline may lie: above the real-mode vectors, below the EBDA. */
#define TRAMPOLINE_LOWEST 0x1000
#define TRAMPOLINE_END    0x9f000

_Static_assert(CPU_MAX == STATE_CPU_MAX, "the GDT has a TSS for each");

static uint8_t boot_kernel_stack[KERNEL_STACK_SIZE] __attribute__((aligned(16)));
static uint8_t boot_user_stack[BOOT_STACK_SIZE] __attribute__((aligned(16)));

struct cpu boot_cpu = {
    .self = &boot_cpu,
    .kernel_stack = (uintptr_t)boot_kernel_stack + sizeof(boot_kernel_stack),
    .user_stack = (uintptr_t)boot_user_stack + sizeof(boot_user_stack),
    .entry = sdk_start,
    .tss_selector = SELECTOR_TSS,
    .online = 1,
};

struct tss_area tss_area __attribute__((aligned(16)));

static struct cpu *cpus[CPU_MAX] = {&boot_cpu};
static unsigned running = 1;

extern const char trampoline_start[], trampoline_end[];

/* What the CPU that is being started is to become; read by the trampoline. */
extern uint32_t smp_starting;
uint32_t smp_starting;

void spin_lock(struct spinlock *lock)
{
    while (__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&lock->taken, __ATOMIC_RELAXED))
            cpu_pause();
}

void spin_unlock(struct spinlock *lock)
{
    __atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

unsigned cpu_count(void)
{
    unsigned n = acpi_cpus(NULL, 0);

    return n ? n : 1;
}

unsigned cpu_index(void)
{
    return cpu_self()->index;
}

uint32_t cpu_apic_id(unsigned index)
{
    return index < running ? cpus[index]->apic_id : UINT32_MAX;
}

static _Noreturn void worker(struct cpu *self)
{
    apic_enable();
    __atomic_store_n(&self->online, 1, __ATOMIC_RELEASE);
    for (;;) {
        cpu_halt_while(&self->work_count, self->done_count);
        self->work(self->work_argument);
        __atomic_store_n(&self->done_count, self->done_count + 1, __ATOMIC_RELEASE);
    }
}

static bool page_is_free(uint64_t page)
{
    const struct boot_info *info = boot_info();
    bool is_ram = false;

    for (unsigned i = 0; i < info->region_count; i++) {
        const struct boot_region *r = &info->regions[i];

        if (r->type == REGION_RAM && page >= r->base && page + PAGE_SIZE <= r->base + r->size)
            is_ram = true;
    }
    for (unsigned i = 0; i < info->module_count; i++) {
        uint64_t start = (uintptr_t)info->modules[i].data;

        if (page + PAGE_SIZE > start && page < start + info->modules[i].size)
            return false;
    }
    /* The hand-over structure and the command line stay readable for the application. */
    if (page == (info->start_address & ~(PAGE_SIZE - 1)))
        return false;
    return is_ram && (page + PAGE_SIZE <= (uintptr_t)info->cmdline ||
                      page > (uintptr_t)info->cmdline + strlen(info->cmdline));
}

static uint64_t place_trampoline(void)
{
    for (uint64_t page = TRAMPOLINE_END - PAGE_SIZE; page >= TRAMPOLINE_LOWEST; page -= PAGE_SIZE)
        if (page_is_free(page)) {
            memcpy((void *)page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
            return page;
        }
    return 0;
}

void tss_init(const struct cpu *cpu)
{
    struct tss *tss = &tss_area.tss[cpu->index];
    uint64_t base = (uintptr_t)tss;
    uint64_t *entry = &gdt[cpu->tss_selector / 8];

    tss->rsp[0] = cpu->kernel_stack;
    tss->io_map_base = (uint16_t)(tss_area.io_map - (uint8_t *)tss);
    /* The CPU reads two bytes at a time: AMD64 APM vol. 2, section 12.2.4. */
    tss_area.io_map[IO_MAP_SIZE - 1] = 0xff;
    if (cpu == &boot_cpu)
        return; /* start.S has made and loaded its descriptor */
    /* AMD64 APM vol. 2, section 4.8.3: an available 64-bit TSS. */
    entry[0] = TSS_LIMIT(cpu->index) | (base & 0xffffff) << 16 | UINT64_C(0x89) << 40 |
               (base >> 24 & 0xff) << 56;
    entry[1] = base >> 32;
}

static struct cpu *cpu_create(unsigned index, uint32_t id)
{
    struct cpu *cpu = calloc(1, sizeof(*cpu));
    char *stacks = aligned_alloc(16, KERNEL_STACK_SIZE + USER_STACK_SIZE);

    if (!cpu || !stacks) {
        free(cpu);
        free(stacks);
        return NULL;
    }
    cpu->self = cpu;
    cpu->kernel_stack = (uintptr_t)stacks + KERNEL_STACK_SIZE;
    cpu->user_stack = cpu->kernel_stack + USER_STACK_SIZE;
    cpu->entry = worker;
    cpu->tss_selector = SELECTOR_TSS + 16 * index;
    cpu->index = index;
    cpu->apic_id = id;
    tss_init(cpu);
    return cpu;
}

static bool start_one(struct cpu *cpu, uint64_t trampoline)
{
    __atomic_store_n(&smp_starting, (uint32_t)(uintptr_t)cpu, __ATOMIC_RELEASE);
    apic_send(cpu->apic_id, ICR_INIT);
    apic_send(cpu->apic_id, ICR_STARTUP | (uint32_t)(trampoline / PAGE_SIZE));
    if (wait_word(&cpu->online, 1, STARTUP_RETRY_US))
        return true;
    apic_send(cpu->apic_id, ICR_STARTUP | (uint32_t)(trampoline / PAGE_SIZE));
    return wait_word(&cpu->online, 1, STARTUP_GIVE_UP);
}

unsigned smp_start(void)
{
    uint32_t ids[CPU_MAX];
    unsigned count = acpi_cpus(ids, CPU_MAX);
    uint64_t trampoline = place_trampoline();

    apic_enable();
    boot_cpu.apic_id = apic_id();
    if (running > 1 || trampoline == 0)
        return running;
    if (count > CPU_MAX)
        count = CPU_MAX;
    for (unsigned i = 0; i < count && running < CPU_MAX; i++) {
        struct cpu *cpu;

        if (ids[i] == boot_cpu.apic_id)
            continue;
        cpu = cpu_create(running, ids[i]);
        if (!cpu || !start_one(cpu, trampoline))
            break; /* what it left half done stays allocated: it may yet come up and use it */
        cpus[running++] = cpu;
    }
    return running;
}

void smp_run(unsigned index, void (*function)(void *), void *argument)
{
    struct cpu *cpu = cpus[index];

    cpu->work = function;
    cpu->work_argument = argument;
    __atomic_store_n(&cpu->work_count, cpu->work_count + 1, __ATOMIC_SEQ_CST);
    apic_send_ipi(cpu->apic_id, VECTOR_SMP_WAKE);
}

void smp_wait(unsigned index)
{
    struct cpu *cpu = cpus[index];

    while (__atomic_load_n(&cpu->done_count, __ATOMIC_ACQUIRE) != cpu->work_count)
        cpu_pause();
}
