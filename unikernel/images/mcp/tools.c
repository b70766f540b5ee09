/* What the server offers. A schema stands on one line when it is sent. */
#include "tools.h"

#define OBJECT(properties, required)                        \
    "{\"type\":\"object\",\"properties\":{" properties "}," \
    "\"required\":[" required "],\"additionalProperties\":false}"

#define SEARCHED_MAX "1048576" /* characters: a search of it takes well under a second */

static const struct mcp_tool tools[] = {
    {
        .name = "echo",
        .description = "Give a text back as it came.",
        .schema =
            OBJECT("\"message\":{\"type\":\"string\",\"description\":\"the text\"}", "\"message\""),
        .call = tool_echo,
    },
    {
        .name = "calculate",
        .description = "Compute an arithmetic expression exactly, in fractions of 64-bit integers: "
                       "+ - * / % ^ and parentheses. Says so where a number becomes too large.",
        .schema = OBJECT("\"expression\":{\"type\":\"string\",\"maxLength\":4096,"
                         "\"description\":\"for instance (1.5 + 2) * 3 ^ 2 / 7\"}",
                         "\"expression\""),
        .call = tool_calculate,
    },
    {
        .name = "hash",
        .description = "The SHA-256 of a text in UTF-8, in hexadecimal.",
        .schema = OBJECT("\"text\":{\"type\":\"string\"}", "\"text\""),
        .call = tool_hash,
    },
    {
        .name = "base64",
        .description = "Encode a text in base64, or decode base64 that holds UTF-8.",
        .schema = OBJECT("\"text\":{\"type\":\"string\"},"
                         "\"direction\":{\"type\":\"string\",\"enum\":[\"encode\",\"decode\"]}",
                         "\"text\",\"direction\""),
        .call = tool_base64,
    },
    {
        .name = "text_stats",
        .description = "Count the lines, words, characters and bytes of a text.",
        .schema = OBJECT("\"text\":{\"type\":\"string\"}", "\"text\""),
        .call = tool_text_stats,
    },
    {
        .name = "text_search",
        .description = "Find the lines of a text that contain certain words, with their numbers.",
        .schema = OBJECT("\"text\":{\"type\":\"string\",\"maxLength\":" SEARCHED_MAX "},"
                         "\"find\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":256},"
                         "\"ignore_case\":{\"type\":\"boolean\",\"description\":"
                         "\"of the letters a to z\",\"default\":false},"
                         "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000,"
                         "\"description\":\"lines at most\",\"default\":100}",
                         "\"text\",\"find\""),
        .call = tool_text_search,
    },
    {
        .name = "text_diff",
        .description = "How one text becomes another, line by line: a unified diff without "
                       "context. Nothing for equal texts.",
        .schema = OBJECT("\"old\":{\"type\":\"string\",\"maxLength\":" SEARCHED_MAX "},"
                         "\"new\":{\"type\":\"string\",\"maxLength\":" SEARCHED_MAX "}",
                         "\"old\",\"new\""),
        .call = tool_text_diff,
    },
    {
        .name = "json_query",
        .description = "Check that a text is JSON (RFC 8259) and give the value that a JSON "
                       "Pointer (RFC 6901) leads to.",
        .schema = OBJECT("\"json\":{\"type\":\"string\",\"description\":\"the JSON text\"},"
                         "\"pointer\":{\"type\":\"string\",\"maxLength\":4096,\"description\":"
                         "\"for instance /users/0/name; empty for the whole\",\"default\":\"\"}",
                         "\"json\""),
        .call = tool_json_query,
    },
    {
        .name = "time",
        .description = "The date and time now, or of a given number of seconds since 1970, in UTC.",
        .schema = OBJECT("\"unix\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":253402300799,"
                         "\"description\":\"seconds since 1970-01-01T00:00:00Z\"}",
                         ""),
        .call = tool_time,
    },
};

const struct mcp_server tools_server = {
    .name = "osvm-tools",
    .version = "1.0",
    .instructions = "Small tools that need no network and no files; each call stands alone.",
    .tools = tools,
    .tool_count = sizeof(tools) / sizeof(tools[0]),
};
