/*
 * The hypercalls of a Hermit image: interfaces 1, 2 and 3 of Hermit's own hypervisor (uhyve).
 *
 * A call is a port write with the address of a structure. The structure is copied once, and only
 * the copy is looked at; every address in it is checked over its whole length; what makes no sense
 * is answered with a negative errno. No call ends the machine but `exit`.
 *
 * Calls come on vCPU threads, several at once. What is fixed from the start needs no lock, the
 * files have their own (files_internal.h), the console the one of its sink.
 */
#ifndef OSVM_HERMIT_HERMIT_H
#define OSVM_HERMIT_HERMIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "guest/hypercall.h"
#include "guest/memory.h"
#include "guest/power.h"
#include "hermit/files.h"

#define HERMIT_INTERFACE_MIN 1
#define HERMIT_INTERFACE_MAX 3

/* Interface 1 has room for so many arguments, and for so many environment strings. */
#define HERMIT_MAX_STRINGS 128

struct hermit_calls;

/* Where console output goes. */
struct hermit_console {
    /* Take all of it; may block until the host takes it or the machine ends. The bytes may change
     * meanwhile (they may be the guest's). On vCPU threads, several at once. */
    void (*write)(struct hermit_console *console, const uint8_t *bytes, size_t len);
};

struct hermit_options {
    unsigned interface; /* of the image's note: HERMIT_INTERFACE_MIN to _MAX */
    /*
     * What interface 1 asks for: the arguments, from the program's name on, and NAME=VALUE strings.
     * (The others read both from the device tree.) Copied.
     */
    const char *const *arguments;
    size_t argument_count;
    const char *const *environment;
    size_t environment_count;

    const struct guest_memory *mem; /* all borrowed */
    struct hermit_files *files;
    struct hermit_console *console;
    struct power_sink *power;
    const struct log *log;
};

/**
 * @ret_calls  freed by hermit_calls_destroy()
 * Returns 0; -EINVAL for an interface that there is not, or -E2BIG for more strings than interface
 * 1 can take (both in words in err); -ENOMEM.
 */
int hermit_calls_create(const struct hermit_options *options, struct hermit_calls **ret_calls,
                        struct error *err);

/* Accepts NULL. After the vCPUs' end. */
void hermit_calls_destroy(struct hermit_calls *calls);

/* What each vCPU is to be given (vcpu.h). Lives as long as calls. */
struct hypercall_sink *hermit_calls_sink(struct hermit_calls *calls);

/**
 * How often each kind of call was made. Begin with *at 0.
 * Returns its name ("read"), or NULL behind the last. Any thread.
 */
const char *hermit_calls_count(const struct hermit_calls *calls, size_t *at, uint64_t *ret_count);

#endif
