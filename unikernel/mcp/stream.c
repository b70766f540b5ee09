/* MCP: a connection as bytes. */
#include "sdk/mcp.h"
#include "sdk/memory.h"
#include "sdk/string.h"

#define FIRST_CAPACITY 4096
#define LENGTH_SIZE    4
/* What is held of input at most: a message, what frames it, and what was read behind it. */
#define IN_MAX ((size_t)MCP_MESSAGE_MAX + LENGTH_SIZE + MCP_STREAM_CHUNK)

/* --- output ---------------------------------------------------------------------------------- */

static void begin_answer(struct mcp_stream *s)
{
    size_t frame = s->framing == MCP_FRAMING_LENGTHS ? LENGTH_SIZE : 0;

    s->out = json_out_init(s->out_first, sizeof(s->out_first), MCP_MESSAGE_MAX + frame);
    s->out_sent = 0;
    json_out_raw(&s->out, "\0\0\0\0", frame);
}

static void end_answer(struct mcp_stream *s)
{
    if (s->framing != MCP_FRAMING_LENGTHS) {
        s->out.limit++; /* the newline is no part of the message */
        if (s->out.length > 0)
            json_out_words(&s->out, "\n");
        if (s->out.failed) { /* not one byte of memory more: it ends without its newline */
            s->out.failed = false;
            s->ended = true;
        }
        return;
    }
    if (s->out.length == LENGTH_SIZE) {
        s->out.length = 0;
        return;
    }
    for (unsigned i = 0; i < LENGTH_SIZE; i++)
        s->out.bytes[i] = (char)((s->out.length - LENGTH_SIZE) >> 8 * i);
}

const char *mcp_stream_output(const struct mcp_stream *s, size_t *ret_length)
{
    *ret_length = s->out.length - s->out_sent;
    return *ret_length > 0 ? s->out.bytes + s->out_sent : NULL;
}

void mcp_stream_sent(struct mcp_stream *s, size_t length)
{
    s->out_sent += length;
    if (s->out_sent == s->out.length) {
        json_out_free(&s->out);
        s->out_sent = 0;
    }
}

/* Say why, and end: what follows cannot be made sense of. */
static void give_up(struct mcp_stream *s, int code, const char *why)
{
    begin_answer(s);
    mcp_write_error(&s->out, code, why);
    end_answer(s);
    s->ended = true;
}

/* --- input ----------------------------------------------------------------------------------- */

/* Forget `length` bytes of input. A large buffer that is empty goes back. */
static void consume(struct mcp_stream *s, size_t length)
{
    s->in_at += length;
    s->in_length -= length;
    s->in_scanned = 0;
    if (s->in_length > 0)
        return;
    s->in_at = 0;
    if (s->in_capacity > FIRST_CAPACITY) {
        free(s->in);
        s->in = NULL;
        s->in_capacity = 0;
    }
}

/* Make room behind the input: by moving it to the front, or into twice the memory. */
static bool make_room(struct mcp_stream *s)
{
    size_t capacity = s->in_capacity ? 2 * s->in_capacity : FIRST_CAPACITY;
    char *in;

    if (s->in_at + s->in_length < s->in_capacity)
        return true;
    if (s->in_at > 0 && s->in_at >= s->in_length) {
        memcpy(s->in, s->in + s->in_at, s->in_length);
        s->in_at = 0;
        return true;
    }
    if (capacity > IN_MAX)
        capacity = IN_MAX;
    if (capacity <= s->in_length)
        return false;
    in = malloc(capacity);
    if (!in)
        return false;
    if (s->in_length > 0)
        memcpy(in, s->in + s->in_at, s->in_length);
    free(s->in);
    s->in = in;
    s->in_at = 0;
    s->in_capacity = capacity;
    return true;
}

void *mcp_stream_room(struct mcp_stream *s, size_t *ret_size)
{
    size_t used;

    if (s->ended || s->end_of_input || s->out.length > 0)
        return NULL;
    if (!make_room(s)) {
        give_up(s, MCP_INTERNAL_ERROR, "the server's memory is too small for this message");
        return NULL;
    }
    used = s->in_at + s->in_length;
    *ret_size = s->in_capacity - used < MCP_STREAM_CHUNK ? s->in_capacity - used : MCP_STREAM_CHUNK;
    return s->in + used;
}

void mcp_stream_received(struct mcp_stream *s, size_t length)
{
    s->in_length += length;
}

void mcp_stream_input_ended(struct mcp_stream *s)
{
    s->end_of_input = true;
}

void mcp_stream_free(struct mcp_stream *s)
{
    free(s->in);
    json_out_free(&s->out);
    *s = (struct mcp_stream){0};
}

/* --- messages -------------------------------------------------------------------------------- */

/*
 * The fourth byte tells: it is 0 as the top byte of a length of at most 10 MiB, and no JSON text
 * has a zero. The first byte alone would not: '{' is 0x7b, and so is the low byte of a length of
 * 123. A text that is shorter than four bytes is no message, so waiting for the fourth is no wait.
 */
static void tell_framing(struct mcp_stream *s)
{
    if (s->in_length >= LENGTH_SIZE)
        s->framing = s->in[s->in_at + 3] == 0 ? MCP_FRAMING_LENGTHS : MCP_FRAMING_LINES;
    else if (s->end_of_input)
        s->framing = MCP_FRAMING_LINES;
}

static bool is_blank(const char *text, size_t length)
{
    for (; length > 0; text++, length--)
        if (*text != ' ' && *text != '\t' && *text != '\r')
            return false;
    return true;
}

static void handle(struct mcp_stream *s, const char *text, size_t length)
{
    begin_answer(s);
    mcp_handle(s->server, &s->session, text, length, &s->out);
    end_answer(s);
    if (s->out.length == 0)
        json_out_free(&s->out);
}

static bool step_lines(struct mcp_stream *s)
{
    const char *text = s->in + s->in_at;
    const char *newline = NULL;
    size_t length;

    if (s->in_length > s->in_scanned)
        newline = memchr(text + s->in_scanned, '\n', s->in_length - s->in_scanned);
    s->in_scanned = s->in_length;
    length = newline ? (size_t)(newline - text) : s->in_length;
    if (length > MCP_MESSAGE_MAX) {
        give_up(s, MCP_INVALID_REQUEST, "a message is longer than 10 MiB");
        return true;
    }
    if (!newline && !s->end_of_input)
        return false;
    if (!is_blank(text, length))
        handle(s, text, length);
    consume(s, length + (newline != NULL));
    return true;
}

static bool step_lengths(struct mcp_stream *s)
{
    const unsigned char *b = (const unsigned char *)s->in + s->in_at;
    size_t length;

    if (s->in_length < LENGTH_SIZE)
        return false;
    length = b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
    if (length > MCP_MESSAGE_MAX) {
        give_up(s, MCP_INVALID_REQUEST, "a message is longer than 10 MiB");
        return true;
    }
    if (s->in_length - LENGTH_SIZE < length)
        return false;
    handle(s, s->in + s->in_at + LENGTH_SIZE, length);
    consume(s, LENGTH_SIZE + length);
    return true;
}

bool mcp_stream_step(struct mcp_stream *s)
{
    if (s->ended || s->out.length > 0)
        return false;
    if (s->framing == MCP_FRAMING_UNKNOWN)
        tell_framing(s);
    if (s->in_length > 0 && s->framing == MCP_FRAMING_LINES && step_lines(s))
        return true;
    if (s->in_length > 0 && s->framing == MCP_FRAMING_LENGTHS && step_lengths(s))
        return true;
    s->ended = s->end_of_input; /* nothing whole is left, and nothing comes */
    return s->ended;
}
