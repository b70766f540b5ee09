/* JSON Pointer, RFC 6901. */
#include "sdk/string.h"
#include "tools.h"

/* Take the next token off a pointer, with ~1 and ~0 resolved in place (section 4). */
static char *next_token(char **pointer)
{
    char *token = *pointer + 1, *from = token, *to = token;

    for (; *from && *from != '/'; from++, to++) {
        *to = *from;
        if (*from == '~' && (from[1] == '0' || from[1] == '1'))
            *to = *++from == '0' ? '~' : '/';
    }
    *pointer = from;
    if (to < from)
        memset(to, 0, (size_t)(from - to));
    return token;
}

/* Section 4: an index has no sign and no leading zero. */
static bool element(struct json array, const char *token, struct json *ret_value)
{
    struct json_walk walk = json_walk(array);
    char *end;
    unsigned long index = strtoul(token, &end, 10);

    if (token[0] < '0' || token[0] > '9' || *end || end - token > 9 ||
        (token[0] == '0' && token[1]))
        return false;
    for (unsigned long i = 0; json_walk_next(&walk); i++)
        if (i == index) {
            *ret_value = walk.value;
            return true;
        }
    return false;
}

static bool descend(struct json *value, const char *token)
{
    switch (json_type(*value)) {
    case JSON_OBJECT:
        return json_member(*value, token, value);
    case JSON_ARRAY:
        return element(*value, token, value);
    default:
        return false;
    }
}

void tool_json_query(struct mcp_call *call)
{
    struct mcp_text text = mcp_argument_text(call, "json");
    struct mcp_text argument = mcp_argument_text(call, "pointer");
    char *pointer = mcp_alloc(call, argument.length + 1), *rest = pointer;
    const char *wrong;
    struct json value;

    if (!pointer)
        return;
    memcpy(pointer, argument.bytes, argument.length + 1);
    wrong = json_parse(text.bytes, text.length, &value);
    if (wrong) {
        mcp_fail(call, "this is not JSON: %s", wrong);
        return;
    }
    if (*pointer && *pointer != '/') {
        mcp_fail(call, "a pointer begins with /");
        return;
    }
    while (*rest) {
        char next, *token = next_token(&rest);

        next = *rest;
        *rest = 0;
        if (!descend(&value, token)) {
            mcp_fail(call, "there is no \"%.200s\" where the pointer leads to", token);
            return;
        }
        *rest = next;
    }
    mcp_write(call, value.at, (size_t)(value.end - value.at));
}
