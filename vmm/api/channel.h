/*
 * What the guardian and the VM process say to each other: commands of a fixed size, one at a time,
 * and an answer of a fixed size to each, over a pair of sockets made before the fork.
 *
 * The VM process believes the guardian. The guardian believes nothing: a guest may have taken the
 * VM process over. An answer has the right length and number or the channel is closed; its numbers
 * are only shown, its text is cut and cleaned; none is waited for without end.
 */
#ifndef OSVM_VMM_API_CHANNEL_H
#define OSVM_VMM_API_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"
#include "device_config.h"
#include "exits.h"
#include "net/rate_limit.h"
#include "virtio/balloon.h"
#include "virtio/block.h"
#include "virtio/block_file.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"

enum channel_kind {
    CHANNEL_START, /* no command: its answer, number 0, says that the machine runs */
    CHANNEL_PAUSE,
    CHANNEL_RESUME,
    CHANNEL_COUNTERS,
    CHANNEL_DISK, /* a file, a rate, or both */
    CHANNEL_NET,
    CHANNEL_BALLOON,
    CHANNEL_BALLOON_INTERVAL,
    CHANNEL_CTRL_ALT_DEL,
};

#define CHANNEL_MAX_FDS 2

struct channel_command {
    uint32_t kind, number;
    uint32_t device; /* its place in the configuration */
    uint32_t has_file;
    /* One or two descriptors come with the command, or none: only the size is new then. Those in
     * here are of no meaning. */
    struct block_file file;
    struct rate_limit_change rate, tx_rate; /* a disk's; a network device's rx and tx */
    uint64_t balloon_bytes;
    uint32_t balloon_interval_s;
};

/* All since the start. Of devices that are not there, zeroes. */
struct channel_counters {
    uint64_t guest_bytes, guest_resident_bytes;
    struct exit_counts exits;
    uint64_t ready; /* the guest has said that it is */
    struct virtio_block_counters disks[CONFIG_MAX_DISKS];
    struct virtio_net_counters nets[CONFIG_MAX_NETS];
    struct virtio_vsock_counters vsock;
    struct virtio_rng_counters rng;
    struct virtio_balloon_info balloon;
};

struct channel_answer {
    uint32_t number;
    int32_t error; /* 0, or a negative errno, and `text` says more, or nothing */
    uint32_t paused;
    union {
        char text[256];
        struct channel_counters counters;
    };
};

/* ---- The guardian's end. ---- */

/* Embedded in its owner. */
struct channel {
    struct loop *loop;         /* borrowed; NULL: not open */
    struct loop_source source; /* fd -1: closed */
    struct loop_timer timer;
    uint32_t number;      /* of the last command */
    uint32_t answered_to; /* the last that was answered */
    bool waiting;         /* for the answer to the last command */
    bool started;
    /* The answer to the last command has come, or will not: `answer` is NULL then and `why` says
     * why. On the loop's thread; another command may be sent from it. */
    void (*answered)(struct channel *channel, const struct channel_answer *answer, const char *why);
    /* An answer that nobody waited for any more. */
    void (*late)(struct channel *channel, const struct channel_answer *answer);
};

/**
 * Make the pair. @ret_fds  [0] the guardian's, [1] the VM process's
 * Returns 0 or a negative errno.
 */
int channel_make(int ret_fds[2]);

/**
 * Take the guardian's end and wait for the machine to run. `answered` and `late` are set.
 * Returns 0 or a negative errno.
 */
int channel_open(struct channel *channel, struct loop *loop, int fd);
void channel_close(struct channel *channel);

/**
 * Send a command; its number is filled in. No other one is under way.
 *
 * @fds, @count  sent along; still the caller's
 * Returns 0, or a negative errno: it was not sent.
 */
int channel_send(struct channel *channel, struct channel_command *command, const int *fds,
                 unsigned count);

#endif
