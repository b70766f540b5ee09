#include "http.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

/* A line of the head, or a part of one; never beyond the buffer. */
struct span {
    const char *at;
    size_t len;
};

#define TOO_LONG "the request is longer than 51200 bytes"

static const char *const method_names[] = {
    [HTTP_GET] = "GET", [HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH", [HTTP_OTHER] = ""};

const char *http_method_name(enum http_method method)
{
    return method_names[method];
}

const char *http_status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 413:
        return "Payload Too Large";
    default:
        return "Bad Request";
    }
}

static enum http_result refuse(struct http_refusal *refusal, int status, const char *text)
{
    *refusal = (struct http_refusal){.status = status, .text = text};
    return HTTP_REFUSED;
}

static bool span_is(struct span span, const char *text)
{
    return span.len == strlen(text) && strncasecmp(span.at, text, span.len) == 0;
}

/* RFC 9110, section 5.6.2. */
static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct span span)
{
    for (size_t i = 0; i < span.len; i++) {
        if (!is_token_char(span.at[i]))
            return false;
    }
    return span.len > 0;
}

/* Of a header's value: what is visible, blanks and tabs, and what is beyond ASCII. */
static bool is_value(struct span span)
{
    for (size_t i = 0; i < span.len; i++) {
        unsigned char c = (unsigned char)span.at[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static struct span trim(struct span span)
{
    while (span.len > 0 && (*span.at == ' ' || *span.at == '\t')) {
        span.at++;
        span.len--;
    }
    while (span.len > 0 && (span.at[span.len - 1] == ' ' || span.at[span.len - 1] == '\t'))
        span.len--;
    return span;
}

/* Take what is before the separator off the front. Returns whether there is one. */
static bool split(struct span *rest, char separator, struct span *ret_front)
{
    const char *found = memchr(rest->at, separator, rest->len);

    if (!found)
        return false;
    *ret_front = (struct span){rest->at, (size_t)(found - rest->at)};
    rest->len -= ret_front->len + 1;
    rest->at = found + 1;
    return true;
}

/* Whether one of the words of a list is this one. */
static bool has_word(struct span list, const char *word)
{
    struct span part;

    while (split(&list, ',', &part)) {
        if (span_is(trim(part), word))
            return true;
    }
    return span_is(trim(list), word);
}

/* The path in a target; a whole address has it behind the host. Returns false where there is none.
 */
static bool find_path(struct span target, struct span *ret_path)
{
    static const char scheme[] = "http://";
    const char *slash;

    if (target.len > strlen(scheme) && strncasecmp(target.at, scheme, strlen(scheme)) == 0) {
        target.at += strlen(scheme);
        target.len -= strlen(scheme);
        slash = memchr(target.at, '/', target.len);
        if (!slash)
            return false;
        target.len -= (size_t)(slash - target.at);
        target.at = slash;
    }
    for (size_t i = 0; i < target.len; i++) {
        if (target.at[i] <= ' ' || target.at[i] >= 0x7f)
            return false;
    }
    *ret_path = target;
    return target.len > 0 && *target.at == '/';
}

static const char *parse_request_line(struct span line, const char *buf,
                                      struct http_request *request)
{
    struct span method, target, path;

    if (!split(&line, ' ', &method) || !split(&line, ' ', &target) || !is_token(method))
        return "the request line is not METHOD PATH HTTP/1.1";
    if (line.len != 8 || memcmp(line.at, "HTTP/1.", 7) != 0 ||
        (line.at[7] != '0' && line.at[7] != '1'))
        return "only HTTP/1.0 and HTTP/1.1 are spoken here";
    if (!find_path(target, &path))
        return "the request's target is not a path";
    request->keep_alive = line.at[7] == '1';
    request->method = HTTP_OTHER;
    for (int i = HTTP_GET; i < HTTP_OTHER; i++) {
        if (strlen(method_names[i]) == method.len &&
            memcmp(method_names[i], method.at, method.len) == 0)
            request->method = (enum http_method)i;
    }
    request->method_name = (struct http_part){(size_t)(method.at - buf), method.len};
    request->path = (struct http_part){(size_t)(path.at - buf), path.len};
    return NULL;
}

/* Digits alone. Of what is more than any request, only that it is more is kept. */
static bool parse_length(struct span value, size_t *ret_length)
{
    size_t length = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
        length = length * 10 + (size_t)(value.at[i] - '0');
        if (length > HTTP_REQUEST_MAX)
            length = HTTP_REQUEST_MAX + 1;
    }
    *ret_length = length;
    return value.len > 0;
}

static const char *parse_header(struct span line, bool *has_length, struct http_request *request)
{
    struct span name, value = line;

    if (!split(&value, ':', &name) || !is_token(name))
        return "a header line is not NAME: VALUE";
    value = trim(value);
    if (!is_value(value))
        return "a header has control characters in its value";
    if (span_is(name, "content-length")) {
        if (*has_length || !parse_length(value, &request->body.len))
            return "Content-Length is not one number";
        *has_length = true;
    } else if (span_is(name, "transfer-encoding")) {
        return "a transfer encoding is not taken; say Content-Length";
    } else if (span_is(name, "connection")) {
        if (has_word(value, "close"))
            request->keep_alive = false;
        else if (has_word(value, "keep-alive"))
            request->keep_alive = true;
    } else if (span_is(name, "expect")) {
        if (!span_is(value, "100-continue"))
            return "of Expect, only 100-continue is known";
        request->expects_continue = true;
    }
    return NULL;
}

/* Take the line up to CR LF off the front; the head ends with one, so it is there. */
static bool next_line(struct span *rest, struct span *ret_line)
{
    if (!split(rest, '\n', ret_line) || ret_line->len == 0 ||
        ret_line->at[ret_line->len - 1] != '\r')
        return false;
    ret_line->len--;
    return !memchr(ret_line->at, '\r', ret_line->len);
}

/* The head, its empty line included. Returns NULL, or what is wrong with it. */
static const char *parse_head(const char *buf, struct span head, struct http_request *request)
{
    bool has_length = false;
    struct span line;
    const char *wrong;

    *request = (struct http_request){0};
    if (!next_line(&head, &line))
        return "a line does not end with CR LF";
    wrong = parse_request_line(line, buf, request);
    while (!wrong) {
        if (!next_line(&head, &line))
            return "a line does not end with CR LF";
        if (line.len == 0)
            break;
        wrong = parse_header(line, &has_length, request);
    }
    return wrong;
}

enum http_result http_parse(struct http_parser *parser, const char *buf, size_t len,
                            struct http_refusal *ret_refusal)
{
    struct http_request *request = &parser->request;

    if (!parser->head_done) {
        size_t from = parser->scanned > 3 ? parser->scanned - 3 : 0;
        const char *end = memmem(buf + from, len - from, "\r\n\r\n", 4);
        size_t head_len = end ? (size_t)(end - buf) + 4 : len;
        const char *wrong;

        parser->scanned = len;
        if (head_len > HTTP_REQUEST_MAX)
            return refuse(ret_refusal, 413, TOO_LONG);
        if (!end)
            return HTTP_MORE;
        wrong = parse_head(buf, (struct span){buf, head_len}, request);
        if (wrong)
            return refuse(ret_refusal, 400, wrong);
        if (request->body.len > HTTP_REQUEST_MAX - head_len)
            return refuse(ret_refusal, 413, TOO_LONG);
        request->body.start = head_len;
        request->len = head_len + request->body.len;
        parser->head_done = true;
    }
    return len >= request->len ? HTTP_WHOLE : HTTP_MORE;
}
