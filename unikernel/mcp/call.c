/* What a tool's function may do. */
#include "call.h"

#include "sdk/console.h"
#include "sdk/memory.h"
#include "sdk/string.h"

#define PRINT_SIZE 512

struct mcp_allocation {
    struct mcp_allocation *next;
    uint64_t unused; /* the caller's memory behind it is aligned to 16 */
};

void *mcp_alloc(struct mcp_call *call, size_t size)
{
    struct mcp_allocation *block = NULL;

    if (size <= SIZE_MAX - sizeof(*block))
        block = malloc(sizeof(*block) + size);
    if (!block) {
        mcp_fail(call, "the server's memory is too small for this call");
        return NULL;
    }
    block->next = call->allocations;
    call->allocations = block;
    return block + 1;
}

void mcp_call_end(struct mcp_call *call)
{
    while (call->allocations) {
        struct mcp_allocation *next = call->allocations->next;

        free(call->allocations);
        call->allocations = next;
    }
}

bool mcp_argument(const struct mcp_call *call, const char *name, struct json *ret_value)
{
    return json_member(call->arguments, name, ret_value);
}

struct mcp_text mcp_text_of(struct mcp_call *call, struct json string)
{
    struct mcp_text text = {.bytes = ""};
    char *buffer;

    if (!json_is(string, JSON_STRING))
        return text;
    buffer = mcp_alloc(call, json_text_room(string));
    if (buffer) {
        text.length = json_text(string, buffer);
        text.bytes = buffer;
    }
    return text;
}

struct mcp_text mcp_argument_text(struct mcp_call *call, const char *name)
{
    struct json value;

    if (!mcp_argument(call, name, &value))
        return (struct mcp_text){.bytes = ""};
    return mcp_text_of(call, value);
}

int64_t mcp_argument_integer(const struct mcp_call *call, const char *name, int64_t otherwise)
{
    struct json value;

    if (mcp_argument(call, name, &value))
        json_integer(value, &otherwise);
    return otherwise;
}

bool mcp_argument_flag(const struct mcp_call *call, const char *name, bool otherwise)
{
    struct json value;

    return mcp_argument(call, name, &value) ? json_is_true(value) : otherwise;
}

void mcp_write(struct mcp_call *call, const char *bytes, size_t length)
{
    if (!call->failed)
        json_out_part(call->out, bytes, length);
}

/* Format into at most PRINT_SIZE bytes. */
__attribute__((format(printf, 2, 0))) static void
write_formatted(struct mcp_call *call, const char *format, va_list arguments)
{
    char text[PRINT_SIZE];
    int length = vsnprintf(text, sizeof(text), format, arguments);

    if (length >= PRINT_SIZE)
        length = PRINT_SIZE - 1;
    if (length > 0)
        json_out_part(call->out, text, (size_t)length);
}

void mcp_print(struct mcp_call *call, const char *format, ...)
{
    va_list arguments;

    if (call->failed)
        return;
    va_start(arguments, format);
    write_formatted(call, format, arguments);
    va_end(arguments);
}

void mcp_write_json_text(struct mcp_call *call, struct json string)
{
    if (!call->failed && json_is(string, JSON_STRING))
        json_out_raw(call->out, string.at + 1, (size_t)(string.end - string.at) - 2);
}

void mcp_fail(struct mcp_call *call, const char *format, ...)
{
    va_list arguments;

    if (call->failed)
        return;
    call->failed = true;
    json_out_cut(call->out, call->text_at);
    va_start(arguments, format);
    write_formatted(call, format, arguments);
    va_end(arguments);
}
