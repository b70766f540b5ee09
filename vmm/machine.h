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
#include "console_device.h"
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
    MACHINE_CONSOLE, /* its user ended it with Ctrl-A x */
    MACHINE_REFUSED, /* it never ran */
    MACHINE_LIMIT,   /* one of what it may use was reached */
    MACHINE_KILLED,  /* its process was, by a signal that it cannot take */
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

struct machine {
    const struct config *config; /* borrowed */
    const struct log *log;       /* borrowed */
    struct stages *stages;       /* borrowed */
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
    char *cmdline; /* the kernel's */
    struct vcpu *vcpus;
    unsigned vcpu_count;

    struct power_sink power;
    struct vcpu_observer observer;
    struct jail *jail; /* borrowed; NULL before machine_lock() */
    struct thread_hook thread_hook;
    struct console_user user;
    struct loop_signals signals;
    struct loop_timer settled;
    struct limits_watch limits;

    pthread_mutex_t end_lock;
    bool ending; /* atomic; set once, with `end` under the lock */
    struct machine_end end;
};

/**
 * Build the machine: VM, memory, board, devices, CPUs, console. SIGTERM, SIGINT, SIGHUP and SIGQUIT
 * are blocked in the process from here on, and taken by the loop.
 *
 * @terminal  of standard input, as it was found; copied
 * Returns 0 or a negative errno with the reason in err. In both cases machine_destroy() follows.
 * The main thread.
 */
int machine_create(struct machine *machine, const struct config *config,
                   const struct terminal *terminal, const struct log *log, struct stages *stages,
                   struct error *err);
void machine_destroy(struct machine *machine);

/**
 * Put the image into it and the CPUs at its entry. `request->rsdp` is filled in here, and what the
 * kernel has to be told of devices is added to its command line.
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

/* The end by a limit, in words too. */
struct machine_end machine_end_by_limit(const struct limit_breach *breach);

/* "power-off", "reset", … */
const char *machine_end_reason_name(enum machine_end_reason reason);

#endif
