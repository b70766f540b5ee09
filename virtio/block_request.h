/*
 * One request of a disk (virtio 1.2, section 5.2.6): from its chain to a series of host jobs, to
 * its status. It knows neither the queue nor the engine.
 *
 *     block_request_parse(disk, request);
 *     while (block_request_next(disk, request)) {
 *         … do request->job …
 *         block_request_take_result(disk, request);
 *     }
 *     … *request->status_byte = request->status, used with block_request_used_len() …
 */
#ifndef OSVM_VIRTIO_BLOCK_REQUEST_H
#define OSVM_VIRTIO_BLOCK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "block_io.h"
#include "virtio/block_file.h"
#include "virtio/virtqueue.h"

/* 5.2.6: the status byte. */
enum block_status { BLOCK_STATUS_OK = 0, BLOCK_STATUS_IOERR = 1, BLOCK_STATUS_UNSUPP = 2 };

/* 5.2.6. */
enum block_request_type {
    BLOCK_TYPE_IN = 0,
    BLOCK_TYPE_OUT = 1,
    BLOCK_TYPE_FLUSH = 4,
    BLOCK_TYPE_GET_ID = 8,
    BLOCK_TYPE_DISCARD = 11,
    BLOCK_TYPE_WRITE_ZEROES = 13,
};

/* What one request may ask for; told in the configuration (5.2.4). */
#define BLOCK_MAX_DISCARD_SEGMENTS 16
#define BLOCK_MAX_DISCARD_BYTES    GIB
#define BLOCK_MAX_ZEROES_SEGMENTS  1
#define BLOCK_MAX_ZEROES_BYTES     (64 * MIB)

/* Files of the engine. */
#define BLOCK_FILE_MAIN     0
#define BLOCK_FILE_BUFFERED 1 /* with cache=direct only */

/* A piece of memory that a request with direct I/O moves what is not aligned by. */
#define BLOCK_BOUNCE_SIZE (64 * KIB)
#define BLOCK_ZEROES_SIZE (64 * KIB)

/* What requests know of their disk. */
struct block_disk {
    struct block_file file;
    bool read_only;
    bool direct;
    bool ignore_flush;
    bool offers_discard, offers_zeroes;
    bool writethrough;  /* a write that is answered is on disk */
    bool flush_lost;    /* a flush has failed, and what it was to keep may be gone */
    bool no_zero_range; /* fallocate() cannot zero here: write zeroes */
    char serial[VIRTIO_BLOCK_SERIAL_SIZE];
    uint8_t *zeroes; /* BLOCK_ZEROES_SIZE of them; NULL where read only */
};

struct block_segment {
    uint64_t offset, len; /* bytes */
    bool unmap;
};

struct block_request {
    struct block_io_job job;
    struct block_request *next_free;
    enum block_status status;
    int error;     /* the negative errno behind the status, for the log; 0: the guest's fault */
    uint64_t cost; /* bytes, for the rate limit */
    uint32_t type; /* 5.2.6 */
    uint8_t *status_byte;
    uint32_t data_len; /* writable bytes before the status byte */
    uint32_t written;  /* of them, how many have been, from the first on */
    /* What is still to be done: of the transfer or of the segment. */
    uint64_t offset, left;
    struct iovec *iov;
    unsigned iov_count;
    bool zeroes_by_writing;
    bool sync; /* at last, fdatasync() */
    bool bounced;
    uint8_t *bounce; /* BLOCK_BOUNCE_SIZE; the owner's; NULL without direct */
    struct iovec bounce_iov;
    unsigned segment, segment_count; /* the next one; how many */
    struct block_segment segments[BLOCK_MAX_DISCARD_SEGMENTS];
    struct virtq_chain chain;
};

/**
 * Read the header and check what it asks for. `chain` and `bounce` are set by the caller; all else
 * is set here. Where the request cannot be done, its status says so already.
 *
 * Returns 0, or -EPROTO where there is not even room for a status.
 */
int block_request_parse(const struct block_disk *disk, struct block_request *request);

/* Whether there is something to do for it, which is then in `job`; else it is finished. */
bool block_request_next(struct block_disk *disk, struct block_request *request);

/* Take in job.result. */
void block_request_take_result(struct block_disk *disk, struct block_request *request);

/* 2.7.8.2: how many bytes were written, from the first writable one on, the status included. */
uint32_t block_request_used_len(const struct block_request *request);

#endif
