/* sdk/mcp.h: messages and their answers. */
#include "unit.h"

#include <stdio.h>

#include "sdk/mcp.h"

static void call_say(struct mcp_call *call)
{
    struct mcp_text text = mcp_argument_text(call, "text");

    mcp_write(call, text.bytes, text.length);
    mcp_print(call, " %d%s", (int)mcp_argument_integer(call, "times", 1),
              mcp_argument_flag(call, "loud", false) ? "!" : "");
}

static void call_fail(struct mcp_call *call)
{
    mcp_print(call, "this is taken back");
    mcp_fail(call, "no \"%s\"", "luck");
    mcp_fail(call, "a second failure does not count");
    mcp_print(call, "nor does this");
}

/* More memory than there is. */
static void call_hoard(struct mcp_call *call)
{
    assert_non_null(mcp_alloc(call, 1));
    assert_null(mcp_alloc(call, SIZE_MAX));
    mcp_print(call, "unheard");
}

/* More than a message may be. */
static void call_flood(struct mcp_call *call)
{
    static char block[1 << 20];

    memset(block, 'x', sizeof(block));
    for (unsigned i = 0; i < 11; i++)
        mcp_write(call, block, sizeof(block));
}

#define SAY                                                                \
    "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}," \
    "\"times\":{\"type\":\"integer\"},\"loud\":{\"type\":\"boolean\"}},\"required\":[\"text\"]}"
#define NONE "{\"type\":\"object\"}"

static const struct mcp_tool tools[] = {
    {.name = "say", .description = "Say \"it\".", .schema = SAY, .call = call_say},
    {.name = "fail", .description = "Fail.", .schema = NONE, .call = call_fail},
    {.name = "flood", .description = "Flood.", .schema = NONE, .call = call_flood},
    {.name = "hoard", .description = "Hoard.", .schema = NONE, .call = call_hoard},
};

static const struct mcp_server server = {
    .name = "test", .version = "9", .tools = tools, .tool_count = ARRAY_SIZE(tools)};

static void ask(struct mcp_session *session, const char *text, size_t length, struct json_out *out)
{
    mcp_handle(&server, session, text, length, out);
    assert_false(out->failed);
    json_out_raw(out, "\0", 1);
}

#define LIST_TEXT                                                                           \
    "\"tools\":[{\"name\":\"say\",\"description\":\"Say \\\"it\\\".\",\"inputSchema\":" SAY \
    "},{\"name\":\"fail\",\"description\":\"Fail.\",\"inputSchema\":" NONE                  \
    "},{\"name\":\"flood\",\"description\":\"Flood.\",\"inputSchema\":" NONE                \
    "},{\"name\":\"hoard\",\"description\":\"Hoard.\",\"inputSchema\":" NONE "}]"
#define R(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{" result "}}"
#define E(id, code, message)                                                                       \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":\"" message "\"}" \
    "}"
#define Q(id, method, more) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\"" more "}"
#define CALL(id, name, arguments) \
    Q(id, "tools/call", ",\"params\":{\"name\":\"" name "\",\"arguments\":" arguments "}")
#define SAID(id, text) \
    R(id, "\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}],\"isError\":false")
#define FAILED(id, text) \
    R(id, "\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}],\"isError\":true")
#define META(version)                                                             \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":" version             \
    ",\"io.modelcontextprotocol/clientInfo\":{\"name\":\"c\",\"version\":\"1\"}," \
    "\"io.modelcontextprotocol/clientCapabilities\":{}}"
#define HINTS        "\"ttlMs\":3600000,\"cacheScope\":\"public\""
#define VERSIONS     "[\"2026-07-28\",\"2025-11-25\",\"2025-06-18\",\"2025-03-26\",\"2024-11-05\"]"
#define HELLO(asked) Q("0", "initialize", ",\"params\":{\"protocolVersion\":" asked "}")
#define AGREED(version)                                                                          \
    R("0", "\"protocolVersion\":\"" version "\",\"capabilities\":{\"tools\":{}},\"serverInfo\":" \
           "{\"name\":\"test\",\"version\":\"9\"}")

struct row {
    const char *name;
    const char *version; /* agreed on by initialize before; NULL: no initialize */
    const char *question, *answer;
};

static const struct row rows[] = {
    {"2024-11-05 is agreed on", NULL, HELLO("\"2024-11-05\""), AGREED("2024-11-05")},
    {"2025-03-26 is agreed on", NULL, HELLO("\"2025-03-26\""), AGREED("2025-03-26")},
    {"2025-06-18 is agreed on", NULL, HELLO("\"2025-06-18\""), AGREED("2025-06-18")},
    {"2025-11-25 is agreed on", NULL, HELLO("\"2025-11-25\""), AGREED("2025-11-25")},
    {"an unknown version", NULL, HELLO("\"1999-01-01\""), AGREED("2025-11-25")},
    {"the stateless version by initialize", NULL, HELLO("\"2026-07-28\""), AGREED("2025-11-25")},
    {"a version that is no string", NULL, HELLO("1"),
     E("0", "-32602", "initialize wants a protocolVersion, a string")},
    {"initialize without parameters", NULL, Q("0", "initialize", ""),
     E("0", "-32602", "initialize wants a protocolVersion, a string")},
    {"initialize a second time", "2024-11-05", HELLO("\"2025-06-18\""), AGREED("2025-06-18")},

    {"ping before initialize", NULL, Q("0", "ping", ""), R("0", "")},
    {"an id that is a string", NULL, Q("\"a\\u0062\\\"\"", "ping", ""), R("\"a\\u0062\\\"\"", "")},
    {"an id that is empty", NULL, Q("\"\"", "ping", ""), R("\"\"", "")},
    {"an id that is negative", NULL, Q("-1", "ping", ""), R("-1", "")},
    {"an id with a fraction", NULL, Q("1.50", "ping", ""), R("1.50", "")},
    {"an id beyond 64 bits", NULL, Q("123456789012345678901", "ping", ""),
     R("123456789012345678901", "")},
    {"members in any order", NULL,
     " {\"params\":{},\"method\":\"ping\",\"id\":1,\"jsonrpc\":\"2.0\"} ", R("1", "")},
    {"members that nobody knows", NULL, Q("1", "ping", ",\"extra\":[{}]"), R("1", "")},
    {"names in escapes", NULL, "{\"jsonr\\u0070c\":\"2.0\",\"id\":1,\"method\":\"p\\u0069ng\"}",
     R("1", "")},

    {"not JSON", NULL, "{\"jsonrpc\":", E("null", "-32700", "not JSON: a value is missing")},
    {"a number", NULL, "1", E("null", "-32600", "a message is an object")},
    {"no jsonrpc", NULL, "{\"id\":1,\"method\":\"ping\"}",
     E("1", "-32600", "jsonrpc is not \\\"2.0\\\"")},
    {"another jsonrpc", NULL, "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"ping\"}",
     E("1", "-32600", "jsonrpc is not \\\"2.0\\\"")},
    {"no method", NULL, "{\"jsonrpc\":\"2.0\",\"id\":1}",
     E("1", "-32600", "method is not a string")},
    {"a method that is a number", NULL, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":1}",
     E("1", "-32600", "method is not a string")},
    {"an id that is null", NULL, Q("null", "ping", ""),
     E("null", "-32600", "id is neither a short string nor a number")},
    {"an id that is an object", NULL, Q("{}", "ping", ""),
     E("null", "-32600", "id is neither a short string nor a number")},
    {"a method twice", NULL, Q("1", "ping", ",\"method\":\"tools/list\""),
     E("null", "-32600", "a member stands twice in the message")},
    {"nothing at all", NULL, "{}", E("null", "-32600", "jsonrpc is not \\\"2.0\\\"")},
    {"an unknown method", NULL, Q("1", "tools/lis", ""), E("1", "-32601", "no such method")},
    {"a method of another capability", NULL, Q("1", "resources/list", ""),
     E("1", "-32601", "no such method")},
    {"a notification's name with an id", NULL, Q("1", "notifications/initialized", ""),
     E("1", "-32601", "no such method")},
    {"parameters in an array", NULL, Q("1", "ping", ",\"params\":[]"),
     E("1", "-32602", "params is not an object")},

    {"a notification", NULL, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", ""},
    {"an unknown notification", NULL, "{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":[]}", ""},
    {"a call as a notification", NULL,
     "{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":\"say\"}}", ""},
    {"an answer", NULL, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", ""},
    {"an answer that is an error", NULL, "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}", ""},

    {"the list", "2025-06-18", Q("1", "tools/list", ""), R("1", LIST_TEXT)},
    {"the list before initialize", NULL, Q("1", "tools/list", ",\"params\":{}"), R("1", LIST_TEXT)},
    {"a second page", NULL, Q("1", "tools/list", ",\"params\":{\"cursor\":\"2\"}"),
     E("1", "-32602", "no such cursor: all tools are on one page")},

    {"a call", "2025-11-25",
     CALL("1", "say", "{\"text\":\"h\\u00e9\\n\",\"times\":3,\"loud\":true}"),
     SAID("1", "h\xc3\xa9\\n 3!")},
    {"a call without what is optional", NULL, CALL("1", "say", "{\"text\":\"x\"}"),
     SAID("1", "x 1")},
    {"a zero in a text", NULL, CALL("1", "say", "{\"text\":\"a\\u0000b\"}"),
     SAID("1", "a\\u0000b 1")},
    {"a call without arguments", NULL, Q("1", "tools/call", ",\"params\":{\"name\":\"fail\"}"),
     FAILED("1", "no \\\"luck\\\"")},
    {"an unknown tool", NULL, CALL("1", "sa", "{}"),
     FAILED("1", "there is no such tool; tools/list says which there are")},
    {"a call without a name", NULL, Q("1", "tools/call", ",\"params\":{}"),
     E("1", "-32602", "tools/call wants the name of a tool, a string")},
    {"a call without parameters", NULL, Q("1", "tools/call", ""),
     E("1", "-32602", "tools/call wants the name of a tool, a string")},
    {"a tool's name twice", NULL,
     Q("1", "tools/call", ",\"params\":{\"name\":\"say\",\"n\\u0061me\":\"fail\"}"),
     E("1", "-32602", "a parameter stands twice")},
    {"arguments in an array", NULL, CALL("1", "say", "[]"),
     E("1", "-32602", "tools/call wants an object as its arguments")},
    {"wrong arguments", "2025-11-25", CALL("1", "say", "{\"text\":1}"),
     FAILED("1", "argument \\\"text\\\" must be of type \\\"string\\\"")},
    {"wrong arguments, 2025-06-18", "2025-06-18", CALL("1", "say", "{\"text\":1}"),
     E("1", "-32602", "argument \\\"text\\\" must be of type \\\"string\\\"")},
    {"wrong arguments, 2024-11-05", "2024-11-05", CALL("1", "say", "{}"),
     E("1", "-32602", "the arguments lack the member \\\"text\\\"")},
    {"an answer that is too long", NULL, CALL("1", "flood", "{}"),
     E("1", "-32603", "the answer is longer than a message may be, or than the memory is")},

    {"a call that wants too much memory", NULL, CALL("1", "hoard", "{}"),
     FAILED("1", "the server's memory is too small for this call")},

    {"a batch", "2025-03-26",
     "[" Q("1", "ping", "") ",{\"jsonrpc\":\"2.0\",\"method\":\"n\"}," CALL(
         "2", "say", "{\"text\":\"x\"}") ",5]",
     "[" R("1", "") "," SAID("2", "x 1") "," E("null", "-32600", "a message is an object") "]"},
    {"a batch that begins with a notification", "2025-03-26",
     "[{\"jsonrpc\":\"2.0\",\"method\":\"n\"}," Q("1", "ping", "") "]", "[" R("1", "") "]"},
    {"a batch of notifications", "2025-03-26", "[{\"jsonrpc\":\"2.0\",\"method\":\"n\"}]", ""},
    {"an empty batch", "2025-03-26", "[]", E("null", "-32600", "an array of no messages")},
    {"a batch in a batch", "2025-03-26", "[[]]",
     "[" E("null", "-32600", "a message is an object") "]"},
    {"a batch, 2025-06-18", "2025-06-18", "[" Q("1", "ping", "") "]",
     E("null", "-32600", "an array of messages is known to protocol version 2025-03-26 only")},
    {"a batch, 2024-11-05", "2024-11-05", "[" Q("1", "ping", "") "]",
     E("null", "-32600", "an array of messages is known to protocol version 2025-03-26 only")},
    {"a batch before initialize", NULL, "[" Q("1", "ping", "") "]",
     E("null", "-32600", "an array of messages is known to protocol version 2025-03-26 only")},

    {"stateless: discover", NULL,
     Q("1", "server/discover", ",\"params\":{" META("\"2026-07-28\"") "}"),
     R("1", "\"resultType\":\"complete\",\"supportedVersions\":" VERSIONS
            ",\"capabilities\":{\"tools\":{}}," HINTS
            ",\"serverInfo\":{\"name\":\"test\",\"version\":\"9\"},\"_meta\":"
            "{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"test\",\"version\":\"9\"}}")},
    {"stateless: the list", NULL, Q("1", "tools/list", ",\"params\":{" META("\"2026-07-28\"") "}"),
     R("1", "\"resultType\":\"complete\"," LIST_TEXT "," HINTS)},
    {"stateless: a call", NULL,
     Q("1", "tools/call",
       ",\"params\":{\"name\":\"say\",\"arguments\":{\"text\":\"x\"}," META("\"2026-07-28\"") "}"),
     R("1", "\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":\"x 1\"}],"
            "\"isError\":false")},
    {"stateless: ping", NULL, Q("1", "ping", ",\"params\":{" META("\"2026-07-28\"") "}"),
     R("1", "\"resultType\":\"complete\"")},
    {"stateless: an unknown version", NULL,
     Q("1", "tools/list", ",\"params\":{" META("\"2099-01-01\"") "}"),
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32022,\"message\":\"unsupported protocol "
     "version\",\"data\":{\"supported\":" VERSIONS ",\"requested\":\"2099-01-01\"}}}"},
    {"stateless: a version that is a number", NULL,
     Q("1", "tools/list", ",\"params\":{" META("1") "}"),
     E("1", "-32602", "io.modelcontextprotocol/protocolVersion is not a string")},
    {"stateless: no capabilities", NULL,
     Q("1", "tools/list",
       ",\"params\":{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}"),
     E("1", "-32602", "_meta lacks io.modelcontextprotocol/clientCapabilities, an object")},
    {"an older version in _meta", NULL, Q("1", "ping", ",\"params\":{" META("\"2025-06-18\"") "}"),
     R("1", "")},
    {"_meta without a version", NULL,
     Q("1", "ping", ",\"params\":{\"_meta\":{\"progressToken\":1}}"), R("1", "")},
    {"_meta that is no object", NULL, Q("1", "ping", ",\"params\":{\"_meta\":3}"), R("1", "")},
};

static void test_row(void **state)
{
    const struct row *row = *state;
    char first[MCP_OUT_FIRST];
    struct mcp_session session = {0};
    struct json_out out;

    if (row->version) {
        char hello[128];

        snprintf(hello, sizeof(hello), HELLO("\"%s\""), row->version);
        out = json_out_init(first, sizeof(first), MCP_MESSAGE_MAX);
        ask(&session, hello, strlen(hello), &out);
        assert_non_null(strstr(out.bytes, row->version));
        json_out_free(&out);
    }
    out = json_out_init(first, sizeof(first), MCP_MESSAGE_MAX);
    ask(&session, row->question, strlen(row->question), &out);
    assert_string_equal(out.bytes, row->answer);
    json_out_free(&out);
}

/* The longest id that is taken, and one more. */
static void test_long_id(void **state)
{
    (void)state;
    for (unsigned length = 254; length <= 255; length++) {
        char id[256] = {0}, text[512], first[MCP_OUT_FIRST];
        struct json_out out = json_out_init(first, sizeof(first), MCP_MESSAGE_MAX);
        struct mcp_session session = {0};

        memset(id, 'i', length);
        snprintf(text, sizeof(text), Q("\"%s\"", "ping", ""), id);
        ask(&session, text, strlen(text), &out);
        assert_int_equal(strstr(out.bytes, "\"result\"") != NULL, length == 254);
        assert_int_equal(strstr(out.bytes, "\"id\":null") != NULL, length == 255);
        json_out_free(&out);
    }
}

/* Answers of a batch that are too long together: one error, and no half of an answer. */
static void test_long_batch(void **state)
{
    struct mcp_session session = {0};
    char first[MCP_OUT_FIRST], text[8192] = "[";
    struct json_out out = json_out_init(first, sizeof(first), MCP_MESSAGE_MAX);

    (void)state;
    ask(&session, HELLO("\"2025-03-26\""), strlen(HELLO("\"2025-03-26\"")), &out);
    json_out_free(&out);
    for (unsigned i = 0; i < 100; i++)
        strcat(text, i ? "," Q("1", "ping", "") : Q("1", "ping", ""));
    strcat(text, "]");
    out = json_out_init(first, sizeof(first), 3000);
    ask(&session, text, strlen(text), &out);
    assert_string_equal(out.bytes,
                        E("null", "-32603", "the answers are longer than a message may be"));
    json_out_free(&out);
}

static void test_check(void **state)
{
    struct mcp_tool pair[2] = {tools[0], tools[1]};
    struct mcp_server other = {.name = "x", .version = "1", .tools = pair, .tool_count = 2};
    const char *tool;

    (void)state;
    assert_null(mcp_server_check(&server, &tool));
    assert_null(mcp_server_check(&other, &tool));
    pair[1].name = "say";
    assert_string_equal(mcp_server_check(&other, &tool), "two tools have this name");
    pair[1].name = "fail";
    pair[1].schema = "{\"type\":\"object\"";
    assert_non_null(mcp_server_check(&other, &tool));
    assert_string_equal(tool, "fail");
    pair[1].schema = "{\"type\":\"object\",\n\"properties\":{}}";
    assert_string_equal(mcp_server_check(&other, &tool), "a schema stands on one line");
    pair[1].schema = "{\"type\":\"string\"}";
    assert_string_equal(mcp_server_check(&other, &tool), "the arguments are an object");
    pair[1].schema = NONE;
    pair[1].call = NULL;
    assert_string_equal(mcp_server_check(&other, &tool), "a tool wants a function");
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, test_row);
    unit_add(&unit, "an id as long as allowed", test_long_id, NULL);
    unit_add(&unit, "a batch whose answers are too long", test_long_batch, NULL);
    unit_add(&unit, "what an image says of its tools", test_check, NULL);
    return unit_run(&unit, "mcp_server");
}
