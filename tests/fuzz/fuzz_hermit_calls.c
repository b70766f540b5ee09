/*
 * hermit/hermit.h: a program of writes to guest memory and of calls, of the interface that the
 * first byte says, over a mapped file and folder and a private folder with a small limit. Page
 * tables lie in the memory that is written.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/util.h"
#include "guest/entry_state.h"
#include "hermit/hermit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_SIZE (64 * KIB)
#define TABLES_GPA  0x8000
#define SIZE_LIMIT  (128 * KIB)

/* One step: what to do, which call or name, where (16 bits), a value. */
#define STEP_SIZE 12

struct guest {
    struct hypercall_cpu cpu;
    uint64_t rdi;
    struct hermit_console console;
    struct power_sink power;
    uint8_t sum;
};

static int read_rdi(const struct hypercall_cpu *cpu, uint64_t *ret_rdi)
{
    *ret_rdi = container_of(cpu, struct guest, cpu)->rdi;
    return 0;
}

static int read_paging(const struct hypercall_cpu *cpu, struct cpu_paging *ret_paging)
{
    (void)cpu;
    *ret_paging = (struct cpu_paging){
        .cr0 = X86_CR0_PG | X86_CR0_PE,
        .cr3 = TABLES_GPA,
        .cr4 = X86_CR4_PAE,
        .efer = X86_EFER_LMA | X86_EFER_LME,
    };
    return 0;
}

/* Touches all that it is given, so that a length too long is seen. */
static void on_print(struct hermit_console *console, const uint8_t *bytes, size_t len)
{
    struct guest *guest = container_of(console, struct guest, console);

    for (size_t i = 0; i < len; i++)
        guest->sum = (uint8_t)(guest->sum + bytes[i]);
}

static void on_power(struct power_sink *sink, enum power_event event, uint8_t status)
{
    (void)sink;
    (void)event;
    (void)status;
}

/* ---- The host's side: made once, and removed at the end. ---- */

static char folder[64];

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_host(void)
{
    char path[96];
    int fd;

    snprintf(folder, sizeof(folder), "/tmp/osvm-fuzz-XXXXXX");
    if (!mkdtemp(folder))
        abort();
    atexit(remove_folder);
    snprintf(path, sizeof(path), "%s/in", folder);
    if (mkdir(path, 0755) < 0)
        abort();
    snprintf(path, sizeof(path), "%s/in/a", folder);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, "0123456789", 10) != 10)
        abort();
    close(fd);
}

static struct hermit_files *make_files(void)
{
    char in[96], file[96];
    const struct hermit_mapping mappings[] = {{in, "/in", true}, {file, "/etc/a", true}};
    struct hermit_files_options options = {
        .mappings = mappings,
        .mapping_count = ARRAY_SIZE(mappings),
        .temporary = folder,
        .size_limit = SIZE_LIMIT,
    };
    struct hermit_files *files = NULL;

    snprintf(in, sizeof(in), "%s/in", folder);
    snprintf(file, sizeof(file), "%s/in/a", folder);
    if (hermit_files_create(&options, &files, NULL) < 0)
        abort();
    return files;
}

/* ---- The guest's side. ---- */

static void make_call(struct hermit_calls *calls, struct guest *guest, unsigned interface,
                      uint8_t which, uint64_t argument)
{
    const uint16_t port =
        (uint16_t)(interface == 1 ? 0x400 + which % 24 * 0x40 : 0x1000 + which % 32 * 0x10);
    uint32_t eax = (uint32_t)argument;
    struct hypercall_out out = {.port = port, .size = 4, .count = 1, .data = &eax};

    guest->rdi = argument;
    hermit_calls_sink(calls)->out(hermit_calls_sink(calls), &guest->cpu, &out);
}

static void run_step(struct hermit_calls *calls, struct guest *guest, struct guest_memory *mem,
                     unsigned interface, const uint8_t *step)
{
    static const char *const names[] = {"/in/a", "/in", "/in/../x", "/etc/a", "x", "/d/e", "/", ""};
    uint16_t where = load_le16(step + 2);
    const char *name = names[step[1] % ARRAY_SIZE(names)];

    switch (step[0] % 4) {
    case 0:
        make_call(calls, guest, interface, step[1], where);
        break;
    case 1:
        make_call(calls, guest, interface, step[1], load_le64(step + 4));
        break;
    case 2:
        guest_memory_write(mem, where, name, strlen(name) + 1);
        break;
    default:
        guest_memory_write(mem, where, step + 4, 8);
        break;
    }
}

/* All of memory at 0, by one page table. */
static void make_tables(struct guest_memory *mem)
{
    uint8_t entry[8];

    for (uint64_t level = 0; level < 3; level++) {
        store_le64(entry, (TABLES_GPA + (level + 1) * 0x1000) | 3);
        guest_memory_write(mem, TABLES_GPA + level * 0x1000, entry, sizeof(entry));
    }
    for (uint64_t page = 0; page < MEMORY_SIZE / 4096; page++) {
        store_le64(entry, page * 4096 | 3);
        guest_memory_write(mem, TABLES_GPA + 0x3000 + page * 8, entry, sizeof(entry));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hypercall_cpu_ops ops = {read_rdi, read_paging};
    static const char *const strings[] = {"program", "argument"};
    static struct guest_memory *mem;
    const struct log log = {.fd = -1};
    struct guest guest = {.cpu.ops = &ops, .console.write = on_print, .power.event = on_power};
    struct hermit_options options = {
        .interface = size > 0 ? data[0] % 3 + 1 : 1,
        .arguments = strings,
        .argument_count = ARRAY_SIZE(strings),
        .console = &guest.console,
        .power = &guest.power,
        .log = &log,
    };
    struct hermit_calls *calls = NULL;

    if (size == 0)
        return 0;
    if (!mem) {
        struct guest_memory_options memory = {.size = MEMORY_SIZE};

        if (guest_memory_create(&memory, &mem, NULL) < 0)
            abort();
        make_host();
    }
    guest_memory_zero(mem, 0, MEMORY_SIZE);
    make_tables(mem);
    options.mem = mem;
    options.files = make_files();
    if (hermit_calls_create(&options, &calls, NULL) < 0)
        abort();
    for (data++, size--; size >= STEP_SIZE; data += STEP_SIZE, size -= STEP_SIZE)
        run_step(calls, &guest, mem, options.interface, data);
    hermit_calls_destroy(calls);
    hermit_files_destroy(options.files);
    return 0;
}
