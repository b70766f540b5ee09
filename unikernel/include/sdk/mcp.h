/*
 * An MCP server (Model Context Protocol, modelcontextprotocol.io/specification): tools that are
 * functions of a C file, offered over JSON-RPC 2.0. docs/mcp.md has a whole one in 30 lines.
 *
 * It speaks the protocol's versions 2024-11-05 to 2025-11-25, which begin with `initialize`, and
 * the stateless 2026-07-28. All of it is for one CPU. But for mcp_serve() nothing here knows a
 * device: tests run the same code on the host.
 */
#ifndef SDK_MCP_H
#define SDK_MCP_H

#include "sdk/json.h"

#define MCP_PORT        5252
#define MCP_MESSAGE_MAX (UINT32_C(10) << 20) /* bytes of a message, either way */

/* --- for an image with tools of its own ------------------------------------------------------ */

/* A call that is being answered; lives until the tool's function returns. */
struct mcp_call;

/* Text with its length, and a zero behind it; it may hold zeroes. */
struct mcp_text {
    const char *bytes;
    size_t length;
};

struct mcp_tool {
    const char *name;
    const char *description; /* for the model that is to choose it */
    /*
     * The arguments, as JSON Schema: an object with `properties`. It is published as it stands,
     * and arguments that it does not allow never reach `call`. Known: type, properties, required,
     * additionalProperties (true or false), enum (of strings), minimum and maximum (of integers),
     * minLength, maxLength, items, minItems, maxItems, and the words that only describe (title,
     * description, default, examples). Another word is refused at the start.
     */
    const char *schema;
    void (*call)(struct mcp_call *call);
};

/* Const data of the image. */
struct mcp_server {
    const char *name, *version;
    const char *instructions; /* how to use it, for the model; NULL for none */
    const struct mcp_tool *tools;
    unsigned tool_count;
};

/**
 * Serve on vsock port `port=` of the command line (MCP_PORT), to many connections at once; says
 * the milestone "ready" when it listens.
 * Returns only where it cannot: 1, with the reason on the console.
 */
int mcp_serve(const struct mcp_server *server);

/*
 * The arguments, which are what the schema allows: an argument that it requires is there. Where
 * memory is short for a text, the call fails and the text is "".
 */
bool mcp_argument(const struct mcp_call *call, const char *name, struct json *ret_value);
struct mcp_text mcp_argument_text(struct mcp_call *call, const char *name);
int64_t mcp_argument_integer(const struct mcp_call *call, const char *name, int64_t otherwise);
bool mcp_argument_flag(const struct mcp_call *call, const char *name, bool otherwise);

/* What a string of the arguments means, as mcp_argument_text(). */
struct mcp_text mcp_text_of(struct mcp_call *call, struct json string);

/* Memory until the call ends. NULL where there is none; the call fails then. */
void *mcp_alloc(struct mcp_call *call, size_t size);

/* Write the answer, in as many parts as you like; UTF-8, no character split between two parts. */
void mcp_write(struct mcp_call *call, const char *bytes, size_t length);
void mcp_print(struct mcp_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* at most 511 bytes */

/* A string of the arguments, written as it came: no copy is made. */
void mcp_write_json_text(struct mcp_call *call, struct json string);

/* Fail: these words (at most 511 bytes) are the answer, whatever was or is written. The first
 * failure counts. */
void mcp_fail(struct mcp_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- below: for transports, and for tests ---------------------------------------------------- */

struct mcp_version;

/* What is remembered of a client: {0} to begin. */
struct mcp_session {
    const struct mcp_version *version; /* agreed on by initialize; NULL before */
};

/**
 * Look at what the image says of its tools: names and schemas.
 * Returns NULL, or what is wrong, in words; *ret_tool is then the tool's name.
 */
const char *mcp_server_check(const struct mcp_server *server, const char **ret_tool);

/**
 * Take one message and write the answer to `out`; nothing where it wants none. `out` begins with
 * at least MCP_OUT_FIRST bytes of the caller's, in which any error fits, so that there is an
 * answer where memory is short; its limit is what an answer may have.
 */
void mcp_handle(const struct mcp_server *server, struct mcp_session *session, const char *text,
                size_t length, struct json_out *out);

#define MCP_OUT_FIRST 2048

/* Write a JSON-RPC error with the id null: for a message that could not be read. */
void mcp_write_error(struct json_out *out, int code, const char *message);

#define MCP_PARSE_ERROR      (-32700) /* JSON-RPC 2.0, section 5.1 */
#define MCP_INVALID_REQUEST  (-32600)
#define MCP_METHOD_NOT_FOUND (-32601)
#define MCP_INVALID_PARAMS   (-32602)
#define MCP_INTERNAL_ERROR   (-32603)
#define MCP_NO_SUCH_VERSION  (-32022) /* MCP 2026-07-28, UnsupportedProtocolVersion */

enum mcp_framing {
    MCP_FRAMING_UNKNOWN, /* fewer than four bytes have come */
    MCP_FRAMING_LINES,   /* a message a line */
    MCP_FRAMING_LENGTHS, /* a u32, little-endian, before each */
};

/*
 * A connection as bytes: what came, and what is to be sent. It takes no more input while an answer
 * waits to be sent, so a peer that does not read costs one answer. {.server = …} to begin.
 */
struct mcp_stream {
    const struct mcp_server *server;
    struct mcp_session session;
    enum mcp_framing framing;
    bool end_of_input; /* nothing more will come */
    bool ended;        /* once the output is sent, nothing more will go */
    /* Input: `length` bytes from `at` on; no newline in the first `scanned` of them. */
    char *in;
    size_t in_capacity, in_at, in_length, in_scanned;
    struct json_out out;
    size_t out_sent;
    char out_first[4 + MCP_OUT_FIRST]; /* the u32, an answer */
};

/**
 * Room for bytes that come, at least one and at most MCP_STREAM_CHUNK. What is put there is told
 * by mcp_stream_received().
 * Returns NULL while output waits, or where the stream has ended (without memory it ends itself).
 */
void *mcp_stream_room(struct mcp_stream *stream, size_t *ret_size);
void mcp_stream_received(struct mcp_stream *stream, size_t length);

#define MCP_STREAM_CHUNK 32768

/* Nothing more will come: what is there without a newline behind it is a message, too. */
void mcp_stream_input_ended(struct mcp_stream *stream);

/* Handle one message, where a whole one is there and no output waits. Returns whether it did, or
 * whether the stream's state has changed otherwise. */
bool mcp_stream_step(struct mcp_stream *stream);

/* What is to be sent: NULL for nothing. */
const char *mcp_stream_output(const struct mcp_stream *stream, size_t *ret_length);
void mcp_stream_sent(struct mcp_stream *stream, size_t length);

void mcp_stream_free(struct mcp_stream *stream);

#endif
