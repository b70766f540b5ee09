/*
 * What the start of a Hermit image costs: exec to its first console byte, beside the floor program,
 * in one run.
 *
 * bench_hermit OSVM_VMM FLOOR IMAGE [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"

int main(int argc, char *argv[])
{
    unsigned rounds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 60;
    double first[2], end[2];

    if (argc < 4 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_hermit OSVM_VMM FLOOR IMAGE [ROUNDS]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    char *const floor[] = {argv[2], (char *)"256", NULL};
    char *const floor_large[] = {argv[2], (char *)"8192", NULL};
    char *const vmm[] = {argv[1],         (char *)"--kernel", argv[3],
                         (char *)"--mem", (char *)"256",      NULL};
    char *const large[] = {argv[1],         (char *)"--kernel", argv[3],
                           (char *)"--mem", (char *)"8G",       NULL};

    compare(vmm, floor, rounds, first, end);
    ratio_row("Hermit: exec to the first console byte", first[0], first[1], "floor", 1.5);
    ratio_row("Hermit: exec to end of the process", end[0], end[1], "floor", 0);
    compare(large, floor_large, rounds, first, end);
    ratio_row("Hermit: exec to first console byte, 8 GiB", first[0], first[1], "floor", 1.5);
    return 0;
}
