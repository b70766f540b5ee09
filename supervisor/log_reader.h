/* A component's log, read back while it may be written: by `osvm logs`, and by console probes. */
#ifndef OSVM_SUPERVISOR_LOG_READER_H
#define OSVM_SUPERVISOR_LOG_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "log_record.h"
#include "paths.h"

/* Where a reader has come to. All zeroes with folder -1 and file -1 is "not open". */
struct log_reader {
    int folder;
    int file;
    uint64_t number; /* of the file that is read */
    char *line;      /* what was read and is not a whole record yet */
    size_t used, room;
    size_t taken; /* of `used`: records that were given out */
};

/* Begin with the oldest file that there is. Returns 0, or a negative errno with the reason in err.
 */
int log_reader_open(struct log_reader *reader, const struct paths *paths, const char *name,
                    struct error *err);
void log_reader_close(struct log_reader *reader);

/**
 * The next record; it is valid until the next call. What is no record is passed over.
 * Returns 1; 0 where there is none yet (more may come: call again later); or a negative errno.
 */
int log_reader_next(struct log_reader *reader, struct log_record *ret_record);

/* Whether the output since a time has a text in one of its lines (or parts of them). */
bool log_reader_contains(const struct paths *paths, const char *name, uint64_t since_ns,
                         const char *text);

#endif
