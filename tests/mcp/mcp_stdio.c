/*
 * The image's server as a plain process of the host: the same messages and tools, on standard input
 * and output. For tests of the bridge, and for the bench to compare with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "tools.h"

int main(void)
{
    struct mcp_stream *stream = calloc(1, sizeof(*stream));
    const char *tool, *wrong = mcp_server_check(&tools_server, &tool);

    if (wrong || !stream) {
        fprintf(stderr, "mcp_stdio: tool %s: %s\n", tool, wrong ? wrong : "no memory");
        return 1;
    }
    stream->server = &tools_server;
    while (!stream->ended) {
        const char *output;
        size_t size;
        void *room;

        while (mcp_stream_step(stream) || mcp_stream_output(stream, &size)) {
            output = mcp_stream_output(stream, &size);
            if (output && io_write_all(STDOUT_FILENO, output, size) < 0)
                return 1;
            mcp_stream_sent(stream, output ? size : 0);
        }
        room = mcp_stream_room(stream, &size);
        if (room) {
            ssize_t n = read(STDIN_FILENO, room, size);

            if (n > 0)
                mcp_stream_received(stream, (size_t)n);
            else
                mcp_stream_input_ended(stream);
        }
    }
    mcp_stream_free(stream);
    free(stream);
    return 0;
}
