/*
 * The components that are kept, and what becomes of them. One thread, one loop; nothing here
 * blocks but for the disk.
 */
#ifndef OSVM_SUPERVISOR_SUPERVISOR_H
#define OSVM_SUPERVISOR_SUPERVISOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "component.h"
#include "deadlines.h"
#include "instance.h"
#include "paths.h"
#include "runtime_manager.h"

enum component_status {
    STATUS_STARTING,
    STATUS_RUNNING,
    STATUS_STOPPING,
    STATUS_STOPPED,
    STATUS_FAILED,
    STATUS_UPGRADING,
};

enum health { HEALTH_UNKNOWN, HEALTH_HEALTHY, HEALTH_DEGRADED, HEALTH_UNHEALTHY };

struct supervisor;
struct prober;

/* A component that is kept. */
struct managed {
    struct supervisor *supervisor;
    struct managed *next;
    struct component component;
    enum component_status status;
    enum health health;
    bool wanted; /* it is to run: after an end its policy counts, and after a restart of osvm too */
    bool waiting;                 /* starting, but for what it depends on */
    bool restart;                 /* it is stopping, and is to be started then */
    bool removed;                 /* it is to be forgotten once it has ended */
    struct runtime_choice choice; /* of the present or last start */
    struct process_id monitor, child;
    struct loop_source gone;    /* readable once the monitor has ended; fd -1: none runs */
    struct deadline next_start; /* a restart after its pause */
    struct deadline boot_limit;
    struct prober *prober; /* a readiness or health probe under way or to come; NULL: none */
    unsigned failures;     /* in a row */
    unsigned restarts;     /* in all */
    unsigned probe_failures;
    uint64_t probed_ns;     /* CLOCK_REALTIME of the last probe's answer; 0: none of this run */
    char probe_detail[128]; /* what was wrong with it; "" where it was good */
    uint64_t started_ns;    /* CLOCK_REALTIME of the start; 0: never */
    uint64_t ready_ns;      /* of when it was ready; 0: it is not */
    char message[256];      /* why it is failed or waits; "" */
    bool has_ended;
    struct instance_end end; /* the last one */
};

/* Told of whatever changes. */
typedef void supervisor_event_fn(void *context, const json_t *event);

struct supervisor {
    struct paths paths;
    const struct log *log;
    struct loop *loop;
    struct deadlines deadlines;
    struct runtime_manager runtimes;
    struct managed *components; /* by name */
    struct loop_source notify;  /* datagrams of monitors */
    supervisor_event_fn *event; /* NULL: nobody listens */
    void *event_context;
};

/**
 * Load what is kept, adopt what runs, learn of the ends that were missed, and start what is wanted
 * and does not run.
 *
 * @paths  moved into it
 * Returns 0 or a negative errno with the reason in err; supervisor_destroy() follows in any case.
 */
int supervisor_init(struct supervisor *supervisor, struct paths *paths, struct loop *loop,
                    const struct log *log, struct error *err);

/* Forget everything; what runs goes on. */
void supervisor_destroy(struct supervisor *supervisor);

/* NULL where there is none. */
struct managed *supervisor_find(struct supervisor *supervisor, const char *name);

/**
 * Keep a new component. It gets an id where it has none.
 *
 * @component  moved, where this succeeds
 * Returns 0; -EEXIST; -ENOENT where something that it depends on is not kept; -ELOOP where it would
 * depend on itself by others; or another negative errno; the reason is in err.
 */
int supervisor_create(struct supervisor *supervisor, struct component *component,
                      struct managed **ret_managed, struct error *err);

/* What people ask for. They return at once: 0, or a negative errno with the reason in err. */
int managed_start(struct managed *managed, struct error *err);
int managed_stop(struct managed *managed, struct error *err);
int managed_restart(struct managed *managed, struct error *err);
/* End it by force. */
int managed_kill(struct managed *managed, struct error *err);
/* Forget it, with its log. -EBUSY where it runs, unless `force`, or where others depend on it. */
int managed_remove(struct managed *managed, bool force, struct error *err);

/* Fill in what its monitor started, `child`, where that is not known yet. Returns 0 or -ESRCH. */
int managed_find_child(struct managed *managed);

/* A probe's answer (prober.h). */
void managed_probed(struct managed *managed, bool good, const char *detail);

/* As `osvm inspect` shows it, or in short, as `osvm ps` does. A new reference. */
json_t *managed_describe(const struct managed *managed, bool whole);

/* What it uses, as `osvm stats` shows it; of one that does not run, little. A new reference. */
json_t *managed_describe_usage(struct managed *managed);

const char *component_status_name(enum component_status status);
const char *health_name(enum health health);

/* Tell that something has changed: kind is "created", "status", "health", "removed", "warning". */
void supervisor_tell(struct supervisor *supervisor, const struct managed *managed, const char *kind,
                     const char *message);

#endif
