#include "mcp_bridge_messages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define FIRST_CAPACITY 4096
#define KEPT_CAPACITY  (1u << 20) /* a buffer larger than this goes back when it is empty */

int bridge_bytes_append(struct bridge_bytes *b, const void *data, size_t length)
{
    size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
    char *grown;

    if (b->at > 0 && b->at + b->length + length > b->capacity) {
        memmove(b->data, b->data + b->at, b->length);
        b->at = 0;
    }
    if (b->at + b->length + length > b->capacity) {
        while (capacity < b->length + length)
            capacity *= 2;
        grown = realloc(b->data, capacity);
        if (!grown)
            return -ENOMEM;
        b->data = grown;
        b->capacity = capacity;
    }
    memcpy(b->data + b->at + b->length, data, length);
    b->length += length;
    return 0;
}

void bridge_bytes_consume(struct bridge_bytes *b, size_t length)
{
    b->at += length;
    b->length -= length;
    if (b->length == 0)
        b->at = 0;
    if (b->length == 0 && b->capacity > KEPT_CAPACITY)
        bridge_bytes_free(b);
}

void bridge_bytes_free(struct bridge_bytes *b)
{
    free(b->data);
    *b = (struct bridge_bytes){0};
}

int bridge_requests_init(struct bridge_requests *requests)
{
    requests->open = json_object();
    return requests->open ? 0 : -ENOMEM;
}

void bridge_requests_free(struct bridge_requests *requests)
{
    json_decref(requests->open);
    requests->open = NULL;
}

bool bridge_requests_any(const struct bridge_requests *requests)
{
    return json_object_size(requests->open) > 0;
}

/* One request more or less with this id. Where memory is short it is not followed. */
static void count(struct bridge_requests *requests, const json_t *id, int change)
{
    _cleanup_free_ char *key = json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT);
    json_int_t now;

    if (!key)
        return;
    now = json_integer_value(json_object_get(requests->open, key)) + change;
    if (now > 0)
        json_object_set_new(requests->open, key, json_integer(now));
    else
        json_object_del(requests->open, key);
}

static void note_one(struct bridge_requests *requests, const json_t *message, bool asked)
{
    const json_t *id = json_object_get(message, "id");
    bool has_method = json_object_get(message, "method") != NULL;

    if (id && !json_is_null(id) && has_method == asked)
        count(requests, id, asked ? 1 : -1);
}

static enum bridge_line note(struct bridge_requests *requests, const char *line, size_t length,
                             bool asked)
{
    size_t blanks = 0, index;
    json_t *message, *element;
    json_error_t error;

    while (blanks < length && strchr(" \t\r", line[blanks]) && line[blanks])
        blanks++;
    if (blanks == length)
        return BRIDGE_LINE_BLANK;
    if (line[blanks] != '{' && line[blanks] != '[')
        return BRIDGE_LINE_NOISE;
    message = json_loadb(line, length, JSON_ALLOW_NUL, &error);
    if (!message)
        return json_error_code(&error) == json_error_numeric_overflow ? BRIDGE_LINE_MESSAGE
                                                                      : BRIDGE_LINE_NOISE;
    if (json_is_array(message)) {
        json_array_foreach(message, index, element) note_one(requests, element, asked);
    } else {
        note_one(requests, message, asked);
    }
    json_decref(message);
    return BRIDGE_LINE_MESSAGE;
}

enum bridge_line bridge_requests_asked(struct bridge_requests *requests, const char *line,
                                       size_t length)
{
    return note(requests, line, length, true);
}

enum bridge_line bridge_requests_answered(struct bridge_requests *requests, const char *line,
                                          size_t length)
{
    return note(requests, line, length, false);
}

/* `id` is JSON text; the words of `message` are ours and need no escapes. */
static int write_error(struct bridge_bytes *out, const char *id, int code, const char *message)
{
    static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":";
    char tail[256];
    int r, n;

    r = bridge_bytes_append(out, head, strlen(head));
    if (r == 0)
        r = bridge_bytes_append(out, id, strlen(id));
    n = snprintf(tail, sizeof(tail), ",\"error\":{\"code\":%d,\"message\":\"%s\"}}\n", code,
                 message);
    return r < 0 ? r : bridge_bytes_append(out, tail, (size_t)n);
}

int bridge_write_error(struct bridge_bytes *out, int code, const char *message)
{
    return write_error(out, "null", code, message);
}

int bridge_requests_fail(struct bridge_requests *requests, int code, const char *message,
                         struct bridge_bytes *out)
{
    const char *id;
    json_t *times;

    json_object_foreach(requests->open, id, times) for (json_int_t i = 0;
                                                        i < json_integer_value(times); i++)
    {
        int r = write_error(out, id, code, message);

        if (r < 0)
            return r;
    }
    json_object_clear(requests->open);
    return 0;
}
