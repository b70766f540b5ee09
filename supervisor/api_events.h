/* Clients of the API that follow what happens: a line of JSON for each event. */
#ifndef OSVM_SUPERVISOR_API_EVENTS_H
#define OSVM_SUPERVISOR_API_EVENTS_H

#include <jansson.h>
#include <microhttpd.h>

struct follower;

/* All zeroes: nobody follows. */
struct api_events {
    struct follower *followers;
};

/* Answer a request with all that happens from now on. */
enum MHD_Result api_events_follow(struct api_events *events, struct MHD_Connection *connection);

/* Tell all. One that does not read fast enough is cut off, for it would miss something. */
void api_events_tell(struct api_events *events, const json_t *event);

/* No more comes; before the HTTP server is stopped. */
void api_events_end(struct api_events *events);

#endif
