/*
 * A component's log on disk: files numbered from 0 up in a folder, the oldest taken away. Bounded:
 * at most `files` times `max_bytes` (and the record that went over it).
 */
#ifndef OSVM_SUPERVISOR_LOG_WRITER_H
#define OSVM_SUPERVISOR_LOG_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "log_record.h"

struct log_writer {
    int folder; /* -1: not open */
    int file;
    uint64_t number; /* of the file that is written */
    uint64_t size;   /* of it, bytes */
    uint64_t max_bytes;
    uint64_t files;
    uint64_t lost; /* bytes that could not be written and are not told of yet */
};

/**
 * Go on with the folder's newest file, or begin one. The folder is there.
 * Returns 0 or a negative errno with the reason in err.
 */
int log_writer_open(struct log_writer *writer, const char *folder, uint64_t max_bytes,
                    uint64_t files, struct error *err);
void log_writer_close(struct log_writer *writer);

/**
 * Add what came from a stream. Where the disk is full it is dropped and counted; the next record
 * that can be written says how much is missing. Never blocks but for the disk.
 */
void log_writer_add(struct log_writer *writer, enum log_stream stream, const char *bytes,
                    size_t len);

#endif
