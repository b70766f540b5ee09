#include "streams.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../monitor.h"
#include "../paths.h"
#include "base/cleanup.h"
#include "base/listen.h"
#include "base/pass.h"
#include "base/util.h"

static void on_client(struct loop_source *source, uint32_t events)
{
    struct streams *streams = container_of(source, struct streams, listener);
    _cleanup_close_ int connection = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    const char yours = STREAMS_YOURS, taken = STREAMS_TAKEN;

    (void)events;
    if (connection < 0)
        return;
    if (streams->client < 0)
        send(connection, &taken, 1, MSG_NOSIGNAL); /* one that is gone again misses nothing */
    else if (pass_send(connection, &yours, 1, &streams->client, 1, 0) == 0)
        close_fd(take_fd(&streams->client));
}

int streams_open(const char *folder, struct streams *ret_streams, struct error *err)
{
    struct streams streams = {.listener = {.fd = -1, .events = EPOLLIN, .callback = on_client}};
    char path[PATH_MAX];
    int ends[2];

    *ret_streams = streams;
    ret_streams->server = ret_streams->client = -1;
    if (snprintf(path, sizeof(path), "%s/" RUN_STDIO, folder) >= (int)sizeof(path))
        return error_set(err, -ENAMETOOLONG, "the run folder's path is too long");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set_errno(err, -errno, "cannot make the server's input and output");
    ret_streams->server = ends[0];
    ret_streams->client = ends[1];
    return listen_unix(path, &ret_streams->listener.fd, err);
}

int streams_watch(struct streams *streams, struct loop *loop)
{
    return streams->listener.fd < 0 ? 0 : loop_add(loop, &streams->listener);
}

void streams_close(struct streams *streams, struct loop *loop)
{
    if (loop)
        loop_remove(loop, &streams->listener);
    close_fd(take_fd(&streams->listener.fd));
    close_fd(take_fd(&streams->server));
    close_fd(take_fd(&streams->client));
}
