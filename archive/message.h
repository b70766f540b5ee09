/*
 * What the helper tells its caller: a datagram (SOCK_SEQPACKET) for each file, with its memfd, and
 * one at the end.
 */
#ifndef OSVM_ARCHIVE_MESSAGE_H
#define OSVM_ARCHIVE_MESSAGE_H

#include <stdint.h>

#include "archive/archive.h"

enum unpack_kind { UNPACK_FILE = 1, UNPACK_END, UNPACK_FAILED };

struct unpack_message {
    uint32_t kind;
    int32_t code; /* of UNPACK_FAILED: a negative errno */
    uint64_t size;
    char text[IMAGE_ARCHIVE_PATH_MAX + 1]; /* the path, or what is wrong */
};

/* The helper's descriptors. */
#define UNPACK_ARCHIVE_FD 0
#define UNPACK_SOCKET_FD  1

#endif
