/*
 * The machine: every part of it, put together by one builder. No other file knows all of them.
 */
#ifndef OSVM_VMM_MACHINE_H
#define OSVM_VMM_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "config.h"
#include "console.h"
#include "devices.h"
#include "guest/board/osvm_port.h"
#include "guest/board/pit.h"
#include "guest/board/reset.h"
#include "guest/board/rtc.h"
#include "guest/board/serial.h"
#include "guest/bus.h"
#include "guest/kvm.h"
#include "guest/memory.h"
#include "guest/vcpu.h"
#include "guest/vm.h"
#include "loader/loader.h"
#include "stages.h"

/* Why a machine ended. The words of the exit record are in machine_end_reason_name(). */
enum machine_end_reason {
    MACHINE_POWER_OFF,
    MACHINE_RESET,
    MACHINE_GUEST_EXIT,
    MACHINE_GUEST_DIED,
    MACHINE_SIGNAL,
    MACHINE_CONSOLE, /* its user ended it with Ctrl-A x */
    MACHINE_REFUSED, /* it never ran */
};

#define EXIT_STATUS_REFUSED    125
#define EXIT_STATUS_GUEST_DIED 126
#define EXIT_STATUS_SIGNAL     128 /* plus the signal's number */

struct machine_end {
    enum machine_end_reason reason;
    int status;
    bool rip_known;
    uint64_t rip;
    unsigned cpu;
    char text[256]; /* one line for a person */
};

struct hermit_machine;

struct machine {
    const struct config *config;  /* borrowed */
    const struct boot_plan *plan; /* borrowed */
    const struct log *log;        /* borrowed */
    struct stages *stages;        /* borrowed */
    struct loop *loop;
    struct kvm kvm;
    struct guest_memory *mem;
    struct vm vm;
    struct bus ports, mmio;

    struct serial serial;
    struct rtc rtc;
    struct pit pit;
    struct i8042 i8042;
    struct reset_register reset;
    struct acpi_sleep sleep;
    struct debug_exit debug_exit;
    struct osvm_port osvm_port;
    bool board_ready;

    struct console *console;
    struct devices *devices;
    struct hermit_machine *hermit; /* NULL: it is not for a Hermit image */
    char *cmdline;                 /* the kernel's */
    struct vcpu *vcpus;
    unsigned vcpu_count;
    unsigned tsc_khz; /* 0: KVM does not say */

    struct power_sink power;
    struct vcpu_observer observer;
    struct console_user user;
    struct loop_signals signals;
    struct loop_timer settled;

    pthread_mutex_t end_lock;
    bool ending; /* atomic; set once, with `end` under the lock */
    struct machine_end end;
};

/**
 * Build the machine that the plan of an image asks for: VM, memory, board, devices, CPUs, console.
 * SIGTERM, SIGINT, SIGHUP and SIGQUIT are blocked in the process from here on, and taken by the
 * loop.
 *
 * Returns 0 or a negative errno with the reason in err. In both cases machine_destroy() follows.
 * The main thread.
 */
int machine_create(struct machine *machine, const struct config *config,
                   const struct boot_plan *plan, const struct log *log, struct stages *stages,
                   struct error *err);
void machine_destroy(struct machine *machine);

/**
 * Put the image into it and the CPUs at its entry. What only the machine knows of `request` is
 * filled in here, and what the kernel has to be told of devices is added to its command line.
 * Returns 0 or a negative errno with the reason in err.
 */
int machine_load(struct machine *machine, struct boot_request *request, struct error *err);

/**
 * Run until something ends it, which `machine->end` then tells.
 * Returns 0, or a negative errno with the reason in err where it could not be started.
 */
int machine_run(struct machine *machine, struct error *err);

/* "power-off", "reset", … */
const char *machine_end_reason_name(enum machine_end_reason reason);

#endif
