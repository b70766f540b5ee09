/*
 * What a VM costs, side by side in one run: medians of interleaved rounds, as ratios against the
 * floor program or between two settings, because the machines that this runs on are shared.
 *
 * bench OSVM_VMM FLOOR FIRST_BYTE_IMAGE IDLE_IMAGE [ROUNDS]
 */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "measure.h"

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
