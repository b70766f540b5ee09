/*
 * HTTP/1.1 requests as they come in on a stream: strict, without memory of its own, and bounded.
 *
 * Taken are HTTP/1.0 and 1.1, the methods that the API has, a target that is a path (or a whole
 * http:// address, of which the path counts), Content-Length, Connection, Expect: 100-continue.
 * Refused are transfer encodings, continued header lines, and bare line feeds: what two programs
 * could read in two ways. RFC 9110, RFC 9112.
 */
#ifndef OSVM_VMM_API_HTTP_H
#define OSVM_VMM_API_HTTP_H

#include <stdbool.h>
#include <stddef.h>

/* Of a whole request, its head included. */
#define HTTP_REQUEST_MAX 51200

enum http_method { HTTP_GET, HTTP_PUT, HTTP_PATCH, HTTP_OTHER };

/* Where a part of the request lies in the stream's buffer. */
struct http_part {
    size_t start, len;
};

struct http_request {
    enum http_method method;
    struct http_part method_name, path, body;
    size_t len;            /* of all of it */
    bool keep_alive;       /* the client sends more on the same connection */
    bool expects_continue; /* it waits for "100 Continue" before it sends the body */
};

/* Of one request; all zero before it. */
struct http_parser {
    size_t scanned; /* in these first bytes the head does not end */
    bool head_done; /* `request` is filled in */
    struct http_request request;
};

/* Why it is none. */
struct http_refusal {
    int status; /* 400, or 413 where it is too long */
    const char *text;
};

enum http_result { HTTP_MORE, HTTP_WHOLE, HTTP_REFUSED };

/**
 * Look at what has come in so far.
 *
 * @buf, @len    from the request's first byte on; more than at the last call
 * @ret_refusal  filled in where it is refused; the stream is of no use then
 * Returns HTTP_MORE where it is not whole yet (where the head is, parser->head_done);
 * HTTP_WHOLE: parser->request is it, and what follows is behind parser->request.len bytes.
 */
enum http_result http_parse(struct http_parser *parser, const char *buf, size_t len,
                            struct http_refusal *ret_refusal);

/* "GET", "PUT", "PATCH". */
const char *http_method_name(enum http_method method);

/* "No Content" and the like, for the statuses that are in use. */
const char *http_status_text(int status);

#endif
