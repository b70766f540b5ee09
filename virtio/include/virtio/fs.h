/*
 * virtio-fs (virtio 1.2, section 5.11): a folder of the host, shared with the guest.
 *
 * The FUSE requests (linux/fuse.h, protocol 7.31) are served in this process. A request may block
 * on the host's disk, so a thread of the device does them, one at a time, and the loop never waits.
 *
 * The guest is confined to the folder: every step is openat2() of one name beneath a descriptor
 * that was reached the same way, with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS
 * and RESOLVE_NO_XDEV. Symbolic links are data for the guest; other filesystems mounted inside are
 * not entered; device nodes, sockets and fifos are shown but not opened. The guest makes none of
 * them, and set-user-id and set-group-id bits of files do not come to the host. Nothing needs /proc
 * or the path of the folder once the device is made.
 *
 * What is made inside belongs to the user who asked in the guest where this process may give it
 * away, and else to the user of this process; so does chown.
 */
#ifndef OSVM_VIRTIO_FS_H
#define OSVM_VIRTIO_FS_H

#include <stdint.h>

#include "base/error.h"
#include "virtio/device.h"

#define VIRTIO_FS_TAG_MAX 36 /* bytes, 5.11.4 */

/* How many bytes several shares may yet add together: who makes the shares makes it, and keeps it
 * for their life. */
struct virtio_fs_budget {
    uint64_t left; /* atomic */
};

struct virtio_fs_options {
    const char *tag;  /* what the guest mounts it by; borrowed during the call */
    const char *path; /* the folder; borrowed during the call */
    bool read_only;
    /*
     * How many bytes the guest may add, 0: no limit. Counted is by how much files grow in length
     * (a hole counts in full), and 4 KiB for each new name; what the guest removes or cuts off
     * counts back once nothing holds it open. Beyond it: ENOSPC.
     */
    uint64_t size_limit;
    struct virtio_fs_budget *budget; /* counted alike, for this share and others; NULL: none */
};

/**
 * Open the folder and make the device.
 *
 * Of the process's descriptors (RLIMIT_NOFILE at this moment) it uses up to a quarter, and no more
 * than 1,024, for files that are open in the guest, and as many for files that the guest knows.
 *
 * @name  for people; borrowed
 * Returns 0 or a negative errno with the reason in err. On the loop's thread.
 */
int virtio_fs_create(const struct virtio_env *env, const char *name,
                     const struct virtio_fs_options *options, struct virtio_device **ret,
                     struct error *err);

#endif
