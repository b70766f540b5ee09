/*
 * The framing of the remote serial protocol: `$payload#xx`, xx the sum of the payload's bytes; '+'
 * and '-' acknowledge; a byte 3 outside of a packet is the user's Ctrl-C.
 * GDB manual, appendix E, "Overview" and "Packet Acknowledgment".
 */
#ifndef OSVM_GDB_PACKET_H
#define OSVM_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest payload, both ways: `PacketSize`, of which gdb is told. */
#define GDB_PACKET_MAX 0x4000

/* Room for any reply in its frame: each byte of it may have to be escaped. */
#define GDB_FRAME_MAX (2 * GDB_PACKET_MAX + 4)

enum gdb_event {
    GDB_NOTHING,   /* yet */
    GDB_PACKET,    /* `payload` holds one */
    GDB_TOO_LONG,  /* one that was longer than GDB_PACKET_MAX; it is not kept */
    GDB_BAD_SUM,   /* one that was damaged, to be asked for again */
    GDB_INTERRUPT, /* Ctrl-C */
    GDB_NOT_SEEN,  /* '-': the last reply is wanted again */
};

enum gdb_reader_state { GDB_OUTSIDE, GDB_INSIDE, GDB_SUM_HIGH, GDB_SUM_LOW };

/* All zero to begin with. */
struct gdb_reader {
    enum gdb_reader_state state;
    uint8_t sum, wanted;
    bool escaped, too_long;
    size_t len;
    char payload[GDB_PACKET_MAX + 1]; /* after GDB_PACKET: unescaped, with a 0 behind its end */
};

/* Take one byte. */
enum gdb_event gdb_reader_feed(struct gdb_reader *reader, uint8_t byte);

/* A reply's payload, put together piece by piece. What does not fit is cut off. All zero: empty. */
struct gdb_reply {
    size_t len;
    char payload[GDB_PACKET_MAX];
};

void gdb_reply_bytes(struct gdb_reply *reply, const void *bytes, size_t len);
void gdb_reply_hex(struct gdb_reply *reply, const void *bytes, size_t len);
void gdb_reply_format(struct gdb_reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Put it into its frame. Returns the frame's length. */
size_t gdb_reply_frame(const struct gdb_reply *reply, uint8_t ret_frame[GDB_FRAME_MAX]);

#endif
