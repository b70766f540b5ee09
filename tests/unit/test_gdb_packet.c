/* gdb/packet.h: framing, byte by byte. */
#include "packet.h"

#include <stdio.h>

#include "unit.h"

struct row {
    const char *name;
    const char *input;
    size_t len;              /* 0: strlen */
    const char *events;      /* a letter each: see letter() */
    const char *last_packet; /* NULL: there is none */
};

static char letter(enum gdb_event event)
{
    static const char letters[] = {
        [GDB_PACKET] = 'p',    [GDB_TOO_LONG] = 'l', [GDB_BAD_SUM] = 'b',
        [GDB_INTERRUPT] = 'i', [GDB_NOT_SEEN] = 'n',
    };

    return letters[event];
}

static const struct row rows[] = {
    {"a packet", "$g#67", 0, "p", "g"},
    {"an empty one", "$#00", 0, "p", ""},
    {"digits of either case", "$O_#ae$O_#AE", 0, "pp", "O_"},
    {"two, with an acknowledgment between", "$g#67+$?#3f", 0, "pp", "?"},
    {"a wrong sum", "$g#68", 0, "b", NULL},
    {"a sum of no digits", "$g#6x$g#67", 0, "bp", "g"},
    {"a sum that is cut off by the next packet", "$g#$?#3f", 0, "b", NULL},
    {"an end that was lost", "$gxy$?#3f", 0, "p", "?"},
    {"an escape", "$a}\x03#e1", 0, "p", "a#"},
    {"an escaped escape", "$}]#da", 0, "p", "}"},
    {"an escape at the end", "$}#7d", 0, "p", ""},
    {"Ctrl-C", "\x03", 0, "i", NULL},
    {"Ctrl-C between packets", "$g#67\x03$?#3f", 0, "pip", "?"},
    {"a 3 inside a packet is no Ctrl-C", "$\x03#03", 0, "p", "\x03"},
    {"not seen", "-", 0, "n", NULL},
    {"noise", "+++ \n#67abc", 0, "", NULL},
    {"a zero byte", "$a\0b#c3", 7, "p", "a"},
};

static void test_read(void **state)
{
    const struct row *row = *state;
    struct gdb_reader *reader = calloc(1, sizeof(*reader));
    size_t len = row->len ? row->len : strlen(row->input), count = 0;
    char events[16] = "";

    for (size_t i = 0; i < len; i++) {
        enum gdb_event event = gdb_reader_feed(reader, (uint8_t)row->input[i]);

        if (event != GDB_NOTHING)
            events[count++] = letter(event);
    }
    assert_string_equal(events, row->events);
    if (row->last_packet)
        assert_string_equal(reader->payload, row->last_packet);
    free(reader);
}

/* Feed a packet of n letters. */
static enum gdb_event feed_long(struct gdb_reader *reader, size_t n)
{
    char sum[4];

    gdb_reader_feed(reader, '$');
    for (size_t i = 0; i < n; i++)
        assert_int_equal(gdb_reader_feed(reader, 'x'), GDB_NOTHING);
    snprintf(sum, sizeof(sum), "%02x", (unsigned)(n * 'x') & 0xff);
    gdb_reader_feed(reader, '#');
    gdb_reader_feed(reader, (uint8_t)sum[0]);
    return gdb_reader_feed(reader, (uint8_t)sum[1]);
}

static void test_longest(void **state)
{
    struct gdb_reader *reader = calloc(1, sizeof(*reader));

    (void)state;
    assert_int_equal(feed_long(reader, GDB_PACKET_MAX), GDB_PACKET);
    assert_int_equal(reader->len, GDB_PACKET_MAX);
    assert_int_equal(feed_long(reader, GDB_PACKET_MAX + 1), GDB_TOO_LONG);
    assert_int_equal(feed_long(reader, 10 * GDB_PACKET_MAX), GDB_TOO_LONG);
    assert_int_equal(feed_long(reader, 3), GDB_PACKET);
    assert_string_equal(reader->payload, "xxx");
    free(reader);
}

static void test_frame(void **state)
{
    static uint8_t frame[GDB_FRAME_MAX];
    struct gdb_reply *reply = calloc(1, sizeof(*reply));
    size_t len;

    (void)state;
    len = gdb_reply_frame(reply, frame);
    assert_int_equal(len, 4);
    assert_memory_equal(frame, "$#00", 4);
    gdb_reply_format(reply, "%s%d", "OK", 1);
    gdb_reply_hex(reply, "\x0f\xa0", 2);
    len = gdb_reply_frame(reply, frame);
    assert_int_equal(len, 11);
    assert_memory_equal(frame, "$OK10fa0#f2", 11);
    free(reply);
}

/* Whatever a reply holds, reading its frame gives it back; and its frame has room. */
static void test_round_trip(void **state)
{
    static uint8_t frame[GDB_FRAME_MAX];
    struct gdb_reply *reply = calloc(1, sizeof(*reply));
    struct gdb_reader *reader = calloc(1, sizeof(*reader));
    enum gdb_event event = GDB_NOTHING;
    size_t len;

    (void)state;
    for (unsigned i = 0; i < GDB_PACKET_MAX + 100; i++) {
        uint8_t byte = i < 300 ? (uint8_t)i : '}'; /* the worst to escape */

        gdb_reply_bytes(reply, &byte, 1);
    }
    assert_int_equal(reply->len, GDB_PACKET_MAX); /* the rest was cut off */
    len = gdb_reply_frame(reply, frame);
    assert_true(len <= sizeof(frame));
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(event, GDB_NOTHING);
        event = gdb_reader_feed(reader, frame[i]);
    }
    assert_int_equal(event, GDB_PACKET);
    assert_int_equal(reader->len, reply->len);
    assert_memory_equal(reader->payload, reply->payload, reply->len);
    free(reader);
    free(reply);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_read);
    unit_add(&unit, "the longest packet, and one more byte", test_longest, NULL);
    unit_add(&unit, "a reply's frame", test_frame, NULL);
    unit_add(&unit, "a reply is read as it was written", test_round_trip, NULL);
    return unit_run(&unit, "gdb_packet");
}
