/* MCP: the messages. */
#include "call.h"
#include "schema.h"
#include "sdk/console.h"
#include "sdk/mcp.h"
#include "sdk/string.h"

#define WHY_SIZE 256
#define ID_MAX   256 /* bytes of an id that is given back */

/* What of the protocol changed between its versions, as far as it is seen here. */
struct mcp_version {
    const char *name;
    bool stateless;         /* no initialize: each request names its version */
    bool batches;           /* several messages in an array */
    bool refuses_arguments; /* wrong arguments are an error of the protocol, not of the tool */
};

/* The newest first. The revisions' changelogs: batches came with 2025-03-26 and went with
 * 2025-06-18; since 2025-11-25 (SEP-1303) a tool's result tells of wrong arguments. */
static const struct mcp_version versions[] = {
    {.name = "2026-07-28", .stateless = true},
    {.name = "2025-11-25"},
    {.name = "2025-06-18", .refuses_arguments = true},
    {.name = "2025-03-26", .refuses_arguments = true, .batches = true},
    {.name = "2024-11-05", .refuses_arguments = true},
};

#define VERSION_COUNT (sizeof(versions) / sizeof(versions[0]))

/* For a client that asks for one that is not known, or that says nothing. */
static const struct mcp_version *const version_otherwise = &versions[1];

#define META_PREFIX       "io.modelcontextprotocol/"
#define META_VERSION      META_PREFIX "protocolVersion"
#define META_CAPABILITIES META_PREFIX "clientCapabilities"

/* How long a client may keep what it was told: nothing of it changes while the server runs. */
#define CACHE_HINTS "\"ttlMs\":3600000,\"cacheScope\":\"public\""

struct request {
    const struct mcp_server *server;
    struct mcp_session *session;
    const struct mcp_version *version;
    struct json id, params;
    bool has_id, has_params;
    struct json_out *out;
    size_t answer_at; /* where its answer begins in `out` */
};

/* --- writing --------------------------------------------------------------------------------- */

static void begin_error(struct json_out *out, const struct json *id, int code, const char *message)
{
    json_out_words(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    if (id)
        json_out_value(out, *id);
    else
        json_out_words(out, "null");
    json_out_words(out, ",\"error\":{\"code\":");
    json_out_integer(out, code);
    json_out_words(out, ",\"message\":");
    json_out_string(out, message);
}

void mcp_write_error(struct json_out *out, int code, const char *message)
{
    begin_error(out, NULL, code, message);
    json_out_words(out, "}}");
}

/* An error in place of what was written as the answer. */
static void fail(struct request *r, int code, const char *message)
{
    json_out_cut(r->out, r->answer_at);
    begin_error(r->out, &r->id, code, message);
    json_out_words(r->out, "}}");
}

static void begin_result(struct request *r)
{
    json_out_words(r->out, "{\"jsonrpc\":\"2.0\",\"id\":");
    json_out_value(r->out, r->id);
    json_out_words(r->out, ",\"result\":{");
    if (r->version->stateless)
        json_out_words(r->out, "\"resultType\":\"complete\",");
}

static void end_result(struct request *r)
{
    json_out_words(r->out, "}}");
}

static void write_member(struct json_out *out, const char *name, const char *text)
{
    json_out_string(out, name);
    json_out_words(out, ":");
    json_out_string(out, text);
}

static void write_server_info(const struct request *r)
{
    json_out_words(r->out, "{");
    write_member(r->out, "name", r->server->name);
    json_out_words(r->out, ",");
    write_member(r->out, "version", r->server->version);
    json_out_words(r->out, "}");
}

static void write_about(const struct request *r)
{
    json_out_words(r->out, ",\"capabilities\":{\"tools\":{}}");
    if (r->server->instructions) {
        json_out_words(r->out, ",");
        write_member(r->out, "instructions", r->server->instructions);
    }
}

static void write_versions(struct json_out *out)
{
    json_out_words(out, "[");
    for (size_t i = 0; i < VERSION_COUNT; i++) {
        json_out_words(out, i ? "," : "");
        json_out_string(out, versions[i].name);
    }
    json_out_words(out, "]");
}

/* --- methods --------------------------------------------------------------------------------- */

static const struct mcp_version *find_version(struct json name)
{
    for (size_t i = 0; i < VERSION_COUNT; i++)
        if (json_text_is(name, versions[i].name))
            return &versions[i];
    return NULL;
}

static void handle_initialize(struct request *r)
{
    const struct mcp_version *version;
    struct json name;

    if (!r->has_params || !json_member(r->params, "protocolVersion", &name) ||
        !json_is(name, JSON_STRING)) {
        fail(r, MCP_INVALID_PARAMS, "initialize wants a protocolVersion, a string");
        return;
    }
    version = find_version(name);
    if (!version || version->stateless)
        version = version_otherwise;
    r->session->version = r->version = version;
    begin_result(r);
    write_member(r->out, "protocolVersion", version->name);
    write_about(r);
    json_out_words(r->out, ",\"serverInfo\":");
    write_server_info(r);
    end_result(r);
}

static void handle_discover(struct request *r)
{
    r->version = &versions[0]; /* only stateless clients know the method */
    begin_result(r);
    json_out_words(r->out, "\"supportedVersions\":");
    write_versions(r->out);
    write_about(r);
    json_out_words(r->out, "," CACHE_HINTS ",\"serverInfo\":");
    write_server_info(r);
    json_out_words(r->out, ",\"_meta\":{\"" META_PREFIX "serverInfo\":");
    write_server_info(r);
    json_out_words(r->out, "}");
    end_result(r);
}

static void handle_ping(struct request *r)
{
    json_out_words(r->out, "{\"jsonrpc\":\"2.0\",\"id\":");
    json_out_value(r->out, r->id);
    json_out_words(r->out, r->version->stateless ? ",\"result\":{\"resultType\":\"complete\"}}"
                                                 : ",\"result\":{}}");
}

static void handle_list(struct request *r)
{
    struct json cursor;

    if (r->has_params && json_member(r->params, "cursor", &cursor)) {
        fail(r, MCP_INVALID_PARAMS, "no such cursor: all tools are on one page");
        return;
    }
    begin_result(r);
    json_out_words(r->out, "\"tools\":[");
    for (unsigned i = 0; i < r->server->tool_count; i++) {
        const struct mcp_tool *tool = &r->server->tools[i];

        json_out_words(r->out, i ? ",{" : "{");
        write_member(r->out, "name", tool->name);
        json_out_words(r->out, ",");
        write_member(r->out, "description", tool->description);
        json_out_words(r->out, ",\"inputSchema\":");
        json_out_words(r->out, tool->schema);
        json_out_words(r->out, "}");
    }
    json_out_words(r->out, r->version->stateless ? "]," CACHE_HINTS : "]");
    end_result(r);
}

/* Write a tool's result up to its text, and behind it. */
static void begin_text(struct request *r)
{
    begin_result(r);
    json_out_words(r->out, "\"content\":[{\"type\":\"text\",\"text\":\"");
}

static void end_text(struct request *r, bool failed)
{
    json_out_words(r->out, failed ? "\"}],\"isError\":true" : "\"}],\"isError\":false");
    end_result(r);
}

static void call_tool(struct request *r, const struct mcp_tool *tool, struct json arguments)
{
    struct mcp_call call = {.arguments = arguments, .out = r->out};
    struct json schema;
    char why[WHY_SIZE];
    bool allowed;

    if (json_parse(tool->schema, strlen(tool->schema), &schema)) {
        fail(r, MCP_INTERNAL_ERROR, "the tool's schema cannot be read");
        return;
    }
    allowed = schema_allows(schema, arguments, why, sizeof(why));
    if (!allowed && r->version->refuses_arguments) {
        fail(r, MCP_INVALID_PARAMS, why);
        return;
    }
    begin_text(r);
    call.text_at = r->out->length;
    if (allowed)
        tool->call(&call);
    else
        mcp_fail(&call, "%s", why);
    mcp_call_end(&call);
    end_text(r, call.failed);
}

static void handle_call(struct request *r)
{
    static const char none[] = "{}";
    struct json name, arguments;

    if (!r->has_params || !json_member(r->params, "name", &name) || !json_is(name, JSON_STRING)) {
        fail(r, MCP_INVALID_PARAMS, "tools/call wants the name of a tool, a string");
        return;
    }
    if (!json_member(r->params, "arguments", &arguments))
        arguments = (struct json){none, none + 2};
    if (!json_is(arguments, JSON_OBJECT)) {
        fail(r, MCP_INVALID_PARAMS, "tools/call wants an object as its arguments");
        return;
    }
    for (unsigned i = 0; i < r->server->tool_count; i++)
        if (json_text_is(name, r->server->tools[i].name)) {
            call_tool(r, &r->server->tools[i], arguments);
            return;
        }
    begin_text(r);
    json_out_words(r->out, "there is no such tool; tools/list says which there are");
    end_text(r, true);
}

static const struct {
    const char *name;
    void (*handle)(struct request *request);
} methods[] = {
    {"initialize", handle_initialize},    {"ping", handle_ping},
    {"tools/list", handle_list},          {"tools/call", handle_call},
    {"server/discover", handle_discover},
};

#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

/* --- requests -------------------------------------------------------------------------------- */

/* 2026-07-28: a request names a version that the server does not have. */
static void refuse_version(struct request *r, struct json requested)
{
    begin_error(r->out, &r->id, MCP_NO_SUCH_VERSION, "unsupported protocol version");
    json_out_words(r->out, ",\"data\":{\"supported\":");
    write_versions(r->out);
    json_out_words(r->out, ",\"requested\":");
    if ((size_t)(requested.end - requested.at) <= ID_MAX)
        json_out_value(r->out, requested);
    else
        json_out_words(r->out, "\"\"");
    json_out_words(r->out, "}}}");
}

/* The version that a request is in: its own word, the session's, or the newest with a session.
 * Returns false where it is refused. */
static bool agree_on_version(struct request *r)
{
    struct json meta, name, capabilities;

    r->version = r->session->version ? r->session->version : version_otherwise;
    if (!r->has_params || !json_member(r->params, "_meta", &meta) ||
        !json_member(meta, META_VERSION, &name))
        return true;
    if (!json_is(name, JSON_STRING)) {
        fail(r, MCP_INVALID_PARAMS, META_VERSION " is not a string");
        return false;
    }
    r->version = find_version(name);
    if (!r->version) {
        r->version = version_otherwise;
        refuse_version(r, name);
        return false;
    }
    if (r->version->stateless && (!json_member(meta, META_CAPABILITIES, &capabilities) ||
                                  !json_is(capabilities, JSON_OBJECT))) {
        fail(r, MCP_INVALID_PARAMS, "_meta lacks " META_CAPABILITIES ", an object");
        return false;
    }
    return true;
}

/* Whether a parameter stands twice: which one counts would be anybody's guess, and a policy before
 * this server might guess otherwise. */
static bool repeated(struct json params)
{
    static const char *const names[] = {"name", "arguments", "cursor", "protocolVersion", "_meta"};
    unsigned seen[sizeof(names) / sizeof(names[0])] = {0};
    struct json_walk walk = json_walk(params);

    while (json_walk_next(&walk))
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (json_text_is(walk.name, names[i]) && seen[i]++ > 0)
                return true;
    return false;
}

static void handle_request(struct request *r, struct json method)
{
    if (r->has_params && !json_is(r->params, JSON_OBJECT)) {
        fail(r, MCP_INVALID_PARAMS, "params is not an object");
        return;
    }
    if (r->has_params && repeated(r->params)) {
        fail(r, MCP_INVALID_PARAMS, "a parameter stands twice");
        return;
    }
    if (!agree_on_version(r))
        return;
    for (size_t i = 0; i < METHOD_COUNT; i++)
        if (json_text_is(method, methods[i].name)) {
            methods[i].handle(r);
            if (r->out->failed)
                fail(r, MCP_INTERNAL_ERROR,
                     "the answer is longer than a message may be, or than the memory is");
            return;
        }
    fail(r, MCP_METHOD_NOT_FOUND, "no such method");
}

/* --- messages -------------------------------------------------------------------------------- */

/* The members of a message that JSON-RPC knows. */
struct members {
    struct json version, id, method, params;
    bool has_version, has_id, has_method, has_params, is_answer, twice;
};

static struct members read_members(struct json message)
{
    struct json_walk walk = json_walk(message);
    struct members m = {0};

    while (json_walk_next(&walk)) {
        struct json *value = NULL;
        bool *has = NULL;

        if (json_text_is(walk.name, "jsonrpc")) {
            value = &m.version;
            has = &m.has_version;
        } else if (json_text_is(walk.name, "id")) {
            value = &m.id;
            has = &m.has_id;
        } else if (json_text_is(walk.name, "method")) {
            value = &m.method;
            has = &m.has_method;
        } else if (json_text_is(walk.name, "params")) {
            value = &m.params;
            has = &m.has_params;
        } else if (json_text_is(walk.name, "result") || json_text_is(walk.name, "error")) {
            m.is_answer = true;
        }
        if (!value)
            continue;
        m.twice = m.twice || *has;
        *has = true;
        *value = walk.value;
    }
    return m;
}

static bool good_id(struct json id)
{
    return (json_is(id, JSON_STRING) || json_is(id, JSON_NUMBER)) &&
           (size_t)(id.end - id.at) <= ID_MAX;
}

/* What is wrong with a message as such, or NULL. */
static const char *check_members(const struct members *m)
{
    if (m->twice)
        return "a member stands twice in the message";
    if (!m->has_version || !json_text_is(m->version, "2.0"))
        return "jsonrpc is not \"2.0\"";
    if (m->has_id && !good_id(m->id))
        return "id is neither a short string nor a number";
    if (!m->has_method || !json_is(m->method, JSON_STRING))
        return "method is not a string";
    return NULL;
}

static void handle_message(const struct mcp_server *server, struct mcp_session *session,
                           struct json message, struct json_out *out)
{
    struct request r = {.server = server, .session = session, .out = out};
    struct members m;
    const char *wrong;

    if (!json_is(message, JSON_OBJECT)) {
        mcp_write_error(out, MCP_INVALID_REQUEST, "a message is an object");
        return;
    }
    m = read_members(message);
    /* This server asks nothing, so an answer is nobody's. */
    if (m.is_answer && !m.has_method)
        return;
    r.answer_at = out->length;
    wrong = check_members(&m);
    if (wrong) {
        if (m.has_id && !m.twice && good_id(m.id)) {
            r.id = m.id;
            fail(&r, MCP_INVALID_REQUEST, wrong);
        } else {
            mcp_write_error(out, MCP_INVALID_REQUEST, wrong);
        }
        return;
    }
    if (!m.has_id) /* a notification: none of them changes anything here, none is answered */
        return;
    r.id = m.id;
    r.has_id = true;
    r.params = m.params;
    r.has_params = m.has_params;
    handle_request(&r, m.method);
}

static void handle_batch(const struct mcp_server *server, struct mcp_session *session,
                         struct json batch, struct json_out *out)
{
    struct json_walk walk = json_walk(batch);
    size_t begin = out->length;
    bool any = false;

    if (!session->version || !session->version->batches) {
        mcp_write_error(out, MCP_INVALID_REQUEST,
                        "an array of messages is known to protocol version 2025-03-26 only");
        return;
    }
    json_out_words(out, "[");
    while (json_walk_next(&walk) && !out->failed) {
        size_t before;

        any = true;
        json_out_words(out, out->length > begin + 1 ? "," : "");
        before = out->length;
        handle_message(server, session, walk.value, out);
        if (!out->failed && out->length == before && before > begin + 1)
            json_out_cut(out, before - 1); /* no answer, no comma */
    }
    if (out->length > begin + 1) {
        json_out_words(out, "]");
        return;
    }
    json_out_cut(out, begin); /* notifications alone: no answer at all */
    if (!any)
        mcp_write_error(out, MCP_INVALID_REQUEST, "an array of no messages");
}

void mcp_handle(const struct mcp_server *server, struct mcp_session *session, const char *text,
                size_t length, struct json_out *out)
{
    size_t begin = out->length;
    struct json message;
    const char *wrong = json_parse(text, length, &message);

    if (wrong) {
        char words[WHY_SIZE];

        snprintf(words, sizeof(words), "not JSON: %s", wrong);
        mcp_write_error(out, MCP_PARSE_ERROR, words);
        return;
    }
    if (json_is(message, JSON_ARRAY))
        handle_batch(server, session, message, out);
    else
        handle_message(server, session, message, out);
    if (out->failed) {
        json_out_cut(out, begin);
        mcp_write_error(out, MCP_INTERNAL_ERROR, "the answers are longer than a message may be");
    }
}

const char *mcp_server_check(const struct mcp_server *server, const char **ret_tool)
{
    for (unsigned i = 0; i < server->tool_count; i++) {
        const struct mcp_tool *tool = &server->tools[i];
        struct json schema, type;
        const char *wrong = json_parse(tool->schema, strlen(tool->schema), &schema);

        *ret_tool = tool->name;
        if (!wrong)
            wrong = schema_check(schema);
        if (wrong)
            return wrong;
        if (strchr(tool->schema, '\n'))
            return "a schema stands on one line";
        if (!json_member(schema, "type", &type) || !json_text_is(type, "object"))
            return "the arguments are an object";
        if (!tool->call)
            return "a tool wants a function";
        for (unsigned j = 0; j < i; j++)
            if (strcmp(server->tools[j].name, tool->name) == 0)
                return "two tools have this name";
    }
    return NULL;
}
