#include "api_events.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* What waits for a reader, at most. */
#define BACKLOG_BYTES (256 * KIB)

struct follower {
    struct follower *next;
    struct api_events *events;
    struct MHD_Connection *connection;
    bool suspended; /* until there is something to say */
    bool ended;
    size_t len;
    char text[BACKLOG_BYTES];
};

static ssize_t on_read(void *context, uint64_t position, char *buf, size_t max)
{
    struct follower *follower = context;
    size_t n = follower->len < max ? follower->len : max;

    (void)position;
    if (n == 0 && follower->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (n == 0) {
        follower->suspended = true;
        MHD_suspend_connection(follower->connection);
        return 0;
    }
    memcpy(buf, follower->text, n);
    memmove(follower->text, follower->text + n, follower->len - n);
    follower->len -= n;
    return (ssize_t)n;
}

static void on_free(void *context)
{
    struct follower *follower = context;
    struct follower **at = &follower->events->followers;

    while (*at && *at != follower)
        at = &(*at)->next;
    if (*at)
        *at = follower->next;
    free(follower);
}

static void wake(struct follower *follower)
{
    if (!follower->suspended)
        return;
    follower->suspended = false;
    MHD_resume_connection(follower->connection);
}

enum MHD_Result api_events_follow(struct api_events *events, struct MHD_Connection *connection)
{
    struct follower *follower = calloc(1, sizeof(*follower));
    struct MHD_Response *response;
    enum MHD_Result result;

    if (!follower)
        return MHD_NO;
    follower->events = events;
    follower->connection = connection;
    response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, on_read, follower, on_free);
    if (!response) {
        free(follower);
        return MHD_NO;
    }
    /* It says nothing for as long as nothing happens. */
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/x-ndjson");
    follower->next = events->followers;
    events->followers = follower;
    result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

void api_events_tell(struct api_events *events, const json_t *event)
{
    char *text = events->followers ? json_dumps(event, JSON_COMPACT) : NULL;
    size_t len = text ? strlen(text) : 0;

    for (struct follower *follower = events->followers; text && follower;
         follower = follower->next) {
        if (len + 1 > sizeof(follower->text) - follower->len)
            follower->ended = true;
        if (!follower->ended) {
            memcpy(follower->text + follower->len, text, len);
            follower->text[follower->len + len] = '\n';
            follower->len += len + 1;
        }
        wake(follower);
    }
    free(text);
}

void api_events_end(struct api_events *events)
{
    for (struct follower *follower = events->followers; follower; follower = follower->next) {
        follower->ended = true;
        wake(follower);
    }
}
