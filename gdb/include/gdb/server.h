/*
 * A gdb stub: what `target remote` connects to. One client at a time; when it leaves, the guest is
 * as if there had been none and goes on, and the next client can come.
 *
 * All functions: the loop's thread.
 */
#ifndef OSVM_GDB_SERVER_H
#define OSVM_GDB_SERVER_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "guest/gate.h"
#include "guest/memory.h"
#include "guest/vcpu.h"

struct gdb_server;

/* Who is told of what only the machine can do. */
struct gdb_server_user {
    void (*kill)(struct gdb_server_user *user); /* gdb's `kill`: end the machine */
};

/* All borrowed. */
struct gdb_server_machine {
    struct loop *loop;
    const struct log *log;
    struct guest_memory *mem;
    struct vcpu_gate *gate;
    struct vcpu *vcpus;
    unsigned vcpu_count;
    struct gdb_server_user *user;
};

/**
 * Check the place where gdb is to connect: a TCP port of 127.0.0.1, or the path of a Unix socket.
 * Returns 0 or -EINVAL with the reason in err. Makes nothing.
 */
int gdb_server_check(const char *where, struct error *err);

/**
 * Listen there; nobody is let in yet.
 *
 * @ret_server  freed by gdb_server_destroy()
 * Returns 0 or a negative errno with the reason in err.
 */
int gdb_server_create(const char *where, const struct gdb_server_machine *machine,
                      struct gdb_server **ret_server, struct error *err);
void gdb_server_destroy(struct gdb_server *server);
DEFINE_CLEANUP(struct gdb_server, gdb_server_destroy)

/**
 * Begin, before the vCPUs are started: no guest instruction is executed until gdb has connected
 * and let the guest go. Returns 0 or a negative errno.
 */
int gdb_server_start(struct gdb_server *server);

/* The machine has ended, its vCPUs are joined: a client that waits is told the status. */
void gdb_server_ended(struct gdb_server *server, int status);

#endif
