/* When each stage of a run was reached, for the exit record and the bench. */
#ifndef OSVM_VMM_STAGES_H
#define OSVM_VMM_STAGES_H

#include <stdint.h>

enum stage {
    STAGE_MAIN,              /* main() begins */
    STAGE_OPTIONS,           /* the command line and config file are read */
    STAGE_IMAGES,            /* the images are open and recognised */
    STAGE_FORKED,            /* the VM process begins */
    STAGE_MACHINE,           /* VM, memory, board and CPUs exist */
    STAGE_LOADED,            /* the image is in guest memory */
    STAGE_LOCKED,            /* the jail is closed */
    STAGE_STARTED,           /* the CPUs' threads are started */
    STAGE_FIRST_EXIT,        /* the guest left to user space for the first time */
    STAGE_FIRST_INSTRUCTION, /* the guest said that it runs (SDK images do) */
    STAGE_READY,             /* the guest said that it is ready */
    STAGE_ENDED,             /* the CPUs have stopped */
    STAGE_COUNT,
};

struct stages {
    uint64_t process_start_ns;        /* CLOCK_MONOTONIC */
    uint64_t reached_ns[STAGE_COUNT]; /* CLOCK_MONOTONIC; 0: not reached */
};

/*
 * Begin, first thing in main(). The process's start is taken to be as long ago as the CPU time
 * that it has used: between exec and main() it waits for nothing.
 */
void stages_begin(struct stages *stages);

void stages_reach(struct stages *stages, enum stage stage);

/* "options", "images", … */
const char *stage_name(enum stage stage);

#endif
