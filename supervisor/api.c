#include "api.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api_events.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "document.h"
#include "inside.h"
#include "version.h"

#define MAX_CONNECTIONS 512
#define TIMEOUT_S       10
#define PREFIX          "/v1/components"

struct api {
    struct supervisor *supervisor;
    struct MHD_Daemon *http;
    struct loop_source source; /* libmicrohttpd's epoll descriptor */
    struct deadline patience;  /* its next time-out */
    struct api_events events;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

/* One request, while its body comes. */
struct request {
    char *body;
    size_t len;
    bool too_long;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text ? strlen(text) : 0, text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;

    json_decref(body);
    if (!response)
        return MHD_NO;
    if (text)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_error(struct MHD_Connection *connection, unsigned status,
                                    const char *text)
{
    return answer(connection, status, json_pack("{s:s}", "error", text));
}

/* An errno of the supervisor's as a status. */
static unsigned status_of(int code)
{
    switch (code) {
    case -EEXIST:
    case -EBUSY:
    case -ELOOP:
    case -ESRCH:
        return MHD_HTTP_CONFLICT;
    case -ENOMEM:
    case -ENOSPC:
    case -EIO:
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    default:
        return MHD_HTTP_BAD_REQUEST;
    }
}

/* --- requests
 * --------------------------------------------------------------------------------------- */

static enum MHD_Result list(struct api *api, struct MHD_Connection *connection)
{
    json_t *array = json_array();

    for (struct managed *managed = api->supervisor->components; managed; managed = managed->next)
        json_array_append_new(array, managed_describe(managed, false));
    return answer(connection, MHD_HTTP_OK, array);
}

static enum MHD_Result list_usage(struct api *api, struct MHD_Connection *connection)
{
    json_t *array = json_array();

    for (struct managed *managed = api->supervisor->components; managed; managed = managed->next) {
        if (managed->gone.fd >= 0)
            json_array_append_new(array, managed_describe_usage(managed));
    }
    return answer(connection, MHD_HTTP_OK, array);
}

static json_t *list_mistakes(const struct mistakes *mistakes)
{
    json_t *array = json_array();

    for (size_t i = 0; i < mistakes_kept(mistakes); i++)
        json_array_append_new(array, json_pack("{s:i, s:s}", "line", (int)mistakes->kept[i].line,
                                               "text", mistakes->kept[i].text));
    return json_pack("{s:s, s:o}", "error", "this is no component file", "mistakes", array);
}

static enum MHD_Result create(struct api *api, struct MHD_Connection *connection,
                              const struct request *request)
{
    _cleanup_(document_free_cleanup) struct document *document = NULL;
    struct component component = {0};
    struct mistakes mistakes = {0};
    struct managed *managed;
    struct error err = {0};
    enum MHD_Result result;
    int r = document_parse(request->body ? request->body : "", request->len, &mistakes, &document);

    if (r == 0)
        r = component_read(document, &component, &mistakes);
    if (r == 0 && mistakes.count == 0)
        r = supervisor_create(api->supervisor, &component, &managed, &err);
    if (mistakes.count)
        result = answer(connection, MHD_HTTP_BAD_REQUEST, list_mistakes(&mistakes));
    else if (r < 0)
        result = answer_error(connection, status_of(r), *err.text ? err.text : strerror(-r));
    else
        result = answer(connection, MHD_HTTP_CREATED, managed_describe(managed, true));
    component_free(&component);
    mistakes_free(&mistakes);
    return result;
}

static enum MHD_Result runtimes(struct api *api, struct MHD_Connection *connection)
{
    return answer(connection, MHD_HTTP_OK, runtime_manager_describe(&api->supervisor->runtimes));
}

/* {"command": [WORD…], "directory"?} of a request. Returns 0 or -EINVAL. */
static int read_command(const struct request *request, json_t **ret_body,
                        struct string_list *ret_command, const char **ret_directory)
{
    json_t *body = request->len ? json_loadb(request->body, request->len, 0, NULL) : NULL;
    int r = string_list_read(json_object_get(body, "command"), ret_command);

    *ret_body = body;
    *ret_directory = json_string_value(json_object_get(body, "directory"));
    return r < 0 || !ret_command->count ? -EINVAL : 0;
}

/* How a command is run beside it: for the client to do, whose streams and terminal it has. */
static enum MHD_Result describe_exec(struct MHD_Connection *connection, struct managed *managed,
                                     const struct request *request)
{
    struct string_list command = {0};
    struct launch launch = {0};
    const char *directory;
    json_auto_t *body = NULL;
    json_t *said = NULL;
    struct error err = {0};
    enum MHD_Result result;
    int r = read_command(request, &body, &command, &directory);

    if (r < 0)
        error_set(&err, r, "{\"command\": [WORD, ...]} is wanted");
    else if (managed_find_child(managed) < 0)
        r = error_set(&err, -ESRCH, "it does not run; start it first");
    else
        r = inside_command(&managed->component, managed->choice.runtime, &managed->child,
                           &managed->supervisor->paths, &command, directory, &launch, &err);
    if (r == 0) {
        said = json_pack("{s:o, s:o}", "argv", string_list_write(&launch.argv), "environment",
                         string_list_write(&launch.environment));
        if (!said) /* a folder's name need not be UTF-8, and nothing may be left out */
            r = error_set(&err, -EINVAL, "how to run it cannot be told: a path is not UTF-8");
    }
    result = r < 0 ? answer_error(connection, status_of(r), err.text)
                   : answer(connection, MHD_HTTP_OK, said);
    string_list_free(&command);
    launch_free(&launch);
    return result;
}

static enum MHD_Result act(struct MHD_Connection *connection, struct managed *managed,
                           const char *what)
{
    static const struct {
        const char *name;
        int (*act)(struct managed *managed, struct error *err);
    } actions[] = {
        {"start", managed_start},
        {"stop", managed_stop},
        {"restart", managed_restart},
        {"kill", managed_kill},
    };

    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        struct error err = {0};
        int r;

        if (strcmp(what, actions[i].name) != 0)
            continue;
        r = actions[i].act(managed, &err);
        return r < 0 ? answer_error(connection, status_of(r), err.text)
                     : answer(connection, MHD_HTTP_ACCEPTED, managed_describe(managed, false));
    }
    return answer_error(connection, MHD_HTTP_NOT_FOUND, "there is no such action");
}

static enum MHD_Result remove_component(struct MHD_Connection *connection, struct managed *managed)
{
    bool force = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "force") != NULL;
    struct error err = {0};
    int r = managed_remove(managed, force, &err);

    return r < 0 ? answer_error(connection, status_of(r), err.text)
                 : answer(connection, MHD_HTTP_NO_CONTENT, NULL);
}

/* /v1/components/NAME[/ACTION] */
static enum MHD_Result on_component(struct api *api, struct MHD_Connection *connection,
                                    const char *rest, const char *method,
                                    const struct request *request)
{
    const char *slash = strchrnul(rest, '/');
    struct managed *managed;
    char name[80];

    if ((size_t)(slash - rest) >= sizeof(name))
        return answer_error(connection, MHD_HTTP_NOT_FOUND, "there is no such component");
    snprintf(name, sizeof(name), "%.*s", (int)(slash - rest), rest);
    managed = supervisor_find(api->supervisor, name);
    if (!managed)
        return answer_error(connection, MHD_HTTP_NOT_FOUND, "there is no such component");
    if (strcmp(slash, "/stats") == 0 && strcmp(method, MHD_HTTP_METHOD_GET) == 0)
        return answer(connection, MHD_HTTP_OK, managed_describe_usage(managed));
    if (*slash && strcmp(method, MHD_HTTP_METHOD_POST) != 0)
        return answer_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "POST is wanted");
    if (strcmp(slash, "/exec") == 0)
        return describe_exec(connection, managed, request);
    if (*slash)
        return act(connection, managed, slash + 1);
    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0)
        return answer(connection, MHD_HTTP_OK, managed_describe(managed, true));
    if (strcmp(method, MHD_HTTP_METHOD_DELETE) == 0)
        return remove_component(connection, managed);
    return answer_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or DELETE is wanted");
}

static enum MHD_Result route(struct api *api, struct MHD_Connection *connection, const char *url,
                             const char *method, const struct request *request)
{
    bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0;

    if (strncmp(url, PREFIX "/", sizeof(PREFIX)) == 0)
        return on_component(api, connection, url + sizeof(PREFIX), method, request);
    if (strcmp(url, PREFIX) == 0 && strcmp(method, MHD_HTTP_METHOD_POST) == 0)
        return create(api, connection, request);
    if (!get)
        return answer_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET is wanted");
    if (strcmp(url, PREFIX) == 0)
        return list(api, connection);
    if (strcmp(url, "/v1/version") == 0)
        return answer(connection, MHD_HTTP_OK, json_pack("{s:s}", "version", OSVM_VERSION));
    if (strcmp(url, "/v1/runtimes") == 0)
        return runtimes(api, connection);
    if (strcmp(url, "/v1/stats") == 0)
        return list_usage(api, connection);
    if (strcmp(url, "/v1/events") == 0)
        return api_events_follow(&api->events, connection);
    return answer_error(connection, MHD_HTTP_NOT_FOUND, "there is nothing of that name");
}

/* --- libmicrohttpd's side
 * ----------------------------------------------------------------------------- */

/* A client of another user. Its socket's peer is asked, not the client. */
static bool is_stranger(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return !info || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
           (peer.uid != geteuid() && peer.uid != 0);
}

static bool take_body(struct request *request, const char *bytes, size_t len)
{
    char *body;

    if (request->too_long || len > DOCUMENT_MAX_BYTES - request->len) {
        request->too_long = true; /* the rest is read and dropped, so that the answer arrives */
        return true;
    }
    body = realloc(request->body, request->len + len);
    if (!body)
        return false;
    request->body = body;
    memcpy(body + request->len, bytes, len);
    request->len += len;
    return true;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **request_context)
{
    struct request *request = *request_context;

    (void)version;
    if (!request) { /* the first call, with the headers alone */
        *request_context = request = calloc(1, sizeof(*request));
        if (request && is_stranger(connection))
            return answer_error(connection, MHD_HTTP_FORBIDDEN, "this is another user's daemon");
        return request ? MHD_YES : MHD_NO;
    }
    if (*upload_len) {
        bool taken = take_body(request, upload, *upload_len);

        *upload_len = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    if (request->too_long)
        return answer_error(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                            "a component file of over 1 MiB");
    return route(context, connection, url, method, request);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    struct request *request = *request_context;

    (void)context;
    (void)connection;
    (void)code;
    if (request)
        free(request->body);
    free(request);
    *request_context = NULL;
}

/* Let it do what is to be done, and look when it next wants to be called without an event. */
static void run_http(struct api *api)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;

    MHD_run(api->http);
    if (MHD_get_timeout(api->http, &timeout_ms) == MHD_YES)
        deadline_set(&api->supervisor->deadlines, &api->patience, timeout_ms * NS_PER_MS);
    else
        deadline_clear(&api->supervisor->deadlines, &api->patience);
}

static void on_http(struct loop_source *source, uint32_t events)
{
    (void)events;
    run_http(container_of(source, struct api, source));
}

static void on_patience(struct deadline *deadline)
{
    run_http(container_of(deadline, struct api, patience));
}

static void on_event(void *context, const json_t *event)
{
    struct api *api = context;

    api_events_tell(&api->events, event);
    /* Outside of libmicrohttpd's own calls, which this may be inside of. */
    deadline_set(&api->supervisor->deadlines, &api->patience, 0);
}

/* --- the socket
 * ---------------------------------------------------------------------------------------- */

/* Whether somebody answers at it. A socket file without a listener is a leftover. */
static bool is_answered(const struct sockaddr_un *address)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
}

static int listen_at(struct api *api, int *ret_fd, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;

    if (snprintf(api->path, sizeof(api->path), "%s/" RUN_DAEMON, api->supervisor->paths.run) >=
        (int)sizeof(api->path))
        return error_set(err, -ENAMETOOLONG, "the run folder's path '%s' is too long for sockets",
                         api->supervisor->paths.run);
    strcpy(address.sun_path, api->path);
    if (is_answered(&address)) {
        api->path[0] = '\0'; /* it is not ours to remove */
        return error_set(err, -EADDRINUSE, "another daemon listens at '%s'", address.sun_path);
    }
    unlink(api->path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The folder is 0700, so nobody gets in between. */
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(api->path, 0600) < 0 || listen(fd, 128) < 0)
        return error_set_errno(err, -errno, "cannot listen at '%s'", api->path);
    *ret_fd = take_fd(&fd);
    return 0;
}

static int watch_http(struct api *api)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(api->http, MHD_DAEMON_INFO_EPOLL_FD);

    if (!info)
        return -ENOSYS;
    api->source =
        (struct loop_source){.fd = info->epoll_fd, .events = EPOLLIN, .callback = on_http};
    return loop_add(api->supervisor->loop, &api->source);
}

DEFINE_CLEANUP(struct api, api_destroy)

int api_create(struct supervisor *supervisor, struct api **ret_api, struct error *err)
{
    _cleanup_(api_destroy_cleanup) struct api *api = calloc(1, sizeof(*api));
    int fd = -1, r;

    if (!api)
        return error_set(err, -ENOMEM, "out of memory");
    api->supervisor = supervisor;
    api->patience.callback = on_patience;
    r = listen_at(api, &fd, err);
    if (r < 0)
        return r;
    api->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                                 on_request, api, MHD_OPTION_LISTEN_SOCKET, fd,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
                                 MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    if (!api->http) {
        close(fd);
        return error_set(err, -ENOMEM, "cannot start the HTTP server");
    }
    r = watch_http(api);
    if (r < 0)
        return error_set_errno(err, r, "cannot watch the HTTP server");
    supervisor->event = on_event;
    supervisor->event_context = api;
    *ret_api = take_ptr(api);
    return 0;
}

void api_destroy(struct api *api)
{
    if (!api)
        return;
    api->supervisor->event = NULL;
    deadline_clear(&api->supervisor->deadlines, &api->patience);
    loop_remove(api->supervisor->loop, &api->source);
    api_events_end(&api->events);
    if (api->http)
        MHD_stop_daemon(api->http);
    if (api->path[0])
        unlink(api->path);
    free(api);
}
