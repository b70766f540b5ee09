/* What a thread does first, told from above: the rooms that start threads do not know their jail.
 */
#ifndef OSVM_BASE_THREAD_H
#define OSVM_BASE_THREAD_H

#include <stddef.h>

/* The kinds of threads, by the work that they do. */
enum thread_kind {
    THREAD_LOOP, /* the main thread: the event loop */
    THREAD_VCPU,
    THREAD_BLOCK, /* blocking disk requests, where the host has no io_uring */
    THREAD_FS,    /* requests of a shared folder */
    THREAD_KINDS,
};

struct thread_hook {
    /*
     * Called on the new thread, before anything else is. Returns 0, or a negative errno: then the
     * thread is to end at once, and whoever gave the hook ends the rest.
     */
    int (*begin)(struct thread_hook *hook, enum thread_kind kind);
};

/* @hook  NULL: nothing is to be done */
static inline int thread_begin(struct thread_hook *hook, enum thread_kind kind)
{
    return hook ? hook->begin(hook, kind) : 0;
}

#endif
