/*
 * The machine: every part of it, put together by one builder. No other file knows all of them.
 */
#ifndef OSVM_VMM_MACHINE_H
#define OSVM_VMM_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/control.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "config.h"
#include "console.h"
#include "console_device.h"
#include "devices.h"
#include "gdb/server.h"
#include "guest/board/osvm_port.h"
#include "guest/board/pit.h"
#include "guest/board/reset.h"
#include "guest/board/rtc.h"
#include "guest/board/serial.h"
#include "guest/bus.h"
#include "guest/gate.h"
#include "guest/kvm.h"
#include "guest/memory.h"
#include "guest/vcpu.h"
#include "guest/vm.h"
#include "jail.h"
#include "limits_watch.h"
#include "loader/loader.h"
#include "ready.h"
#include "stages.h"
#include "terminal.h"

/* Why a machine ended. The words of the exit record are in machine_end_reason_name(). */
enum machine_end_reason {
    MACHINE_POWER_OFF,
    MACHINE_RESET,
    MACHINE_GUEST_EXIT,
    MACHINE_GUEST_DIED,
    MACHINE_SIGNAL,
    MACHINE_DEBUGGER, /* gdb killed it */
    MACHINE_CONSOLE,  /* its user ended it with Ctrl-A x */
    MACHINE_REFUSED,  /* it never ran */
    MACHINE_LIMIT,    /* one of what it may use was reached */
    MACHINE_KILLED,   /* its process was, by a signal that it cannot take */
};

#define EXIT_STATUS_LIMIT      124
#define EXIT_STATUS_REFUSED    125
#define EXIT_STATUS_GUEST_DIED 126
#define EXIT_STATUS_SIGNAL     128 /* plus the signal's number */

struct machine_end {
    enum machine_end_reason reason;
    int status;
    bool rip_known;
    uint64_t rip;
    unsigned cpu;
    struct limit_breach limit; /* MACHINE_LIMIT: which */
    char text[256];            /* one line for a person */
};

struct hermit_machine;

struct machine {
    const struct config *config;  /* borrowed */
    const struct boot_plan *plan; /* borrowed */
    const char *private_folder;   /* for a Hermit image's files, borrowed; NULL: none was made */
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
    struct ready ready;
    bool board_ready;

    int status_fd; /* /proc/self/status, for the exit record; -1: not wanted */
    struct console *console;
    struct console_serial serial_end;
    struct console *virtio_console; /* NULL: there is none */
    struct console_virtio virtio_end;
    struct devices *devices;
    struct hermit_machine *hermit; /* NULL: it is not for a Hermit image */
    char *cmdline;                 /* the kernel's */
    struct vcpu *vcpus;
    unsigned vcpu_count;
    struct vcpu_gate gate;
    struct gdb_server *gdb; /* NULL: not asked for */
    unsigned tsc_khz;       /* 0: KVM does not say */

    struct power_sink power;
    struct vcpu_observer observer;
    struct jail *jail; /* borrowed; NULL before machine_lock() */
    struct thread_hook thread_hook;
    struct console_user user;
    struct gdb_server_user debugger;
    struct loop_signals signals;
    struct loop_timer settled;
    struct limits_watch limits;

    struct control control; /* what the API asks for */

    pthread_mutex_t end_lock;
    bool ending; /* atomic; set once, with `end` under the lock */
    struct machine_end end;
};

/**
 * Build the machine that the plan of an image asks for: VM, memory, board, devices, CPUs, console.
 * SIGTERM, SIGINT, SIGHUP and SIGQUIT are blocked in the process from here on, and taken by the
 * loop.
 *
 * @private_folder  for what a Hermit image writes outside of its mappings; NULL: one of its own
 * @terminal        of standard input, as it was found; copied
 * Returns 0 or a negative errno with the reason in err. In both cases machine_destroy() follows.
 * The main thread.
 */
int machine_create(struct machine *machine, const struct config *config,
                   const struct boot_plan *plan, const char *private_folder,
                   const struct terminal *terminal, const struct log *log, struct stages *stages,
                   struct error *err);
void machine_destroy(struct machine *machine);

/**
 * Put the image into it and the CPUs at its entry. What only the machine knows of `request` is
 * filled in here, and what the kernel has to be told of devices is added to its command line.
 * Returns 0 or a negative errno with the reason in err.
 */
int machine_load(struct machine *machine, struct boot_request *request, struct error *err);

/**
 * Take the last of what wants the caller's rights, so that machine_run() needs none: connect the
 * console, open what the exit record is to tell of.
 * Returns 0 or a negative errno with the reason in err.
 */
int machine_prepare(struct machine *machine, struct error *err);

/**
 * Enter the jail. Returns 0 or a negative errno with the reason in err.
 *
 * @guardian  of this process. @jail  borrowed for the machine's life
 */
int machine_lock(struct machine *machine, struct jail *jail, const struct guardian *guardian,
                 struct error *err);

/**
 * Run until something ends it, which `machine->end` then tells.
 * Returns 0, or a negative errno with the reason in err where it could not be started.
 */
int machine_run(struct machine *machine, struct error *err);

/* Leave the files of a Hermit image as they are to stay. After machine_run(); in the jail, too. */
void machine_leave_files(struct machine *machine);

/* The end by a limit, in words too. */
struct machine_end machine_end_by_limit(const struct limit_breach *breach);

/* What the configuration asks of guest memory. */
struct guest_memory_options machine_memory_options(const struct config *config);

/**
 * Have the guest stand still, and let it go on. Each user has a hold of its own; guest/gate.h says
 * what holds meanwhile, and on which threads. The serial console, the limits and the signals work
 * on.
 */
void machine_pause(struct machine *machine, struct gate_hold *hold);
void machine_resume(struct machine *machine, struct gate_hold *hold);

/* Whether the guest has said that it is ready. Any thread. */
bool machine_guest_is_ready(const struct machine *machine);

/* "power-off", "reset", … */
const char *machine_end_reason_name(enum machine_end_reason reason);

#endif
