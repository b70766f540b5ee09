/* What the bridge understands of the messages that it carries: which requests are open. */
#ifndef OSVM_SUPERVISOR_MCP_BRIDGE_MESSAGES_H
#define OSVM_SUPERVISOR_MCP_BRIDGE_MESSAGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes on their way; zero-initialised is empty. */
struct bridge_bytes {
    char *data;
    size_t at, length, capacity; /* `length` bytes from `at` on */
};

/* Put bytes behind. Returns 0 or -ENOMEM. */
int bridge_bytes_append(struct bridge_bytes *bytes, const void *data, size_t length);

/* Take bytes off the front. */
void bridge_bytes_consume(struct bridge_bytes *bytes, size_t length);
void bridge_bytes_free(struct bridge_bytes *bytes);

/* Requests of the client that are not answered: id, as JSON text, to how many. */
struct bridge_requests {
    json_t *open;
};

int bridge_requests_init(struct bridge_requests *requests); /* 0 or -ENOMEM */
void bridge_requests_free(struct bridge_requests *requests);
bool bridge_requests_any(const struct bridge_requests *requests);

enum bridge_line {
    BRIDGE_LINE_BLANK,
    BRIDGE_LINE_MESSAGE,
    BRIDGE_LINE_NOISE, /* no JSON object or array */
};

/*
 * Look at a line (without its newline), and note the requests in it, or that they are answered.
 * What our JSON library alone cannot hold (numbers beyond 64 bits) counts as a message; its id is
 * then not followed.
 */
enum bridge_line bridge_requests_asked(struct bridge_requests *requests, const char *line,
                                       size_t length);
enum bridge_line bridge_requests_answered(struct bridge_requests *requests, const char *line,
                                          size_t length);

/* Write an error for each open request to `out`, a line each; none is open then. 0 or -ENOMEM. */
int bridge_requests_fail(struct bridge_requests *requests, int code, const char *message,
                         struct bridge_bytes *out);

/* Write an error with the id null, a line. Returns 0 or -ENOMEM. */
int bridge_write_error(struct bridge_bytes *out, int code, const char *message);

#endif
