/*
 * The API's socket and its clients: reads requests, hands them over one at a time for each client,
 * writes the answers in order. A client that is slow, or that never reads, keeps nobody else
 * waiting and no more memory than one request and one answer.
 */
#ifndef OSVM_VMM_API_SERVER_H
#define OSVM_VMM_API_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/loop.h"
#include "http.h"

/* At once. One more takes the place of the one that has been idle for the longest. */
#define API_MAX_CLIENTS 64

struct api_server;
struct api_client;

/* A request, valid until the call returns. */
struct api_request {
    enum http_method method;
    char method_name[16], path[128]; /* cut off where longer: neither is then known */
    const char *body;
    size_t body_len;
};

enum api_outcome {
    API_ANSWERED, /* by api_server_answer() already */
    API_PENDING,  /* api_server_answer() comes later */
    API_LATER,    /* it cannot be begun now: ask again at api_server_go_on() */
};

/* Who answers, embedded in its owner. The loop's thread. */
struct api_server_user {
    enum api_outcome (*request)(struct api_server_user *user, struct api_client *client,
                                const struct api_request *request);
};

/**
 * Listen on a socket that the owner's user alone may use (mode 0600). One that nobody listens on
 * any more is replaced.
 *
 * @ret_server  freed by api_server_destroy()
 * Returns 0 or a negative errno with the reason in err. While the process has one thread.
 */
int api_server_create(const char *path, struct loop *loop, struct api_server_user *user,
                      struct api_server **ret_server, struct error *err);

/* Takes what of the answers goes at once, closes all. The socket's name stays. */
void api_server_destroy(struct api_server *server);

/* In a child that is not to have any of it: closes the descriptors, leaves the loop alone. */
void api_server_forget(struct api_server *server);

/* Its descriptors, in any order. @fds  room for API_MAX_CLIENTS + 1. Returns how many. */
size_t api_server_descriptors(const struct api_server *server, int *fds);

/**
 * Answer the client's request. The client may have gone meanwhile, and is no more afterwards.
 *
 * @body  JSON, or NULL for none
 */
void api_server_answer(struct api_client *client, int status, const char *body);

/* What was put off can be begun: those that have waited for the longest first. */
void api_server_go_on(struct api_server *server);

#endif
