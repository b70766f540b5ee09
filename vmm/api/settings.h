/*
 * What a machine is to be, told by requests before its start. A request becomes the options that
 * say the same, and passes through their setters: nothing is checked in two ways. Each is taken
 * whole or not at all, and one for the same thing replaces the one before.
 */
#ifndef OSVM_VMM_API_SETTINGS_H
#define OSVM_VMM_API_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "config.h"

/* What the configuration has no place for. All strings are owned. */
struct settings {
    struct config *config; /* borrowed */
    bool has_kernel;       /* a boot source was given; the command line's counts, too */
    bool default_cmdline;  /* it said none */
    char *root_disk;       /* the id of the disk with the root file system; NULL: none */
    char *root_partuuid;   /* of its partition; NULL: the whole disk */
    char *metrics_path;
};

/* The command line of a kernel of which the client says none. */
#define SETTINGS_DEFAULT_CMDLINE                                                       \
    "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd " \
    "swiotlb=noforce"

/* Taken from the path: the id of a disk or network device; else NULL. Each returns 0, or a negative
 * errno with the reason in err. */
typedef int settings_fn(struct settings *settings, const char *id, const json_t *body,
                        struct error *err);

settings_fn settings_put_machine, settings_patch_machine, settings_put_boot, settings_put_disk,
    settings_put_net, settings_put_vsock, settings_put_entropy, settings_put_balloon,
    settings_put_serial, settings_put_logger, settings_put_metrics;

/**
 * No more requests: put the disk of the root file system first, and tell the kernel of it.
 * Returns 0 or -ENOMEM.
 */
int settings_finish(struct settings *settings, struct error *err);

void settings_free(struct settings *settings);

/* The disk or network device of this id, by its place; -ENODEV where there is none. Those without
 * an id of their own are disk0, net0 and so on. */
int settings_find_disk(const struct config *config, const char *id);
int settings_find_net(const struct config *config, const char *id);

/* Whether what a body says of its own id, where it does, is the path's `id`. Returns 0, or -EINVAL
 * with that in err. */
int settings_check_id(const char *field, const char *id, const char *said, struct error *err);

#endif
