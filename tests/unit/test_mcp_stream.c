/* sdk/mcp.h: connections as bytes. */
#include "unit.h"

#include "sdk/mcp.h"

static void call_echo(struct mcp_call *call)
{
    struct json text;

    if (mcp_argument(call, "t", &text))
        mcp_write_json_text(call, text);
}

static const struct mcp_tool tools[] = {
    {.name = "echo",
     .description = "Echo.",
     .schema = "{\"type\":\"object\",\"properties\":{\"t\":{\"type\":\"string\"}}}",
     .call = call_echo},
};

static const struct mcp_server server = {
    .name = "test", .version = "9", .tools = tools, .tool_count = ARRAY_SIZE(tools)};

#define PING(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"ping\"}"
#define PONG(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{}}"
#define NOTE     "{\"jsonrpc\":\"2.0\",\"method\":\"n\"}"
#define ERROR(code, text) \
    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":" code ",\"message\":\"" text "\"}}"
#define NOT_JSON(why) ERROR("-32700", "not JSON: " why)
#define NO_VERSION    ERROR("-32600", "jsonrpc is not \\\"2.0\\\"")
#define TOO_LONG      ERROR("-32600", "a message is longer than 10 MiB")

/* All that goes out, in a growing buffer of the test's. */
struct output {
    char *bytes;
    size_t length;
};

/* Do all that can be done; take output in pieces of `piece` bytes. */
static void run(struct mcp_stream *s, struct output *output, size_t piece)
{
    const char *bytes;
    size_t length;

    while (mcp_stream_step(s) || mcp_stream_output(s, &length)) {
        bytes = mcp_stream_output(s, &length);
        if (!bytes)
            continue;
        if (length > piece)
            length = piece;
        output->bytes = realloc(output->bytes, output->length + length + 1);
        memcpy(output->bytes + output->length, bytes, length);
        output->length += length;
        output->bytes[output->length] = 0;
        mcp_stream_sent(s, length);
    }
}

/* Put input in, at most `piece` bytes at once, while the stream takes it. */
static void feed(struct mcp_stream *s, const char *input, size_t length, size_t piece,
                 struct output *output)
{
    while (length > 0) {
        size_t size;
        void *room = mcp_stream_room(s, &size);

        if (!room)
            break;
        assert_true(size > 0 && size <= MCP_STREAM_CHUNK);
        if (size > piece)
            size = piece;
        if (size > length)
            size = length;
        memcpy(room, input, size);
        mcp_stream_received(s, size);
        input += size;
        length -= size;
        run(s, output, SIZE_MAX);
    }
    run(s, output, SIZE_MAX);
}

struct row {
    const char *name;
    const char *input;
    size_t length;
    const char *output;
    size_t output_length;
    bool ends; /* the server ends the connection by itself */
};

/* A text with its length: there are zeroes in some. */
#define T(text) text, sizeof(text) - 1

/* 123 bytes, which is '{'. */
#define PING_123                                                                    \
    PING("\"0123456789012345678901234567890123456789012345678901234567890123456789" \
         "012345678901\"")

#define PONG_123                                                                    \
    PONG("\"0123456789012345678901234567890123456789012345678901234567890123456789" \
         "012345678901\"")

static const struct row rows[] = {
    {"a line", T(PING("1") "\n"), T(PONG("1") "\n"), false},
    {"two lines", T(PING("1") "\n" PING("2") "\n"), T(PONG("1") "\n" PONG("2") "\n"), false},
    {"a line that ends with CR LF", T(PING("1") "\r\n"), T(PONG("1") "\n"), false},
    {"blank lines", T("\n\r\n  \n\t\n\n" PING("1") "\n\n"), T(PONG("1") "\n"), false},
    {"blanks before", T("    " PING("1") "\n"), T(PONG("1") "\n"), false},
    {"a line without an answer", T(NOTE "\n" PING("1") "\n"), T(PONG("1") "\n"), false},
    {"a line that does not end", T(PING("1")), T(PONG("1") "\n"), false},
    {"a short line that does not end", T("{}"), T(NO_VERSION "\n"), false},
    {"nothing", T(""), T(""), false},
    {"a line of rubbish, then a good one", T("rubbish\n" PING("1") "\n"),
     T(NOT_JSON("something is no JSON value") "\n" PONG("1") "\n"), false},
    {"a zero in a line", T("{\"a\":\0}\n" PING("1") "\n"),
     T(NOT_JSON("something is no JSON value") "\n" PONG("1") "\n"), false},
    {"a length", T("\x28\0\0\0" PING("1")), T("\x24\0\0\0" PONG("1")), false},
    {"two lengths", T("\x28\0\0\0" PING("1") "\x28\0\0\0" PING("2")),
     T("\x24\0\0\0" PONG("1") "\x24\0\0\0" PONG("2")), false},
    {"a length whose first byte is {", T("{\0\0\0" PING_123 "\x28\0\0\0" PING("2")),
     T("w\0\0\0" PONG_123 "\x24\0\0\0" PONG("2")), false},
    {"a length whose first byte is a newline", T("\n\0\0\0{\"a\": [1]}"),
     T("\x56\0\0\0" NO_VERSION), false},
    {"a length of 0", T("\0\0\0\0"), T("\x5c\0\0\0" NOT_JSON("a value is missing")), false},
    {"a length without an answer", T("\x1f\0\0\0" NOTE), T(""), false},
    {"a length that is not all there", T("\x28\0\0\0{\"jsonrpc\""), T(""), false},
    {"a length that is cut off", T("\x28\0\0\0" PING("1") "\x28\0"), T("\x24\0\0\0" PONG("1")),
     false},
    {"a length of more than 10 MiB", T("\1\0\xa0\0"), T("\x5f\0\0\0" TOO_LONG), true},
    {"a length of 4 GiB is taken for a line", T("\xff\xff\xff\xff\n"),
     T(NOT_JSON("something is no JSON value") "\n"), false},
};

/* Whole, and in pieces of one to seven bytes: the answers are the same. */
static void test_row(void **state)
{
    const struct row *row = *state;

    for (size_t piece = 0; piece < 8; piece++) {
        struct mcp_stream *s = calloc(1, sizeof(*s));
        struct output output = {0};

        s->server = &server;
        feed(s, row->input, row->length, piece ? piece : SIZE_MAX, &output);
        assert_int_equal(s->ended, row->ends);
        mcp_stream_input_ended(s);
        run(s, &output, SIZE_MAX);
        assert_true(s->ended);
        assert_int_equal(output.length, row->output_length);
        if (output.length > 0)
            assert_memory_equal(output.bytes, row->output, output.length);
        mcp_stream_free(s);
        free(output.bytes);
        free(s);
    }
}

/* A message of `length` bytes with an echo in it. */
static char *big_message(size_t length)
{
    static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":"
                               "{\"name\":\"echo\",\"arguments\":{\"t\":\"";
    static const char tail[] = "\"}}}";
    char *text = malloc(length + 2);

    memset(text, 'x', length);
    memcpy(text, head, strlen(head));
    memcpy(text + length - strlen(tail), tail, strlen(tail));
    text[length] = '\n';
    text[length + 1] = 0;
    return text;
}

/* 10 MiB pass whole, and a byte more is refused, in lines. */
static void test_long_lines(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        size_t length = MCP_MESSAGE_MAX + more;
        struct mcp_stream *s = calloc(1, sizeof(*s));
        struct output output = {0};
        char *text = big_message(length);

        s->server = &server;
        feed(s, text, length + 1, SIZE_MAX, &output);
        if (more) {
            assert_string_equal(output.bytes, TOO_LONG "\n");
        } else {
            assert_true(output.length > MCP_MESSAGE_MAX - 200);
            assert_true(output.length <= MCP_MESSAGE_MAX);
            assert_memory_equal(output.bytes + output.length - 4, "e}}\n", 4);
            feed(s, PING("2") "\n", strlen(PING("2") "\n"), SIZE_MAX, &output);
            assert_non_null(strstr(output.bytes + output.length - 60, PONG("2") "\n"));
        }
        assert_int_equal(s->ended, more);
        free(text);
        mcp_stream_free(s);
        free(output.bytes);
        free(s);
    }
}

static void test_long_length(void **state)
{
    size_t length = MCP_MESSAGE_MAX;
    struct mcp_stream *s = calloc(1, sizeof(*s));
    struct output output = {0};
    char *text = big_message(length);

    (void)state;
    s->server = &server;
    feed(s, "\0\0\xa0\0", 4, SIZE_MAX, &output);
    feed(s, text, length, SIZE_MAX, &output);
    assert_true(output.length > MCP_MESSAGE_MAX - 200);
    assert_false(s->ended);
    assert_int_equal(s->in_length, 0);
    assert_true(s->in_capacity <= 4096); /* the large buffer went back */
    free(text);
    mcp_stream_free(s);
    free(output.bytes);
    free(s);
}

/* No input is taken while an answer waits: a peer that does not read is not served on. */
static void test_backpressure(void **state)
{
    struct mcp_stream *s = calloc(1, sizeof(*s));
    struct output output = {0};
    size_t size;
    char *room;

    (void)state;
    s->server = &server;
    room = mcp_stream_room(s, &size);
    memcpy(room, PING("1") "\n" PING("2") "\n", 2 * sizeof(PING("1")));
    mcp_stream_received(s, 2 * sizeof(PING("1")));
    assert_true(mcp_stream_step(s));
    assert_false(mcp_stream_step(s));
    assert_null(mcp_stream_room(s, &size));
    mcp_stream_output(s, &size);
    mcp_stream_sent(s, size - 1);
    assert_false(mcp_stream_step(s));
    assert_null(mcp_stream_room(s, &size));
    mcp_stream_sent(s, 1);
    assert_true(mcp_stream_step(s));
    run(s, &output, 1);
    assert_string_equal(output.bytes, PONG("2") "\n");
    assert_non_null(mcp_stream_room(s, &size));
    mcp_stream_free(s);
    free(output.bytes);
    free(s);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_row);
    unit_add(&unit, "10 MiB in a line, and a byte more", test_long_lines, NULL);
    unit_add(&unit, "10 MiB with a length", test_long_length, NULL);
    unit_add(&unit, "no input while an answer waits", test_backpressure, NULL);
    return unit_run(&unit, "mcp_stream");
}
