/*
 * The daemon's API: HTTP/1.1 and JSON on a Unix socket that only its user can reach. By
 * libmicrohttpd, on the supervisor's loop; a slow client is waited for by nobody.
 *
 *   GET    /v1/version                       {"version"}
 *   GET    /v1/runtimes                      what `osvm runtimes --json` prints
 *   GET    /v1/components                    a list, in short
 *   POST   /v1/components                    a component file (YAML or JSON): 201, the component
 *   GET    /v1/components/NAME               all of it
 *   DELETE /v1/components/NAME[?force]       204
 *   POST   /v1/components/NAME/start | stop | restart | kill      202, the component in short
 *   POST   /v1/components/NAME/exec          {"command": [WORD…], "directory"?}: 200, {"argv",
 *                                            "environment"} of a program that runs it inside, for
 *                                            the client to start
 *   GET    /v1/components/NAME/stats         what it uses: what `osvm stats --json` prints of it
 *   GET    /v1/stats                         a list of them, of all that run
 *   GET    /v1/events                        one JSON object a line, for as long as it is read
 *
 * Errors: 400, 403, 404, 405, 409, 413 with {"error": TEXT} and, for a component file,
 * {"mistakes": [{"line", "text"}]}.
 */
#ifndef OSVM_SUPERVISOR_API_H
#define OSVM_SUPERVISOR_API_H

#include "supervisor.h"

struct api;

/**
 * Listen. The socket is 0600, and a client of another user is refused all the same (root is not).
 *
 * @ret_api  freed by api_destroy(), which removes the socket
 * Returns 0; -EADDRINUSE where another daemon listens there; or another negative errno.
 */
int api_create(struct supervisor *supervisor, struct api **ret_api, struct error *err);
void api_destroy(struct api *api);

#endif
