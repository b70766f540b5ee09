/*
 * What a VM costs, side by side in one run: medians of interleaved rounds, as ratios against the
 * floor program or between two settings, because the machines that this runs on are shared.
 *
 * bench OSVM_VMM FLOOR FIRST_BYTE_IMAGE IDLE_IMAGE [ROUNDS]
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

extern char **environ;

#define MAX_ROUNDS 1000

/* A process with its standard output on a pipe. */
struct child {
    pid_t pid;
    int output;
};

static void die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct child spawn(char *const argv[])
{
    posix_spawn_file_actions_t actions;
    struct child child;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        die("pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    errno = posix_spawn(&child.pid, argv[0], &actions, NULL, argv, environ);
    if (errno)
        die(argv[0]);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    child.output = ends[0];
    return child;
}

static void expect_byte(const struct child *child, const char *who)
{
    char byte;

    if (read(child->output, &byte, 1) != 1 || byte != 'x') {
        fprintf(stderr, "bench: %s did not come to its first byte\n", who);
        exit(1);
    }
}

static void reap(struct child *child, const char *who, int expected_signal)
{
    int status;

    close(child->output);
    if (waitpid(child->pid, &status, 0) < 0)
        die("waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == (expected_signal ? 128 + expected_signal : 0))
        return;
    fprintf(stderr, "bench: %s ended with wait status 0x%x\n", who, status);
    exit(1);
}

struct sample {
    uint64_t first_byte_ns; /* exec to the guest's first byte */
    uint64_t end_ns;        /* exec to the end of the process */
};

static struct sample time_run(char *const argv[])
{
    uint64_t begin = clock_monotonic_ns();
    struct child child = spawn(argv);
    struct sample sample;

    expect_byte(&child, argv[0]);
    sample.first_byte_ns = clock_monotonic_ns() - begin;
    reap(&child, argv[0], 0);
    sample.end_ns = clock_monotonic_ns() - begin;
    return sample;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double median_us(uint64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_u64);
    return (double)values[count / 2] / NS_PER_US;
}

/* Run two commands alternately; give the medians. */
static void compare(char *const a[], char *const b[], unsigned rounds, double ret_first_us[2],
                    double ret_end_us[2])
{
    static uint64_t first[2][MAX_ROUNDS], end[2][MAX_ROUNDS];
    char *const *commands[2] = {a, b};

    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < 2; i++) {
            unsigned which = (i + round) % 2; /* neither is always the first */
            struct sample sample = time_run(commands[which]);

            first[which][round] = sample.first_byte_ns;
            end[which][round] = sample.end_ns;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        ret_first_us[i] = median_us(first[i], rounds);
        ret_end_us[i] = median_us(end[i], rounds);
    }
}

static void row(const char *what, const char *figure, const char *goal, bool met)
{
    printf("%-50s %-40s %-12s %s\n", what, figure, goal, met ? "met" : "MISSED");
}

static void ratio_row(const char *what, double subject, double base, const char *base_name,
                      double goal)
{
    char figure[80], limit[24];

    snprintf(figure, sizeof(figure), "%.0f us / %.0f us (%s) = %.2f", subject, base, base_name,
             subject / base);
    if (goal == 0) { /* told for comparison */
        printf("%-50s %-40s\n", what, figure);
        return;
    }
    snprintf(limit, sizeof(limit), "<= %.1f", goal);
    row(what, figure, limit, subject / base <= goal);
}

/* Resident bytes of a process: all of them, less the pages of guest memory. */
static uint64_t resident_less_guest(pid_t pid, uint64_t *ret_private)
{
    char path[64], line[512];
    uint64_t rss = 0, private = 0, kib;
    bool guest = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
    file = fopen(path, "re");
    if (!file)
        die(path);
    while (fgets(line, sizeof(line), file)) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            guest = strstr(line, "guest-memory") != NULL;
        else if (!guest && sscanf(line, "Rss: %" SCNu64, &kib) == 1)
            rss += kib * KIB;
        else if (!guest && (sscanf(line, "Private_Clean: %" SCNu64, &kib) == 1 ||
                            sscanf(line, "Private_Dirty: %" SCNu64, &kib) == 1))
        private += kib * KIB;
    }
    fclose(file);
    *ret_private = private;
    return rss;
}

/* Two at once, so that what counts is the processes' memory of their own and what they share. */
static void bench_memory(char *const idle[])
{
    struct child children[2];
    uint64_t private, rss;
    char figure[80];

    for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
        children[i] = spawn(idle);
        expect_byte(&children[i], idle[0]);
    }
    usleep(400000); /* let it come to rest */
    rss = resident_less_guest(children[0].pid, &private);
    for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
        kill(children[i].pid, SIGTERM);
        reap(&children[i], idle[0], SIGTERM);
    }
    snprintf(figure, sizeof(figure), "%.2f MiB (of it its own: %.2f MiB)", (double)rss / MIB,
             (double)private / MIB);
    row("resident memory less guest memory", figure, "<= 0.5 MiB", rss <= MIB / 2);
}

/* Starts and ends, `width` at once. */
static void bench_rate(char *const argv[], unsigned total, unsigned width)
{
    struct child running[16];
    uint64_t begin = clock_monotonic_ns();
    char figure[80];
    double rate;

    for (unsigned i = 0; i < total + width; i++) {
        unsigned slot = i % width;

        if (i >= width) {
            expect_byte(&running[slot], argv[0]);
            reap(&running[slot], argv[0], 0);
        }
        if (i < total)
            running[slot] = spawn(argv);
    }
    rate = (double)total * NS_PER_SEC / (double)(clock_monotonic_ns() - begin);
    snprintf(figure, sizeof(figure), "%.0f a second (%u VMs, %u at once)", rate, total, width);
    row("VMs started and ended", figure, ">= 200", rate >= 200);
}

int main(int argc, char *argv[])
{
    unsigned rounds = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 60;
    double first[2], end[2];

    if (argc < 5 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench OSVM_VMM FLOOR FIRST_BYTE_IMAGE IDLE_IMAGE [ROUNDS]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    char *const floor[] = {argv[2], (char *)"256", NULL};
    char *const floor_small[] = {argv[2], (char *)"64", NULL};
    char *const floor_large[] = {argv[2], (char *)"8192", NULL};
    char *const vmm[] = {argv[1],         (char *)"--kernel", argv[3],
                         (char *)"--mem", (char *)"256",      NULL};
    char *const small[] = {argv[1],         (char *)"--kernel", argv[3],
                           (char *)"--mem", (char *)"64",       NULL};
    char *const large[] = {argv[1],         (char *)"--kernel", argv[3],
                           (char *)"--mem", (char *)"8G",       NULL};
    char *const idle[] = {argv[1], (char *)"--kernel", argv[4], NULL};

    printf("%u rounds, medians\n", rounds);
    printf("%-50s %-40s %-12s %s\n", "what", "measured", "goal", "");
    compare(vmm, floor, rounds, first, end);
    ratio_row("exec to first guest instruction", first[0], first[1], "floor", 1.2);
    ratio_row("exec to end of the process", end[0], end[1], "floor", 1.2);
    compare(large, small, rounds, first, end);
    ratio_row("exec to first guest instruction, 8 GiB", first[0], first[1], "64 MiB", 1.1);
    compare(floor_large, floor_small, rounds, first, end);
    ratio_row("  the same of the floor: what KVM itself adds", first[0], first[1], "64 MiB", 0);
    bench_memory(idle);
    bench_rate(vmm, 600, 12);
    return 0;
}
