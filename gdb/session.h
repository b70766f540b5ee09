/*
 * What the packets of gdb's remote serial protocol ask for, done on a target behind a table of
 * functions: no socket and no KVM here, so that tests and the fuzzer drive it alone.
 *
 * Threads are CPUs, and thread N + 1 is CPU N. All-stop mode: packets are answered while all CPUs
 * stand still. GDB manual, appendix E.
 */
#ifndef OSVM_GDB_SESSION_H
#define OSVM_GDB_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/debug.h"
#include "packet.h"
#include "registers.h"

/* The numbers of gdb's `Z` and `z` packets. */
enum gdb_point { GDB_SOFTWARE, GDB_HARDWARE, GDB_WRITE, GDB_READ, GDB_ACCESS, GDB_POINT_COUNT };

enum gdb_action { GDB_STAY, GDB_CONTINUE, GDB_STEP };

/* Why the machine stands still. The signals' numbers are the protocol's. */
#define GDB_SIGNAL_INT  2
#define GDB_SIGNAL_TRAP 5

struct gdb_stop {
    unsigned cpu;
    uint8_t signal;
    bool at_point;
    enum gdb_point point; /* where at_point */
    uint64_t address;     /* of a watchpoint: what was accessed */
};

struct gdb_target;

/* All return 0 or a negative errno, where nothing else is said. `cpu` is under the count. */
struct gdb_target_ops {
    int (*read_registers)(struct gdb_target *target, unsigned cpu,
                          struct vcpu_registers *ret_registers);
    int (*write_registers)(struct gdb_target *target, unsigned cpu,
                           const struct vcpu_registers *before,
                           const struct vcpu_registers *registers);
    /* Guest-virtual, as that CPU sees it. Read returns how many bytes could be read, over 0. */
    int (*read_memory)(struct gdb_target *target, unsigned cpu, uint64_t address, void *buf,
                       size_t len);
    int (*write_memory)(struct gdb_target *target, unsigned cpu, uint64_t address, const void *buf,
                        size_t len);
    /* For all CPUs; what is there already, or not any more, is no error. */
    int (*insert)(struct gdb_target *target, unsigned cpu, enum gdb_point point, uint64_t address,
                  uint64_t len);
    int (*remove)(struct gdb_target *target, enum gdb_point point, uint64_t address, uint64_t len);
    /* Let the CPUs go; actions[i] is CPU i's. gdb_session_stopped() follows some time later. */
    int (*resume)(struct gdb_target *target, const enum gdb_action *actions);
    void (*interrupt)(struct gdb_target *target); /* have all stop; the same follows */
    void (*kill)(struct gdb_target *target);      /* end the machine */
};

struct gdb_target {
    const struct gdb_target_ops *ops;
    unsigned cpu_count;
};

struct gdb_session {
    struct gdb_target *target; /* borrowed */
    bool running;
    bool no_ack;
    bool detached;        /* gdb said that it is leaving */
    bool tells_points;    /* gdb knows `swbreak` and `hwbreak` in stop replies */
    struct gdb_stop stop; /* the last one */
    unsigned cpu_general; /* of `Hg`: registers, memory */
    unsigned cpu_resumed; /* of `Hc`: `c`, `s` */
    unsigned next_listed; /* the CPU that `qsThreadInfo` goes on with */
    enum gdb_action *actions;
    size_t description_len;
    char description[GDB_DESCRIPTION_MAX];
};

/**
 * Begin: a client is there, and all CPUs stand still.
 * Returns 0 or -ENOMEM. gdb_session_end() follows in both cases.
 */
int gdb_session_begin(struct gdb_session *session, struct gdb_target *target);
void gdb_session_end(struct gdb_session *session);

/**
 * Do what a packet asks.
 *
 * @payload  with a 0 behind its `len` bytes
 * @reply    empty; what is to be sent
 * Returns whether there is a reply: none comes to what lets the CPUs go, until they stop.
 */
bool gdb_session_packet(struct gdb_session *session, const char *payload, size_t len,
                        struct gdb_reply *reply);

/* Ctrl-C. */
void gdb_session_interrupt(struct gdb_session *session);

/* All CPUs stand still again: the reply to what let them go. */
void gdb_session_stopped(struct gdb_session *session, const struct gdb_stop *stop,
                         struct gdb_reply *reply);

#endif
