/* Which request goes where, and when it may come. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "body.h"
#include "internal.h"

enum phase { BEFORE = 1, AFTER = 2, ALWAYS = BEFORE | AFTER };

struct route {
    enum http_method method;
    const char *path;
    bool has_id; /* one more part: /drives/{id} */
    enum phase phase;
    bool asks;             /* the VM process, which answers one question at a time */
    settings_fn *settings; /* either this */
    api_handler *handler;  /* or this */
};

static const struct route routes[] = {
    {HTTP_GET, "/", false, ALWAYS, false, NULL, api_get_instance},
    {HTTP_GET, "/version", false, ALWAYS, false, NULL, api_get_version},
    {HTTP_GET, "/vm/config", false, ALWAYS, false, NULL, api_get_config},
    {HTTP_GET, "/machine-config", false, ALWAYS, false, NULL, api_get_machine},
    {HTTP_GET, "/balloon", false, ALWAYS, false, NULL, api_get_balloon},
    {HTTP_GET, "/balloon/statistics", false, AFTER, true, NULL, api_get_balloon_statistics},
    {HTTP_GET, "/metrics", false, AFTER, true, NULL, api_get_metrics},
    {HTTP_PUT, "/machine-config", false, BEFORE, false, settings_put_machine, NULL},
    {HTTP_PATCH, "/machine-config", false, BEFORE, false, settings_patch_machine, NULL},
    {HTTP_PUT, "/boot-source", false, BEFORE, false, settings_put_boot, NULL},
    {HTTP_PUT, "/drives", true, BEFORE, false, settings_put_disk, NULL},
    {HTTP_PATCH, "/drives", true, AFTER, true, NULL, api_patch_disk},
    {HTTP_PUT, "/network-interfaces", true, BEFORE, false, settings_put_net, NULL},
    {HTTP_PATCH, "/network-interfaces", true, AFTER, true, NULL, api_patch_net},
    {HTTP_PUT, "/vsock", false, BEFORE, false, settings_put_vsock, NULL},
    {HTTP_PUT, "/entropy", false, BEFORE, false, settings_put_entropy, NULL},
    {HTTP_PUT, "/balloon", false, BEFORE, false, settings_put_balloon, NULL},
    {HTTP_PATCH, "/balloon", false, AFTER, true, NULL, api_patch_balloon},
    {HTTP_PATCH, "/balloon/statistics", false, AFTER, true, NULL, api_patch_balloon_statistics},
    {HTTP_PUT, "/serial", false, BEFORE, false, settings_put_serial, NULL},
    {HTTP_PUT, "/logger", false, BEFORE, false, settings_put_logger, NULL},
    {HTTP_PUT, "/metrics", false, BEFORE, false, settings_put_metrics, NULL},
    {HTTP_PATCH, "/vm", false, AFTER, true, NULL, api_patch_vm},
    {HTTP_PUT, "/actions", false, ALWAYS, true, NULL, api_put_action},
};

/* The id at the end of the path; NULL: the route does not fit. "" where it has none. */
static const char *match(const struct route *route, const struct api_request *request)
{
    size_t len = strlen(route->path);
    const char *rest = request->path + len;

    if (route->method != request->method || strncmp(request->path, route->path, len) != 0)
        return NULL;
    if (!route->has_id)
        return *rest ? NULL : rest;
    return *rest == '/' && device_config_is_id(rest + 1) ? rest + 1 : NULL;
}

static const struct route *find(const struct api_request *request, const char **ret_id)
{
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        *ret_id = match(&routes[i], request);
        if (*ret_id)
            return &routes[i];
    }
    return NULL;
}

void api_answer(struct api *api, struct api_client *client, int status, const char *body)
{
    api->counts.failed += status >= 400;
    api_server_answer(client, status, body);
}

void api_answer_fault(struct api *api, struct api_client *client, const char *text)
{
    _cleanup_free_ char *body = body_fault(text);

    api_answer(api, client, 400, body ? body : "{\"fault_message\": \"out of memory\"}");
}

static void count(struct api_counts *counts, enum http_method method)
{
    counts->get += method == HTTP_GET;
    counts->put += method == HTTP_PUT;
    counts->patch += method == HTTP_PATCH;
}

static int check_phase(const struct api *api, const struct route *route,
                       const struct api_request *request, struct error *err)
{
    bool started = api->state != API_NOT_STARTED;

    if (route->phase & (started ? AFTER : BEFORE))
        return 0;
    return error_set(err, -EPERM, "%s %s cannot be done %s boot", request->method_name,
                     request->path, started ? "after" : "before");
}

static int read_body(const struct api_request *request, json_t **ret_body, struct error *err)
{
    if (request->method != HTTP_GET)
        return body_parse(request->body, request->body_len, ret_body, err);
    if (request->body_len > 0)
        return error_set(err, -EINVAL, "a GET has no body");
    *ret_body = NULL;
    return 0;
}

static int handle(const struct route *route, struct api_call *call, struct error *err)
{
    if (route->settings)
        return route->settings(&call->api->settings, call->id, call->body, err);
    return route->handler(call, err);
}

static void answer_call(struct api_call *call, int r, const struct error *err)
{
    _cleanup_free_ char *body = NULL;

    if (r < 0) {
        api_answer_fault(call->api, call->client, err->text);
        return;
    }
    if (call->result)
        body = json_dumps(call->result, JSON_COMPACT | JSON_ENSURE_ASCII);
    api_answer(call->api, call->client, body ? 200 : 204, body);
}

enum api_outcome api_on_request(struct api_server_user *user, struct api_client *client,
                                const struct api_request *request)
{
    struct api *api = container_of(user, struct api, user);
    struct api_call call = {.api = api, .client = client};
    const struct route *route = find(request, &call.id);
    json_auto_t *body = NULL;
    struct error err = {0};
    int r = 0;

    if (!route)
        r = error_set(&err, -ENOENT, "%s %s is not served here", request->method_name,
                      request->path);
    if (r == 0)
        r = check_phase(api, route, request, &err);
    if (r == 0 && route->asks && (api->channel.waiting || api->starter))
        return API_LATER;
    if (r == 0)
        r = read_body(request, &body, &err);
    count(&api->counts, request->method);
    call.body = body;
    if (r == 0)
        r = handle(route, &call, &err);
    if (r == 0 && call.pending)
        return API_PENDING;
    answer_call(&call, r, &err);
    json_decref(call.result);
    return API_ANSWERED;
}
