/*
 * sdk/mcp.h: a connection to the image's server, with any bytes in pieces of any size; the first
 * byte of the input says how large they are. Each answer must be JSON, framed as it was asked.
 */
#include <stdlib.h>
#include <string.h>

#include "tools.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int64_t clock_now(void)
{
    return 1000000000;
}

static void check_answer(const struct mcp_stream *s, const char *bytes, size_t length)
{
    struct json value;

    if (s->framing == MCP_FRAMING_LENGTHS) {
        const uint8_t *b = (const uint8_t *)bytes;

        if (length < 4 || (b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16) != length - 4)
            abort();
        bytes += 4;
        length -= 4;
    } else if (length == 0 || memchr(bytes, '\n', length) != bytes + length - 1) {
        abort();
    }
    if (json_parse(bytes, length, &value))
        abort();
}

static void run(struct mcp_stream *s)
{
    const char *output;
    size_t length;

    for (;;) {
        bool stepped = mcp_stream_step(s);

        output = mcp_stream_output(s, &length);
        if (output) {
            check_answer(s, output, length);
            mcp_stream_sent(s, length);
        } else if (!stepped) {
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mcp_stream *s = calloc(1, sizeof(*s));
    size_t piece = size > 0 ? data[0] + 1u : 1;

    s->server = &tools_server;
    for (size_t at = 1; at < size;) {
        size_t room_size, part;
        void *room = mcp_stream_room(s, &room_size);

        if (!room)
            break;
        part = room_size < piece ? room_size : piece;
        if (part > size - at)
            part = size - at;
        memcpy(room, data + at, part);
        mcp_stream_received(s, part);
        at += part;
        run(s);
    }
    mcp_stream_input_ended(s);
    run(s);
    if (!s->ended)
        abort();
    mcp_stream_free(s);
    free(s);
    return 0;
}
