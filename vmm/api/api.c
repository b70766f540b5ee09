/* The API's life: before the start, at it, and beside the guardian's wait. */
#include "api.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "body.h"
#include "guardian.h"
#include "internal.h"

static void on_signal(struct loop_signals *signals, const struct signalfd_siginfo *info)
{
    struct api *api = container_of(signals, struct api, signals);

    api->ended_by = (int)info->ssi_signo;
    loop_stop(api->loop);
}

DEFINE_CLEANUP(struct api, api_destroy)

int api_create(struct config *config, const struct log *log, struct api **ret_api,
               struct error *err)
{
    _cleanup_(api_destroy_cleanup) struct api *api = calloc(1, sizeof(*api));
    sigset_t mask;
    int r;

    if (!api)
        return error_set(err, -ENOMEM, "out of memory");
    api->config = config;
    api->log = log;
    api->settings = (struct settings){.config = config, .has_kernel = config->kernel != NULL};
    api->metrics_fd = -1;
    api->metrics_timer.source.fd = -1;
    api->channel.source.fd = -1;
    api->user.request = api_on_request;
    /* The tables of a client whom we trust need no random seed, nor a file to read one from. */
    json_object_seed(1);
    guardian_block_ending_signals(&mask);
    r = loop_create(&api->loop);
    if (r == 0) {
        api->signals.callback = on_signal;
        r = loop_signals_add(api->loop, &api->signals, &mask);
    }
    if (r < 0)
        return error_set_errno(err, r, "cannot make the API's loop");
    r = api_server_create(config->api_sock, api->loop, &api->user, &api->server, err);
    if (r < 0)
        return error_prefix(err, r, "--api-sock %s", config->api_sock);
    *ret_api = take_ptr(api);
    return 0;
}

static void free_api(struct api *api)
{
    settings_free(&api->settings);
    free(api->question.path);
    free(api);
}

void api_destroy(struct api *api)
{
    if (!api)
        return;
    api_refuse(api, "the machine has ended before it could run");
    if (api->channel.waiting && api->question.client)
        api_answer_fault(api, api->question.client, "the machine has ended");
    api_server_destroy(api->server);
    channel_close(&api->channel);
    if (api->loop) {
        api_metrics_stop(api);
        loop_signals_remove(api->loop, &api->signals);
    }
    loop_destroy(api->loop);
    free_api(api);
}

void api_forget(struct api *api)
{
    if (!api)
        return;
    api_server_forget(api->server);
    if (api->signals.source.added)
        close_fd(api->signals.source.fd);
    loop_destroy(api->loop);
    free_api(api);
}

int api_await_start(struct api *api)
{
    int r = loop_run(api->loop);

    return r < 0 ? r : api->ended_by;
}

int api_finish_config(struct api *api, bool linux_kernel, struct error *err)
{
    struct settings *settings = &api->settings;

    settings->default_cmdline = settings->default_cmdline && linux_kernel;
    if (settings->default_cmdline && !settings->root_disk) {
        api->config->cmdline = strdup(SETTINGS_DEFAULT_CMDLINE);
        if (!api->config->cmdline)
            return error_set(err, -ENOMEM, "out of memory");
    }
    api_note_disks(api);
    return settings_finish(settings, err);
}

void api_refuse(struct api *api, const char *why)
{
    if (api && api->starter)
        api_answer_fault(api, take_ptr(api->starter), why);
}

int api_follow(struct api *api, int fd, pid_t vm)
{
    int r;

    loop_signals_remove(api->loop, &api->signals); /* the guardian takes them now, and others */
    api->vm = vm;
    api->state = API_STARTING;
    api->channel.answered = api_on_answer;
    api->channel.late = api_on_late_answer;
    r = channel_open(&api->channel, api->loop, fd);
    return r < 0 ? r : api_metrics_start(api);
}

struct loop *api_loop(struct api *api)
{
    return api->loop;
}

size_t api_descriptors(const struct api *api, int *fds)
{
    size_t count = api_server_descriptors(api->server, fds);

    count += loop_descriptors(api->loop, fds + count);
    fds[count++] = api->channel.source.fd;
    fds[count++] = api->metrics_fd;
    if (api->channel.timer.source.added)
        fds[count++] = api->channel.timer.source.fd;
    if (api->metrics_timer.source.added)
        fds[count++] = api->metrics_timer.source.fd;
    return count;
}
