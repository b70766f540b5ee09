/* The tools of the MCP image, through tools/call. */
#include "unit.h"

#include <stdio.h>

#include "tools.h"

int64_t clock_now(void)
{
    return 1767225599; /* the last second of 2025 */
}

struct row {
    const char *name, *tool, *arguments;
    const char *text; /* as JSON shows it; NULL: it fails */
    const char *says; /* what it then says */
};

#define CALC(e)          "{\"expression\":\"" e "\"}"
#define DIFF(o, n)       "{\"old\":\"" o "\",\"new\":\"" n "\"}"
#define QUERY(j, p)      "{\"json\":\"" j "\",\"pointer\":\"" p "\"}"
#define FIND(t, f, more) "{\"text\":\"" t "\",\"find\":\"" f "\"" more "}"
#define B64(t, d)        "{\"text\":\"" t "\",\"direction\":\"" d "\"}"
#define TEXT(t)          "{\"text\":\"" t "\"}"

static const struct row rows[] = {
    {"echo", "echo", "{\"message\":\"a\\u00e9\\n\"}", "a\\u00e9\\n", NULL},
    {"echo nothing", "echo", "{\"message\":\"\"}", "", NULL},

    {"a number", "calculate", CALC("7"), "7", NULL},
    {"precedence", "calculate", CALC("1+2*3-4/2"), "5", NULL},
    {"parentheses", "calculate", CALC(" ( 1 + 2 ) * 3 "), "9", NULL},
    {"from left to right", "calculate", CALC("8/4/2-1-1"), "-1", NULL},
    {"powers from right to left", "calculate", CALC("2^3^2"), "512", NULL},
    {"a sign before a power", "calculate", CALC("-2^2"), "-4", NULL},
    {"a negative exponent", "calculate", CALC("2^-2"), "0.25", NULL},
    {"signs", "calculate", CALC("--3 - +-2"), "5", NULL},
    {"decimals are exact", "calculate", CALC("0.1+0.2"), "0.3", NULL},
    {"a fraction", "calculate", CALC("1/3"), "1/3, about 0.333333333333", NULL},
    {"a negative fraction", "calculate", CALC("-22/7"), "-22/7, about -3.142857142857", NULL},
    {"a division by a negative", "calculate", CALC("3/-4"), "-0.75", NULL},
    {"a remainder", "calculate", CALC("-7 % 3"), "-1", NULL},
    {"the largest", "calculate", CALC("9223372036854775806+1"), "9223372036854775807", NULL},
    {"too large a number", "calculate", CALC("9223372036854775808"), NULL, "too large"},
    {"too large a sum", "calculate", CALC("9223372036854775807+1"), NULL, "too large"},
    {"too small a sum", "calculate", CALC("-9223372036854775807-1"), NULL, "too large"},
    {"too large a product", "calculate", CALC("3037000500*3037000500"), NULL, "too large"},
    {"too large a power", "calculate", CALC("10^19"), NULL, "too large"},
    {"too large an exponent", "calculate", CALC("1^1025"), NULL, "a whole number from"},
    {"a fraction as the exponent", "calculate", CALC("4^0.5"), NULL, "a whole number from"},
    {"a division by zero", "calculate", CALC("1/(2-2)"), NULL, "a division by zero"},
    {"zero to a negative power", "calculate", CALC("0^-1"), NULL, "a division by zero"},
    {"a remainder by zero", "calculate", CALC("1%0"), NULL, "a division by zero"},
    {"a remainder of fractions", "calculate", CALC("1.5%1"), NULL, "whole numbers"},
    {"an empty expression", "calculate", CALC(""), NULL, "a number or ( is missing, at byte 1"},
    {"an operator at the end", "calculate", CALC("1+"), NULL, "at byte 3"},
    {"two numbers", "calculate", CALC("1 2"), NULL, "an operator is missing"},
    {"a ) too few", "calculate", CALC("(1"), NULL, "a ) is missing"},
    {"a ) too many", "calculate", CALC("1)"), NULL, "an operator is missing"},
    {"two points", "calculate", CALC("1.2.3"), NULL, "an operator is missing"},
    {"a point alone", "calculate", CALC("."), NULL, "is missing"},
    {"a zero byte", "calculate", CALC("1\\u0000+1"), NULL, "a zero byte"},
    {"words", "calculate", CALC("system(1)"), NULL, "is missing"},
    {"too deep", "calculate",
     CALC("((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1"), NULL, "too deep"},

    /* FIPS 180-4's examples, and the lengths at which the padding changes. */
    {"SHA-256 of abc", "hash", TEXT("abc"),
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", NULL},
    {"SHA-256 of nothing", "hash", TEXT(""),
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", NULL},
    {"SHA-256 of 55 bytes", "hash", TEXT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
     "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318", NULL},
    {"SHA-256 of 56 bytes", "hash",
     TEXT("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", NULL},
    {"SHA-256 of 64 bytes", "hash",
     TEXT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
     "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb", NULL},

    /* RFC 4648, section 10. */
    {"base64 of f", "base64", B64("f", "encode"), "Zg==", NULL},
    {"base64 of fo", "base64", B64("fo", "encode"), "Zm8=", NULL},
    {"base64 of foo", "base64", B64("foo", "encode"), "Zm9v", NULL},
    {"base64 of nothing", "base64", B64("", "encode"), "", NULL},
    {"base64 back", "base64", B64("Zm9vYg==", "decode"), "foob", NULL},
    {"base64 back to UTF-8", "base64", B64("w6k=", "decode"), "\xc3\xa9", NULL},
    {"base64 of no UTF-8", "base64", B64("/w==", "decode"), NULL, "no UTF-8: see byte 1"},
    {"base64 of a wrong length", "base64", B64("Zg=", "decode"), NULL, "no multiple of 4"},
    {"base64 with a wrong letter", "base64", B64("Zm9vZ*==", "decode"), NULL, "see byte 5"},
    {"base64 with padding inside", "base64", B64("Zg==Zg==", "decode"), NULL, "see byte 1"},
    {"base64 with padding first", "base64", B64("====", "decode"), NULL, "see byte 1"},
    {"base64 with a gap", "base64", B64("Z=g=", "decode"), NULL, "see byte 1"},
    {"base64 with a zero byte", "base64", B64("Zm9\\u0000", "decode"), NULL, "see byte 1"},
    {"another direction", "base64", B64("", "sideways"), NULL, "must be one of"},

    {"stats", "text_stats", TEXT("one two\\n\\n thr\\u00e9e \\n"),
     "3 lines, 3 words, 17 characters, 18 bytes", NULL},
    {"stats without a last newline", "text_stats", TEXT("a\\nb"),
     "2 lines, 2 words, 3 characters, 3 bytes", NULL},
    {"stats of nothing", "text_stats", TEXT(""), "0 lines, 0 words, 0 characters, 0 bytes", NULL},

    {"search", "text_search", FIND("ab\\ncb\\nB", "b", ""), "1: ab\\n2: cb\\n", NULL},
    {"search without case", "text_search", FIND("ab\\nB", "B", ",\"ignore_case\":true"),
     "1: ab\\n2: B\\n", NULL},
    {"search for a beginning twice", "text_search", FIND("aaab", "aab", ""), "1: aaab\\n", NULL},
    {"search for more than a line", "text_search", FIND("a\\nb", "a\\nb", ""),
     "no line contains it", NULL},
    {"search with a limit", "text_search", FIND("a\\na\\na", "a", ",\"limit\":1"),
     "1: a\\n\xe2\x80\xa6 and 2 lines more\\n", NULL},
    {"search for nothing", "text_search", FIND("a", "", ""), NULL, "fewer characters than 1"},

    {"equal texts", "text_diff", DIFF("a\\nb", "a\\nb"), "", NULL},
    {"a line changed", "text_diff", DIFF("a\\nb\\nc", "a\\nx\\nc"), "@@ -2,1 +2,1 @@\\n-b\\n+x\\n",
     NULL},
    {"a line added first", "text_diff", DIFF("b", "a\\nb"), "@@ -0,0 +1,1 @@\\n+a\\n", NULL},
    {"a line added last", "text_diff", DIFF("a", "a\\nb"), "@@ -1,0 +2,1 @@\\n+b\\n", NULL},
    {"a line removed", "text_diff", DIFF("a\\nb\\nc", "a\\nc"), "@@ -2,1 +1,0 @@\\n-b\\n", NULL},
    {"all removed", "text_diff", DIFF("a\\nb", ""), "@@ -1,2 +0,0 @@\\n-a\\n-b\\n", NULL},
    {"two changes", "text_diff", DIFF("a\\nb\\nc\\nd", "x\\nb\\nc\\ny"),
     "@@ -1,1 +1,1 @@\\n-a\\n+x\\n@@ -4,1 +4,1 @@\\n-d\\n+y\\n", NULL},

    {"the whole", "json_query", "{\"json\":\" [1, 2] \"}", "[1, 2]", NULL},
    {"a member", "json_query", QUERY("{\\\"a\\\":{\\\"b\\\":5}}", "/a/b"), "5", NULL},
    {"an element", "json_query", QUERY("[1,[2,3]]", "/1/0"), "2", NULL},
    {"an empty name", "json_query", QUERY("{\\\"\\\":1}", "/"), "1", NULL},
    {"a slash and a tilde", "json_query", QUERY("{\\\"a/~b\\\":{\\\"c\\\":1}}", "/a~1~0b/c"), "1",
     NULL},
    {"~01 is ~1", "json_query", QUERY("{\\\"~1\\\":1}", "/~01"), "1", NULL},
    {"a string", "json_query", QUERY("[\\\"x\\\"]", "/0"), "\\\"x\\\"", NULL},
    {"no such member", "json_query", QUERY("{\\\"a\\\":1}", "/b"), NULL, "there is no \\\"b\\\""},
    {"no such element", "json_query", QUERY("[1]", "/1"), NULL, "there is no"},
    {"an index with a zero before it", "json_query", QUERY("[1,2]", "/01"), NULL, "there is no"},
    {"an index that is huge", "json_query", QUERY("[1]", "/18446744073709551616"), NULL, "no"},
    {"an index with a sign", "json_query", QUERY("[1]", "/-0"), NULL, "there is no"},
    {"into a number", "json_query", QUERY("1", "/0"), NULL, "there is no"},
    {"a pointer without a slash", "json_query", QUERY("{}", "a"), NULL, "begins with /"},
    {"no JSON", "json_query", "{\"json\":\"{\"}", NULL, "this is not JSON"},

    {"now", "time", "{}", "Wednesday 2025-12-31T23:59:59Z, 1767225599 seconds since 1970", NULL},
    {"the beginning", "time", "{\"unix\":0}", "Thursday 1970-01-01T00:00:00Z, 0 seconds since 1970",
     NULL},
    {"a leap day", "time", "{\"unix\":951782400}",
     "Tuesday 2000-02-29T00:00:00Z, 951782400 seconds since 1970", NULL},
    {"no leap day in 2100", "time", "{\"unix\":4107542400}",
     "Monday 2100-03-01T00:00:00Z, 4107542400 seconds since 1970", NULL},
    {"the last", "time", "{\"unix\":253402300799}",
     "Friday 9999-12-31T23:59:59Z, 253402300799 seconds since 1970", NULL},
    {"before 1970", "time", "{\"unix\":-1}", NULL, "at least 0"},
};

static void test_row(void **state)
{
    const struct row *row = *state;
    char first[MCP_OUT_FIRST], question[2048], wanted[1024];
    struct json_out out = json_out_init(first, sizeof(first), MCP_MESSAGE_MAX);
    struct mcp_session session = {0};

    snprintf(question, sizeof(question),
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":"
             "{\"name\":\"%s\",\"arguments\":%s}}",
             row->tool, row->arguments);
    mcp_handle(&tools_server, &session, question, strlen(question), &out);
    json_out_raw(&out, "\0", 1);
    snprintf(wanted, sizeof(wanted),
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\",\"text\":"
             "\"%s\"}],\"isError\":false}}",
             row->text ? row->text : "");
    if (row->text)
        assert_string_equal(out.bytes, wanted);
    else if (!strstr(out.bytes, "\"isError\":true") || !strstr(out.bytes, row->says))
        fail_msg("%s does not say '%s'", out.bytes, row->says);
    json_out_free(&out);
}

/* What is too much for the table of the diff is refused, not computed. */
static void test_large_diff(void **state)
{
    char first[MCP_OUT_FIRST], *question = malloc(20000);
    struct json_out out = json_out_init(first, sizeof(first), MCP_MESSAGE_MAX);
    struct mcp_session session = {0};
    size_t length;

    (void)state;
    length =
        (size_t)sprintf(question, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
                                  "\"params\":{\"name\":\"text_diff\",\"arguments\":{\"old\":\"");
    for (unsigned i = 0; i < 1100; i++)
        length += (size_t)sprintf(question + length, "a\\n");
    length += (size_t)sprintf(question + length, "\",\"new\":\"");
    for (unsigned i = 0; i < 1100; i++)
        length += (size_t)sprintf(question + length, "b\\n");
    length += (size_t)sprintf(question + length, "\"}}}");
    mcp_handle(&tools_server, &session, question, length, &out);
    json_out_raw(&out, "\0", 1);
    assert_non_null(strstr(out.bytes, "differ in too many lines: 1100 became 1100"));
    json_out_free(&out);
    free(question);
}

static void test_check(void **state)
{
    const char *tool;

    (void)state;
    assert_null(mcp_server_check(&tools_server, &tool));
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add(&unit, "their schemas are good", test_check, NULL);
    unit_add_rows(&unit, rows, test_row);
    unit_add(&unit, "a diff that is too large", test_large_diff, NULL);
    return unit_run(&unit, "mcp_tools");
}
