/*
 * What a hypercall costs, beside an exit for a port by a program that does nothing but KVM_RUN,
 * with the same guest loop; and file throughput in calls of 64 KiB, beside the same system calls.
 *
 * bench_hermit_calls OSVM_VMM IMAGE_1 IMAGE_3 [ROUNDS]
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "measure.h"

#define FLOOR_EXITS  5000
#define FLOOR_MEMORY (2 * MIB)
#define FLOOR_CODE   0x1000
#define CHUNK        (64 * KIB)
#define FILE_SIZE    (16 * MIB)

/* As hermit_calls.c has it: out %eax, (%dx); dec %ecx; jnz back; hlt */
static const uint8_t floor_code[] = {0xef, 0xff, 0xc9, 0x75, 0xfb, 0xf4};

/* ---- The floor of an exit. ---- */

struct floor {
    int vm, vcpu;
    struct kvm_run *run;
};

static int checked(int result, const char *what)
{
    if (result < 0)
        die(what);
    return result;
}

/* 64-bit code as a Hermit image begins: flat, one page of 2 MiB mapped. */
static void enter_long_mode(const struct floor *floor, uint8_t *memory)
{
    const uint64_t entries[] = {0x3003, 0x4003, 0x83};
    struct kvm_segment code = {
        .limit = UINT32_MAX, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    struct kvm_segment data = {
        .limit = UINT32_MAX, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
    struct kvm_sregs sregs;

    for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
        memcpy(memory + 0x2000 + 0x1000 * i, &entries[i], sizeof(entries[i]));
    checked(ioctl(floor->vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
    sregs.cr0 = 0x80000031;
    sregs.cr3 = 0x2000;
    sregs.cr4 = 0x20;
    sregs.efer = 0xd00;
    checked(ioctl(floor->vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
}

static void make_floor(struct floor *floor)
{
    static struct { /* the layout of struct kvm_cpuid2 */
        uint32_t count, padding;
        struct kvm_cpuid_entry2 entries[256];
    } cpuid = {.count = 256};
    int kvm = checked(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
    struct kvm_userspace_memory_region slot = {.memory_size = FLOOR_MEMORY};
    int run_size = checked(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    uint8_t *memory =
        mmap(NULL, FLOOR_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        die("mmap");
    memcpy(memory + FLOOR_CODE, floor_code, sizeof(floor_code));
    slot.userspace_addr = (uintptr_t)memory;
    floor->vm = checked(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    checked(ioctl(floor->vm, KVM_SET_USER_MEMORY_REGION, &slot), "memory");
    checked(ioctl(floor->vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
    floor->vcpu = checked(ioctl(floor->vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    floor->run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, floor->vcpu, 0);
    if (floor->run == MAP_FAILED)
        die("mmap");
    checked(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "KVM_GET_SUPPORTED_CPUID");
    checked(ioctl(floor->vcpu, KVM_SET_CPUID2, &cpuid), "KVM_SET_CPUID2");
    enter_long_mode(floor, memory);
}

/* Microseconds an exit. */
static double run_floor(const struct floor *floor)
{
    struct kvm_regs regs = {.rip = FLOOR_CODE, .rflags = 2, .rcx = FLOOR_EXITS, .rdx = 0x480};
    uint64_t start;

    checked(ioctl(floor->vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
    start = clock_monotonic_ns();
    for (unsigned i = 0; i < FLOOR_EXITS; i++) {
        checked(ioctl(floor->vcpu, KVM_RUN, 0), "KVM_RUN");
        if (floor->run->exit_reason != KVM_EXIT_IO) {
            fprintf(stderr, "bench: the floor left by reason %u\n", floor->run->exit_reason);
            exit(1);
        }
    }
    return (double)(clock_monotonic_ns() - start) / NS_PER_US / FLOOR_EXITS;
}

/* ---- The floor of a file: the same bytes by the same calls. ---- */

static double file_floor(const char *folder, bool write)
{
    static uint8_t data[CHUNK];
    char path[128];
    uint64_t start;
    int fd;

    snprintf(path, sizeof(path), "%s/floor", folder);
    fd = checked(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), path);
    start = clock_monotonic_ns();
    for (uint64_t at = 0; at < FILE_SIZE; at += CHUNK) {
        ssize_t n = write ? pwrite(fd, data, CHUNK, (off_t)at) : pread(fd, data, CHUNK, (off_t)at);

        if (n != CHUNK)
            die(path);
    }
    close(fd);
    return (double)(clock_monotonic_ns() - start) / NS_PER_US;
}

/* ---- Rounds. ---- */

enum figure { EXIT, WRITE_FLOOR, READ_FLOOR, CLOSE, CONSOLE, WRITE, READ, FIGURES };

static const char *const names[FIGURES] = {
    [CLOSE] = "close", [CONSOLE] = "console", [WRITE] = "write", [READ] = "read"};

struct rounds {
    double values[FIGURES][MAX_ROUNDS];
};

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median(struct rounds *rounds, enum figure figure, unsigned count)
{
    qsort(rounds->values[figure], count, sizeof(double), compare_doubles);
    return rounds->values[figure][count / 2];
}

/* One run of the image: microseconds a call, or for a whole file. */
static void run_image(char *const argv[], struct rounds *rounds, unsigned round)
{
    struct child child = spawn(argv);
    FILE *lines = fdopen(dup(child.output), "r");
    unsigned found = 0;
    char name[32];
    uint64_t count, us;

    if (!lines)
        die("fdopen");
    while (fscanf(lines, "%31s %" SCNu64 " %" SCNu64, name, &count, &us) == 3) {
        for (enum figure i = CLOSE; i < FIGURES; i++) {
            if (strcmp(names[i], name) != 0)
                continue;
            rounds->values[i][round] = (double)us / (i < WRITE ? (double)count : 1);
            found++;
        }
    }
    fclose(lines);
    reap(&child, "osvm-vmm", 0);
    if (found != FIGURES - CLOSE) {
        fprintf(stderr, "bench: the image said %u figures\n", found);
        exit(1);
    }
}

static void measure(const struct floor *floor, const char *interface, char *vmm, char *image,
                    unsigned count)
{
    static struct rounds rounds;
    char folder[] = "/tmp/osvm-bench-XXXXXX", map[64], what[64], path[64];
    char *const argv[] = {vmm,          (char *)"--kernel", image, (char *)"--mem",
                          (char *)"64", (char *)"--map",    map,   NULL};

    double base;

    if (!mkdtemp(folder))
        die("mkdtemp");
    snprintf(map, sizeof(map), "%s:/data", folder);
    for (unsigned i = 0; i < count; i++) {
        rounds.values[EXIT][i] = run_floor(floor);
        rounds.values[WRITE_FLOOR][i] = file_floor(folder, true);
        rounds.values[READ_FLOOR][i] = file_floor(folder, false);
        run_image(argv, &rounds, i);
    }
    base = median(&rounds, EXIT, count);
    for (enum figure i = CLOSE; i < WRITE; i++) {
        snprintf(what, sizeof(what), "Hermit %s: %s call", interface, names[i]);
        ratio_row(what, median(&rounds, i, count), base, "exit", 1.3);
    }
    base *= (double)(FILE_SIZE / CHUNK); /* an exit a call is in any case */
    for (enum figure i = WRITE; i <= READ; i++) {
        snprintf(what, sizeof(what), "Hermit %s: %s 16 MiB by 64 KiB", interface, names[i]);
        ratio_row(what, median(&rounds, i, count),
                  base + median(&rounds, i == WRITE ? WRITE_FLOOR : READ_FLOOR, count),
                  "exits and syscalls", 0);
    }
    snprintf(path, sizeof(path), "%s/floor", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/file", folder);
    unlink(path);
    rmdir(folder);
}

int main(int argc, char *argv[])
{
    unsigned rounds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 10;
    struct floor floor;

    if (argc < 4 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_hermit_calls OSVM_VMM IMAGE_1 IMAGE_3 [ROUNDS]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    make_floor(&floor);
    measure(&floor, "1", argv[1], argv[2], rounds);
    measure(&floor, "3", argv[1], argv[3], rounds);
    return 0;
}
