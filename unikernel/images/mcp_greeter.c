/* An MCP server with one tool. */
#include "sdk/mcp.h"

static void greet(struct mcp_call *call)
{
    struct mcp_text name = mcp_argument_text(call, "name");
    int64_t times = mcp_argument_integer(call, "times", 1);

    if (name.length == 0)
        mcp_fail(call, "nobody to greet");
    for (int64_t i = 0; i < times; i++) {
        mcp_print(call, "Hello, ");
        mcp_write(call, name.bytes, name.length);
        mcp_print(call, "!\n");
    }
}

static const struct mcp_tool tools[] = {
    {
        .name = "greet",
        .description = "Greet somebody by name.",
        .schema = "{\"type\":\"object\",\"properties\":{"
                  "\"name\":{\"type\":\"string\",\"maxLength\":100},"
                  "\"times\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10}},"
                  "\"required\":[\"name\"],\"additionalProperties\":false}",
        .call = greet,
    },
};

int main(void)
{
    static const struct mcp_server server = {
        .name = "greeter", .version = "1.0", .tools = tools, .tool_count = 1};

    return mcp_serve(&server);
}
