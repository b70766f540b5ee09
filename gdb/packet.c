#include "packet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "hex.h"

#define INTERRUPT_BYTE 3
#define ESCAPE         '}'
#define ESCAPE_XOR     0x20

static void begin(struct gdb_reader *reader)
{
    reader->state = GDB_INSIDE;
    reader->sum = 0;
    reader->len = 0;
    reader->escaped = reader->too_long = false;
}

static void keep(struct gdb_reader *reader, uint8_t byte)
{
    reader->sum = (uint8_t)(reader->sum + byte);
    if (byte == ESCAPE && !reader->escaped) {
        reader->escaped = true;
        return;
    }
    if (reader->len == GDB_PACKET_MAX)
        reader->too_long = true;
    else
        reader->payload[reader->len++] = (char)(reader->escaped ? byte ^ ESCAPE_XOR : byte);
    reader->escaped = false;
}

static enum gdb_event outside(struct gdb_reader *reader, uint8_t byte)
{
    switch (byte) {
    case '$':
        begin(reader);
        return GDB_NOTHING;
    case INTERRUPT_BYTE:
        return GDB_INTERRUPT;
    case '-':
        return GDB_NOT_SEEN;
    default: /* '+', and noise */
        return GDB_NOTHING;
    }
}

static enum gdb_event finish(struct gdb_reader *reader)
{
    reader->state = GDB_OUTSIDE;
    if (reader->wanted != reader->sum)
        return GDB_BAD_SUM;
    if (reader->too_long)
        return GDB_TOO_LONG;
    reader->payload[reader->len] = '\0';
    return GDB_PACKET;
}

enum gdb_event gdb_reader_feed(struct gdb_reader *reader, uint8_t byte)
{
    int digit;

    switch (reader->state) {
    case GDB_INSIDE:
        if (byte == '$')
            begin(reader); /* the end of the one before was lost */
        else if (byte == '#')
            reader->state = GDB_SUM_HIGH;
        else
            keep(reader, byte);
        return GDB_NOTHING;
    case GDB_SUM_HIGH:
    case GDB_SUM_LOW:
        digit = hex_digit((char)byte);
        if (digit < 0) {
            reader->state = GDB_OUTSIDE;
            return GDB_BAD_SUM;
        }
        if (reader->state == GDB_SUM_LOW) {
            reader->wanted = (uint8_t)(reader->wanted | digit);
            return finish(reader);
        }
        reader->wanted = (uint8_t)(digit << 4);
        reader->state = GDB_SUM_LOW;
        return GDB_NOTHING;
    case GDB_OUTSIDE:
    default:
        return outside(reader, byte);
    }
}

void gdb_reply_bytes(struct gdb_reply *reply, const void *bytes, size_t len)
{
    len = min_u64(len, sizeof(reply->payload) - reply->len);
    memcpy(reply->payload + reply->len, bytes, len);
    reply->len += len;
}

void gdb_reply_hex(struct gdb_reply *reply, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        uint8_t byte = ((const uint8_t *)bytes)[i];
        char pair[2] = {digits[byte >> 4], digits[byte & 15]};

        gdb_reply_bytes(reply, pair, sizeof(pair));
    }
}

void gdb_reply_format(struct gdb_reply *reply, const char *format, ...)
{
    char text[256];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > 0)
        gdb_reply_bytes(reply, text, min_u64((uint64_t)len, sizeof(text) - 1));
}

size_t gdb_reply_frame(const struct gdb_reply *reply, uint8_t ret_frame[GDB_FRAME_MAX])
{
    size_t len = 0;
    uint8_t sum = 0;
    char end[4];

    ret_frame[len++] = '$';
    for (size_t i = 0; i < reply->len; i++) {
        uint8_t byte = (uint8_t)reply->payload[i];

        /* '*' too: it would start a run length. */
        if (byte == '$' || byte == '#' || byte == ESCAPE || byte == '*') {
            ret_frame[len++] = ESCAPE;
            byte ^= ESCAPE_XOR;
        }
        ret_frame[len++] = byte;
    }
    for (size_t i = 1; i < len; i++)
        sum = (uint8_t)(sum + ret_frame[i]);
    snprintf(end, sizeof(end), "#%02x", sum);
    memcpy(ret_frame + len, end, 3);
    return len + 3;
}
