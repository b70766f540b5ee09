#include "client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

/* The most that an answer may have: a list of thousands of components. */
#define ANSWER_MAX_BYTES (64 * MIB)

struct client {
    CURL *curl;
    struct paths paths;
    char *socket;
    char *text; /* of the answer that comes */
    size_t len;
    client_line_fn *line; /* it is followed */
    void *context;
};

/* Give the whole lines out. Returns false where no more is wanted. */
static bool give_lines(struct client *client)
{
    char *at = client->text, *end;

    while ((end = memchr(at, '\n', client->len - (size_t)(at - client->text)))) {
        if (!client->line(client->context, at, (size_t)(end - at)))
            return false;
        at = end + 1;
    }
    client->len -= (size_t)(at - client->text);
    memmove(client->text, at, client->len);
    return true;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct client *client = context;
    size_t len = size * count;
    char *text =
        len > ANSWER_MAX_BYTES - client->len ? NULL : realloc(client->text, client->len + len + 1);

    if (!text)
        return 0;
    client->text = text;
    memcpy(text + client->len, bytes, len);
    client->len += len;
    text[client->len] = '\0';
    return client->line && !give_lines(client) ? 0 : len;
}

int client_open(const struct invocation *invocation, struct client **ret_client)
{
    struct client *client = calloc(1, sizeof(*client));
    struct error err = {0};

    if (!client)
        return fail(EXIT_FAILED, "out of memory");
    if (paths_init(&client->paths, invocation->state, invocation->run, &err) < 0) {
        free(client);
        return fail(EXIT_FAILED, "%s", err.text);
    }
    client->curl = curl_easy_init();
    if (!client->curl || asprintf(&client->socket, "%s/" RUN_DAEMON, client->paths.run) < 0) {
        client->socket = NULL;
        client_close(client);
        return fail(EXIT_FAILED, "out of memory");
    }
    *ret_client = client;
    return 0;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    if (client->curl)
        curl_easy_cleanup(client->curl);
    paths_free(&client->paths);
    free(client->socket);
    free(client->text);
    free(client);
}

const struct paths *client_paths(const struct client *client)
{
    return &client->paths;
}

static CURLcode perform(struct client *client, const char *method, const char *path,
                        const char *body, size_t body_len)
{
    char url[512];

    snprintf(url, sizeof(url), "http://localhost%s", path);
    client->len = 0;
    curl_easy_reset(client->curl);
    curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*");
    if (strcmp(method, "POST") == 0) {
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body ? body : "");
    }
    return curl_easy_perform(client->curl);
}

static int tell_no_daemon(const struct client *client, CURLcode code)
{
    if (code == CURLE_COULDNT_CONNECT)
        return fail(EXIT_FAILED, "no daemon answers at '%s'; start one: osvm daemon",
                    client->socket);
    return fail(EXIT_FAILED, "the daemon at '%s': %s", client->socket, curl_easy_strerror(code));
}

static int tell_refusal(json_t *answer, long status)
{
    const char *error = json_string_value(json_object_get(answer, "error"));
    json_t *mistakes = json_object_get(answer, "mistakes"), *mistake;
    size_t i;

    json_array_foreach(mistakes, i, mistake)
    {
        fail(0, "line %d: %s", (int)json_integer_value(json_object_get(mistake, "line")),
             json_string_value(json_object_get(mistake, "text")));
    }
    if (error)
        return fail(EXIT_FAILED, "%s", error);
    return fail(EXIT_FAILED, "the daemon answers with status %ld", status);
}

int client_ask(struct client *client, const char *method, const char *path, const char *body,
               size_t body_len, json_t **ret_answer)
{
    CURLcode code = perform(client, method, path, body, body_len);
    json_auto_t *answer = NULL;
    long status = 0;

    if (code != CURLE_OK)
        return tell_no_daemon(client, code);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    answer = client->len ? json_loadb(client->text, client->len, JSON_DECODE_ANY, NULL) : NULL;
    if (status < 200 || status >= 300)
        return tell_refusal(answer, status);
    if (ret_answer)
        *ret_answer = json_incref(answer);
    return 0;
}

int client_get(const struct invocation *invocation, const char *path, json_t **ret_answer)
{
    struct client *client;
    int status = client_open(invocation, &client);

    if (status)
        return status;
    status = client_ask(client, "GET", path, NULL, 0, ret_answer);
    client_close(client);
    return status;
}

int client_follow(struct client *client, const char *path, client_line_fn *line, void *context)
{
    CURLcode code;

    client->line = line;
    client->context = context;
    code = perform(client, "GET", path, NULL, 0);
    client->line = NULL;
    return code == CURLE_OK || code == CURLE_WRITE_ERROR ? 0 : tell_no_daemon(client, code);
}
