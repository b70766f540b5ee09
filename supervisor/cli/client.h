/* The daemon, asked over its socket. */
#ifndef OSVM_SUPERVISOR_CLI_CLIENT_H
#define OSVM_SUPERVISOR_CLI_CLIENT_H

#include <jansson.h>
#include <stddef.h>

#include "command.h"

struct client;

/* Returns 0, or the exit status with a message said. Ended by client_close(). */
int client_open(const struct invocation *invocation, struct client **ret_client);
void client_close(struct client *client);

/* The folders that the daemon of this invocation uses. */
const struct paths *client_paths(const struct client *client);

/**
 * Ask.
 *
 * @body        NULL for none
 * @ret_answer  what came, a new reference; NULL where nothing did. May be NULL.
 * Returns 0, or the exit status with what the daemon said told on standard error.
 */
int client_ask(struct client *client, const char *method, const char *path, const char *body,
               size_t body_len, json_t **ret_answer);

/**
 * One question alone: GET a path of the daemon's.
 * @ret_answer  a new reference
 * Returns 0, or the exit status with what went wrong told on standard error.
 */
int client_get(const struct invocation *invocation, const char *path, json_t **ret_answer);

/**
 * Have a component started where it does not run, and wait until it is ready; a person is told on
 * standard error when that takes long. In components.c.
 * Returns 0, or the exit status with what went wrong told on standard error.
 */
int client_start(struct client *client, const char *name);

/* Give each line of an endless answer to `line`, until it returns false or the daemon ends. */
typedef bool client_line_fn(void *context, const char *line, size_t len);
int client_follow(struct client *client, const char *path, client_line_fn *line, void *context);

#endif
