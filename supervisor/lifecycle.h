/* The inside of the supervisor: what its files ask of one another about a component's life. */
#ifndef OSVM_SUPERVISOR_LIFECYCLE_H
#define OSVM_SUPERVISOR_LIFECYCLE_H

#include "supervisor.h"

/* Set up the parts of a new one that have callbacks. */
void lifecycle_init(struct managed *managed);

/* Start its process, or have it wait for what it depends on. Returns 0 or a negative errno. */
int lifecycle_launch(struct managed *managed, struct error *err);

/* A start or a run failed: again after a pause, or failed for good, by its policy. */
void lifecycle_failed(struct managed *managed, const char *why);

/* Its monitor has ended. */
void lifecycle_ended(struct managed *managed);

/* Watch a monitor. Returns 0, or -ESRCH where it has ended. */
int lifecycle_watch(struct managed *managed, const struct process_id *monitor);

/* At the daemon's start: take over what its run folder speaks of. */
void lifecycle_adopt(struct managed *managed);

/* Its monitor says that it is "ready" or "ended". */
void lifecycle_told(struct managed *managed, const char *what);

/* Those that waited for it to stop have. */
void lifecycle_continue_stop(struct managed *managed);

/* Take it off the list, and free it. */
void lifecycle_forget(struct managed *managed);

/* dependencies.c */
bool lifecycle_dependencies_ready(const struct managed *managed);
int lifecycle_start_dependencies(struct managed *managed, struct error *err);
void lifecycle_wake_dependents(struct managed *managed);
/* Stop those that depend on it. Returns whether any runs. */
bool lifecycle_stop_dependents(struct managed *managed);
/* It has ended: those that waited for that go on stopping. */
void lifecycle_stop_dependencies(struct managed *managed);
/* Whether a new component may depend on what it names. */
int dependencies_check(struct supervisor *supervisor, const struct component *component,
                       struct error *err);

#endif
