/* The parts of virtio-vsock that stand alone: the CONNECT line, the buffer, the packet header. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "vsock_buffer.h"
#include "vsock_connect_line.h"
#include "vsock_packet.h"

/* ---- The CONNECT line, whole and in every way of cutting it into pieces of one size. ---- */

struct line_row {
    const char *name, *text;
    int result; /* 1, or -EPROTO; 0: more is wanted */
    uint32_t port;
    const char *rest; /* behind the line */
};

static const struct line_row lines[] = {
    {"a plain line", "CONNECT 52\n", 1, 52, ""},
    {"lower case", "connect 52\n", 1, 52, ""},
    {"mixed case", "CoNnEcT 52\n", 1, 52, ""},
    {"a carriage return", "CONNECT 52\r\n", 1, 52, ""},
    {"blanks before the port", "CONNECT   52\n", 1, 52, ""},
    {"a tab before the port", "CONNECT\t52\n", 1, 52, ""},
    {"blanks behind the port", "CONNECT 52  \n", 1, 52, ""},
    {"port 0", "CONNECT 0\n", 1, 0, ""},
    {"the largest port", "CONNECT 4294967295\n", 1, UINT32_MAX, ""},
    {"leading zeroes", "CONNECT 00052\n", 1, 52, ""},
    {"data behind the line", "CONNECT 52\nGET /\n", 1, 52, "GET /\n"},
    {"32 bytes", "CONNECT                      52\n", 1, 52, ""},
    {"33 bytes", "CONNECT                       52\n", -EPROTO, 0, NULL},
    {"no end", "CONNECT 52", 0, 0, NULL},
    {"nothing", "", 0, 0, NULL},
    {"32 bytes without an end", "CONNECT 000000000000000000000052", -EPROTO, 0, NULL},
    {"an empty line", "\n", -EPROTO, 0, NULL},
    {"no port", "CONNECT\n", -EPROTO, 0, NULL},
    {"a blank for a port", "CONNECT \n", -EPROTO, 0, NULL},
    {"no blank", "CONNECT52\n", -EPROTO, 0, NULL},
    {"another word", "DISCONNECT 52\n", -EPROTO, 0, NULL},
    {"a blank before the word", " CONNECT 52\n", -EPROTO, 0, NULL},
    {"a port too large", "CONNECT 4294967296\n", -EPROTO, 0, NULL},
    {"a port far too large", "CONNECT 99999999999999999999\n", -EPROTO, 0, NULL},
    {"a negative port", "CONNECT -1\n", -EPROTO, 0, NULL},
    {"a plus sign", "CONNECT +1\n", -EPROTO, 0, NULL},
    {"hexadecimal", "CONNECT 0x34\n", -EPROTO, 0, NULL},
    {"letters", "CONNECT five\n", -EPROTO, 0, NULL},
    {"two ports", "CONNECT 52 53\n", -EPROTO, 0, NULL},
    {"letters behind the port", "CONNECT 52a\n", -EPROTO, 0, NULL},
    {"another protocol", "GET / HTTP/1.1\r\n", -EPROTO, 0, NULL},
};

static void feed_in_pieces(const struct line_row *row, size_t piece)
{
    struct vsock_connect_line line = {.len = 0};
    size_t len = strlen(row->text), at = 0, used = 0;
    uint32_t port = 0;
    int r = 0;

    while (at < len && r == 0) {
        r = vsock_connect_line_feed(&line, row->text + at, min_u64(piece, len - at), &used, &port);
        at += used;
    }
    assert_int_equal(r, row->result);
    if (r != 1)
        return;
    assert_int_equal(port, row->port);
    assert_string_equal(row->text + at, row->rest);
}

static void test_line(void **state)
{
    for (size_t piece = 1; piece <= 40; piece++)
        feed_in_pieces(*state, piece);
}

static void test_line_with_zero_byte(void **state)
{
    static const char text[] = "CONNECT 52\0 7\n";
    struct vsock_connect_line line = {.len = 0};
    uint32_t port;
    size_t used;

    (void)state;
    assert_int_equal(vsock_connect_line_feed(&line, text, sizeof(text) - 1, &used, &port), -EPROTO);
}

/* ---- The buffer. ---- */

static void test_buffer(void **state)
{
    struct vsock_buffer buffer = {.bytes = NULL};
    uint8_t in[5000], out[VSOCK_BUFFER_SIZE];
    uint32_t put = 0, got = 0;

    (void)state;
    for (unsigned turn = 0; turn < 200; turn++) {
        uint32_t len = (turn * 977) % sizeof(in), part = 0;
        struct iovec iov[2] = {{in, len / 3}, {in + len / 3, len - len / 3}};
        unsigned count;

        for (uint32_t i = 0; i < len; i++)
            in[i] = (uint8_t)((put + i) % 251);
        if (vsock_buffer_append(&buffer, iov, 2) == 0)
            put += len;
        assert_int_equal(buffer.len, put - got);
        count = vsock_buffer_peek(&buffer, iov);
        for (unsigned i = 0; i < count; i++) {
            memcpy(out + part, iov[i].iov_base, iov[i].iov_len);
            part += (uint32_t)iov[i].iov_len;
        }
        assert_int_equal(part, buffer.len);
        for (uint32_t i = 0; i < part; i++)
            assert_int_equal(out[i], (got + i) % 251);
        part = (uint32_t)min_u64(part, (turn * 641) % 4096);
        vsock_buffer_take(&buffer, part);
        got += part;
    }
    vsock_buffer_clear(&buffer);
}

static void test_buffer_bounds(void **state)
{
    static uint8_t bytes[VSOCK_BUFFER_SIZE];
    struct vsock_buffer buffer = {.bytes = NULL};
    struct iovec all = {bytes, sizeof(bytes)}, one = {bytes, 1}, none = {bytes, 0};

    (void)state;
    assert_int_equal(vsock_buffer_append(&buffer, &none, 1), 0);
    assert_null(buffer.bytes);
    assert_int_equal(vsock_buffer_append(&buffer, &all, 1), 0);
    assert_int_equal(vsock_buffer_append(&buffer, &one, 1), -ENOBUFS);
    assert_int_equal(buffer.len, VSOCK_BUFFER_SIZE);
    vsock_buffer_take(&buffer, 1);
    assert_int_equal(vsock_buffer_append(&buffer, &one, 1), 0);
    vsock_buffer_take(&buffer, VSOCK_BUFFER_SIZE);
    assert_null(buffer.bytes); /* an empty one costs nothing */
}

/* ---- Header and slices. ---- */

static void test_header(void **state)
{
    struct vsock_header in = {
        .src_cid = UINT64_C(0x0102030405060708),
        .dst_cid = UINT64_C(0x1112131415161718),
        .src_port = 0x21222324,
        .dst_port = 0x31323334,
        .len = 0x41424344,
        .type = 0x5152,
        .op = 0x6162,
        .flags = 0x71727374,
        .buf_alloc = 0x81828384,
        .fwd_cnt = 0x91929394,
    };
    uint8_t raw[VSOCK_HEADER_SIZE], again[VSOCK_HEADER_SIZE];
    struct vsock_header out;

    (void)state;
    vsock_header_store(raw, &in);
    assert_int_equal(raw[0], 0x08);  /* src_cid */
    assert_int_equal(raw[8], 0x18);  /* dst_cid */
    assert_int_equal(raw[16], 0x24); /* src_port */
    assert_int_equal(raw[20], 0x34); /* dst_port */
    assert_int_equal(raw[24], 0x44); /* len */
    assert_int_equal(raw[28], 0x52); /* type */
    assert_int_equal(raw[30], 0x62); /* op */
    assert_int_equal(raw[32], 0x74); /* flags */
    assert_int_equal(raw[36], 0x84); /* buf_alloc */
    assert_int_equal(raw[43], 0x91); /* fwd_cnt's last */
    vsock_header_load(raw, &out);
    vsock_header_store(again, &out);
    assert_memory_equal(raw, again, sizeof(raw));
}

struct slice_row {
    const char *name;
    size_t skip, len;
    unsigned count;
    size_t total, first; /* how many bytes in all, and where the first one lies */
};

/* Of buffers with 10, 20 and 30 bytes. */
static const struct slice_row slices[] = {
    {"all", 0, 60, 3, 60, 0},
    {"more than there is", 0, 1000, 3, 60, 0},
    {"nothing", 5, 0, 0, 0, 0},
    {"inside the first", 2, 5, 1, 5, 2},
    {"to the end of the first", 2, 8, 1, 8, 2},
    {"across two", 9, 2, 2, 2, 9},
    {"from the second on", 10, 50, 2, 50, 10},
    {"across all", 9, 22, 3, 22, 9},
    {"behind the end", 60, 1, 0, 0, 0},
    {"far behind the end", 1000, 1, 0, 0, 0},
};

static void test_slice(void **state)
{
    const struct slice_row *row = *state;
    uint8_t bytes[60];
    struct iovec iov[] = {{bytes, 10}, {bytes + 10, 20}, {bytes + 30, 30}};
    struct iovec part[3];
    size_t total = 0;
    unsigned count = vsock_slice(iov, 3, row->skip, row->len, part);

    assert_int_equal(count, row->count);
    for (unsigned i = 0; i < count; i++)
        total += part[i].iov_len;
    assert_int_equal(total, row->total);
    if (count > 0)
        assert_ptr_equal(part[0].iov_base, bytes + row->first);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, lines, test_line);
    unit_add(&unit, "a zero byte in the line", test_line_with_zero_byte, NULL);
    unit_add(&unit, "the buffer is first in, first out", test_buffer, NULL);
    unit_add(&unit, "the buffer has an end", test_buffer_bounds, NULL);
    unit_add(&unit, "header to bytes and back", test_header, NULL);
    unit_add_rows(&unit, slices, test_slice);
    return unit_run(&unit, "vsock_parts");
}
