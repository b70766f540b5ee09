/* vmm/api/http.h: what is a request, whole or in pieces, and what is none. */
#include "unit.h"

#include <stdio.h>

#include "api/http.h"

struct taken_row {
    const char *name, *text;
    enum http_method method;
    const char *path, *body;
    bool keep_alive;
};

static const struct taken_row taken[] = {
    {"the least", "GET / HTTP/1.1\r\n\r\n", HTTP_GET, "/", "", true},
    {"a body", "PUT /actions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", HTTP_PUT, "/actions", "{}",
     true},
    {"names in any case", "PATCH /vm HTTP/1.1\r\ncOnTeNt-LeNgTh:2\r\nCONNECTION: CLOSE\r\n\r\n{}",
     HTTP_PATCH, "/vm", "{}", false},
    {"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", HTTP_GET, "/", "", false},
    {"HTTP/1.0, kept", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", HTTP_GET, "/", "", true},
    {"a whole address", "GET http://localhost:80/vm/config HTTP/1.1\r\nHost: localhost\r\n\r\n",
     HTTP_GET, "/vm/config", "", true},
    {"blanks around a value", "GET / HTTP/1.1\r\nX: \t a b \t\r\nContent-Length: \t 0 \r\n\r\n",
     HTTP_GET, "/", "", true},
    {"an empty value", "GET / HTTP/1.1\r\nAccept:\r\n\r\n", HTTP_GET, "/", "", true},
    {"a list", "GET / HTTP/1.1\r\nConnection: te , close\r\n\r\n", HTTP_GET, "/", "", false},
    {"another method", "DELETE /x HTTP/1.1\r\n\r\n", HTTP_OTHER, "/x", "", true},
    {"methods are in capitals", "get / HTTP/1.1\r\n\r\n", HTTP_OTHER, "/", "", true},
    {"zeroes before a length", "PUT / HTTP/1.1\r\nContent-Length: 000002\r\n\r\n{}", HTTP_PUT, "/",
     "{}", true},
};

static void assert_part(const char *buf, struct http_part part, const char *want)
{
    assert_int_equal(part.len, strlen(want));
    assert_memory_equal(buf + part.start, want, part.len);
}

static void assert_taken(const struct taken_row *row, const struct http_request *request)
{
    assert_int_equal(request->method, row->method);
    assert_part(row->text, request->path, row->path);
    assert_part(row->text, request->body, row->body);
    assert_int_equal(request->keep_alive, row->keep_alive);
    assert_int_equal(request->len, strlen(row->text));
}

static void test_taken(void **state)
{
    const struct taken_row *row = *state;
    struct http_refusal refusal;
    struct http_parser parser = {0};

    assert_int_equal(http_parse(&parser, row->text, strlen(row->text), &refusal), HTTP_WHOLE);
    assert_taken(row, &parser.request);
}

static void test_byte_by_byte(void **state)
{
    const struct taken_row *row = *state;
    struct http_refusal refusal;
    struct http_parser parser = {0};

    for (size_t len = 0; len < strlen(row->text); len++)
        assert_int_equal(http_parse(&parser, row->text, len, &refusal), HTTP_MORE);
    assert_int_equal(http_parse(&parser, row->text, strlen(row->text), &refusal), HTTP_WHOLE);
    assert_taken(row, &parser.request);
}

struct refused_row {
    const char *name, *text;
    int status;
    const char *says;
};

static const struct refused_row refused[] = {
    {"nothing", "\r\n\r\n", 400, "request line"},
    {"no target", "GET HTTP/1.1\r\n\r\n", 400, "request line"},
    {"no method", " / HTTP/1.1\r\n\r\n", 400, "request line"},
    {"two blanks", "GET  / HTTP/1.1\r\n\r\n", 400, "HTTP/1.1"},
    {"no version", "GET /\r\n\r\n", 400, "request line"},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\n", 400, "only HTTP/1.0 and"},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n\r\n", 400, "only HTTP/1.0 and"},
    {"a small version", "GET / http/1.1\r\n\r\n", 400, "only HTTP/1.0 and"},
    {"blanks behind", "GET / HTTP/1.1 \r\n\r\n", 400, "only HTTP/1.0 and"},
    {"no path", "GET x HTTP/1.1\r\n\r\n", 400, "not a path"},
    {"an asterisk", "OPTIONS * HTTP/1.1\r\n\r\n", 400, "not a path"},
    {"an address without a path", "GET http://localhost HTTP/1.1\r\n\r\n", 400, "not a path"},
    {"https", "GET https://localhost/ HTTP/1.1\r\n\r\n", 400, "not a path"},
    {"a path beyond ASCII", "GET /\xc3\xa4 HTTP/1.1\r\n\r\n", 400, "not a path"},
    {"a bare line feed", "GET / HTTP/1.1\nX: y\r\n\r\n", 400, "CR LF"},
    {"a bare CR", "GET / HTTP/1.1\rX: y\r\n\r\n", 400, "CR LF"},
    {"a bare CR in a header", "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 400, "CR LF"},
    {"a continued line", "GET / HTTP/1.1\r\nX: y\r\n z\r\n\r\n", 400, "header line"},
    {"a blank before the colon", "GET / HTTP/1.1\r\nX : y\r\n\r\n", 400, "header line"},
    {"no colon", "GET / HTTP/1.1\r\nX\r\n\r\n", 400, "header line"},
    {"no name", "GET / HTTP/1.1\r\n: y\r\n\r\n", 400, "header line"},
    {"a control character", "GET / HTTP/1.1\r\nX: \x01\r\n\r\n", 400, "control"},
    {"two lengths", "PUT / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400,
     "Content-Length"},
    {"no length", "PUT / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400, "Content-Length"},
    {"a list of lengths", "PUT / HTTP/1.1\r\nContent-Length: 2, 2\r\n\r\n{}", 400,
     "Content-Length"},
    {"a negative length", "PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "Content-Length"},
    {"a signed length", "PUT / HTTP/1.1\r\nContent-Length: +2\r\n\r\n{}", 400, "Content-Length"},
    {"a length in hex", "PUT / HTTP/1.1\r\nContent-Length: 0x2\r\n\r\n{}", 400, "Content-Length"},
    {"chunks", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
     "transfer encoding"},
    {"another expectation", "PUT / HTTP/1.1\r\nExpect: tea\r\n\r\n", 400, "Expect"},
    {"too long", "PUT / HTTP/1.1\r\nContent-Length: 51201\r\n\r\n", 413, "51200"},
    {"too long with its head", "PUT / HTTP/1.1\r\nContent-Length: 51200\r\n\r\n", 413, "51200"},
    {"far too long", "PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999999999\r\n\r\n", 413,
     "51200"},
};

static void test_refused(void **state)
{
    const struct refused_row *row = *state;
    struct http_refusal refusal = {0};
    struct http_parser parser = {0};

    assert_int_equal(http_parse(&parser, row->text, strlen(row->text), &refusal), HTTP_REFUSED);
    assert_int_equal(refusal.status, row->status);
    if (!strstr(refusal.text, row->says))
        fail_msg("says '%s', not '%s'", refusal.text, row->says);
}

static void test_zero_byte(void **state)
{
    static const char text[] = "GET /\0 HTTP/1.1\r\nX: a\0b\r\n\r\n";
    struct http_refusal refusal;
    struct http_parser parser = {0};

    (void)state;
    assert_int_equal(http_parse(&parser, text, sizeof(text) - 1, &refusal), HTTP_REFUSED);
}

static void test_endless_head(void **state)
{
    static char text[HTTP_REQUEST_MAX + 8] = "GET / HTTP/1.1\r\nX: ";
    struct http_refusal refusal;
    struct http_parser parser = {0};

    (void)state;
    memset(text + 19, 'a', sizeof(text) - 19);
    assert_int_equal(http_parse(&parser, text, HTTP_REQUEST_MAX, &refusal), HTTP_MORE);
    assert_int_equal(http_parse(&parser, text, HTTP_REQUEST_MAX + 1, &refusal), HTTP_REFUSED);
    assert_int_equal(refusal.status, 413);
}

static void test_longest(void **state)
{
    static char text[HTTP_REQUEST_MAX + 1];
    struct http_refusal refusal;
    struct http_parser parser = {0};

    (void)state;
    snprintf(text, sizeof(text), "PUT / HTTP/1.1\r\nContent-Length: %05zu\r\n\r\n",
             sizeof(text) - 41);
    assert_int_equal(strlen(text), 41);
    assert_int_equal(http_parse(&parser, text, sizeof(text), &refusal), HTTP_REFUSED);
    assert_int_equal(refusal.status, 413); /* one too many */
    parser = (struct http_parser){0};
    snprintf(text, sizeof(text), "PUT / HTTP/1.1\r\nContent-Length: %05zu\r\n\r\n",
             sizeof(text) - 42);
    assert_int_equal(http_parse(&parser, text, sizeof(text) - 2, &refusal), HTTP_MORE);
    assert_int_equal(http_parse(&parser, text, sizeof(text) - 1, &refusal), HTTP_WHOLE);
    assert_int_equal(parser.request.len, HTTP_REQUEST_MAX);
}

static void test_pipelined(void **state)
{
    static const char text[] = "PUT /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n\r\n\r\nGET /b "
                               "HTTP/1.1\r\nExpect: 100-continue\r\n\r\n";
    struct http_refusal refusal;
    struct http_parser parser = {0};
    size_t first;

    (void)state;
    assert_int_equal(http_parse(&parser, text, sizeof(text) - 1, &refusal), HTTP_WHOLE);
    assert_part(text, parser.request.body, "\r\n\r\n");
    assert_false(parser.request.expects_continue);
    first = parser.request.len;
    parser = (struct http_parser){0};
    assert_int_equal(http_parse(&parser, text + first, sizeof(text) - 1 - first, &refusal),
                     HTTP_WHOLE);
    assert_part(text + first, parser.request.path, "/b");
    assert_true(parser.request.expects_continue);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, taken, test_taken);
    unit_add_rows(&unit, taken, test_byte_by_byte);
    unit_add_rows(&unit, refused, test_refused);
    unit_add(&unit, "zero bytes", test_zero_byte, NULL);
    unit_add(&unit, "a head without an end", test_endless_head, NULL);
    unit_add(&unit, "the longest", test_longest, NULL);
    unit_add(&unit, "one behind the other", test_pipelined, NULL);
    return unit_run(&unit, "api_http");
}
