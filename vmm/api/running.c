/* After the start: what is asked of the VM process, and what its answers change here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "body.h"
#include "internal.h"

static void forget_question(struct api *api)
{
    free(api->question.path);
    api->question = (struct api_question){0};
}

/* Ask. What only the answer makes true is in the question, and taken over then. */
static int ask(struct api *api, struct api_question *question, const int *fds, unsigned count,
               struct error *err)
{
    int r = channel_send(&api->channel, &question->command, fds, count);

    if (r < 0) {
        free(take_ptr(question->path));
        return error_set_errno(err, r, "the machine cannot be asked");
    }
    api->question = *question;
    return 0;
}

static int ask_for(struct api_call *call, struct api_question *question, const int *fds,
                   unsigned count, struct error *err)
{
    int r;

    question->client = call->client;
    r = ask(call->api, question, fds, count, err);
    call->pending = r == 0;
    return r;
}

static int ask_plainly(struct api_call *call, enum channel_kind kind, struct error *err)
{
    struct api_question question = {.command.kind = kind};

    return ask_for(call, &question, NULL, 0, err);
}

/* ---- /vm, /actions ---- */

int api_patch_vm(struct api_call *call, struct error *err)
{
    static const struct body_field table[] = {{"state", BODY_STRING, true, 0}, {0}};
    static const char *const states[] = {"Paused", "Resumed", NULL};
    const char *state = NULL;
    int r = body_read(call->body, table, &state, err);

    if (r == 0)
        r = body_choose("state", state, states, err);
    return r < 0 ? r : ask_plainly(call, r == 0 ? CHANNEL_PAUSE : CHANNEL_RESUME, err);
}

static int begin_start(struct api_call *call, struct error *err)
{
    struct api *api = call->api;

    if (api->state != API_NOT_STARTED)
        return error_set(err, -EPERM, "InstanceStart cannot be done after boot");
    if (!api->settings.has_kernel)
        return error_set(err, -EINVAL, "there is nothing to start: no /boot-source was given");
    api->state = API_STARTING;
    api->starter = call->client;
    call->pending = true;
    loop_stop(api->loop);
    return 0;
}

static char *write_metrics(struct api *api, const struct channel_answer *answer)
{
    api_metrics_write(api, &answer->counters);
    return NULL;
}

int api_put_action(struct api_call *call, struct error *err)
{
    static const struct body_field table[] = {{"action_type", BODY_STRING, true, 0}, {0}};
    static const char *const actions[] = {"InstanceStart", "FlushMetrics", "SendCtrlAltDel", NULL};
    struct api_question question = {.command.kind = CHANNEL_COUNTERS, .body = write_metrics};
    const char *action = NULL;
    int r = body_read(call->body, table, &action, err);

    if (r == 0)
        r = body_choose("action_type", action, actions, err);
    if (r < 0)
        return r;
    if (r == 0)
        return begin_start(call, err);
    if (call->api->state == API_NOT_STARTED)
        return error_set(err, -EPERM, "%s cannot be done before boot", action);
    if (r == 2)
        return ask_plainly(call, CHANNEL_CTRL_ALT_DEL, err);
    if (call->api->metrics_fd < 0)
        return error_set(err, -EINVAL, "there is no file for them: no /metrics was given");
    return ask_for(call, &question, NULL, 0, err);
}

/* ---- /drives/{id} ---- */

void api_note_disks(struct api *api)
{
    struct stat st;

    for (unsigned i = 0; i < api->config->devices.disk_count; i++) {
        const char *path = api->config->devices.disks[i].path;

        if (!path || stat(path, &st) < 0)
            continue;
        api->disks[i].device = st.st_dev;
        api->disks[i].inode = st.st_ino;
    }
}

/*
 * Open the new file as the VM process opened the old one. Where it is the same file, which is
 * locked by that, only its size is taken anew, and nothing is to be sent along.
 */
static int open_file(struct api *api, unsigned place, const char *path,
                     struct api_question *question, struct error *err)
{
    const struct config_disk *disk = &api->config->devices.disks[place];
    struct virtio_block_options options = {
        .path = path,
        .read_only = disk->read_only,
        .cache = disk->cache == DISK_DIRECT ? BLOCK_CACHE_DIRECT : BLOCK_CACHE_WRITEBACK,
    };
    struct block_file *file = &question->command.file;
    struct stat st;
    int r;

    question->command.has_file = 1;
    file->fd = file->buffered_fd = -1;
    if (stat(path, &st) < 0)
        return error_set_errno(err, -errno, "path_on_host '%s'", path);
    question->device = st.st_dev;
    question->inode = st.st_ino;
    if (api->disks[place].inode == st.st_ino && api->disks[place].device == st.st_dev) {
        if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size % BLOCK_SECTOR_SIZE)
            return error_set(err, -EINVAL, "path_on_host '%s': its size is none of a disk", path);
        file->size = (uint64_t)st.st_size;
        return 0;
    }
    r = block_file_open(&options, file, err);
    return r < 0 ? error_prefix(err, r, "path_on_host '%s'", path) : 0;
}

static int send_disk(struct api_call *call, struct api_question *question, const char *path,
                     struct error *err)
{
    struct block_file *file = &question->command.file;
    const int fds[CHANNEL_MAX_FDS] = {file->fd, file->buffered_fd};
    unsigned count = fds[0] < 0 ? 0 : fds[1] < 0 ? 1 : 2;

    if (path)
        question->path = strdup(path);
    if (path && !question->path)
        return error_set(err, -ENOMEM, "out of memory");
    return ask_for(call, question, fds, count, err);
}

int api_patch_disk(struct api_call *call, struct error *err)
{
    struct disk_body {
        const char *id, *path;
        struct rate_limit_change rate;
    } read = {0};
    static const struct body_field table[] = {
        {"drive_id", BODY_STRING, true, offsetof(struct disk_body, id)},
        {"path_on_host", BODY_STRING, false, offsetof(struct disk_body, path)},
        {"rate_limiter", BODY_RATE, false, offsetof(struct disk_body, rate)},
        {0},
    };
    struct api_question question = {.command.kind = CHANNEL_DISK};
    int place = settings_find_disk(call->api->config, call->id);
    int r = body_read(call->body, table, &read, err);

    if (r == 0)
        r = settings_check_id("drive_id", call->id, read.id, err);
    if (r == 0 && place < 0)
        r = error_set(err, -ENODEV, "there is no drive '%s'", call->id);
    if (r < 0)
        return r;
    question.command.device = (uint32_t)place;
    question.command.rate = read.rate;
    question.command.file.fd = question.command.file.buffered_fd = -1;
    if (read.path)
        r = open_file(call->api, (unsigned)place, read.path, &question, err);
    if (r == 0)
        r = send_disk(call, &question, read.path, err);
    if (read.path)
        block_file_close(&question.command.file);
    return r;
}

/* ---- /network-interfaces/{id}, /balloon ---- */

int api_patch_net(struct api_call *call, struct error *err)
{
    struct net_body {
        const char *id;
        struct rate_limit_change rx, tx;
    } read = {0};
    static const struct body_field table[] = {
        {"iface_id", BODY_STRING, true, offsetof(struct net_body, id)},
        {"rx_rate_limiter", BODY_RATE, false, offsetof(struct net_body, rx)},
        {"tx_rate_limiter", BODY_RATE, false, offsetof(struct net_body, tx)},
        {0},
    };
    struct api_question question = {.command.kind = CHANNEL_NET};
    int place = settings_find_net(call->api->config, call->id);
    int r = body_read(call->body, table, &read, err);

    if (r == 0)
        r = settings_check_id("iface_id", call->id, read.id, err);
    if (r == 0 && place < 0)
        r = error_set(err, -ENODEV, "there is no network interface '%s'", call->id);
    if (r < 0)
        return r;
    question.command.device = (uint32_t)place;
    question.command.rate = read.rx;
    question.command.tx_rate = read.tx;
    return ask_for(call, &question, NULL, 0, err);
}

static int check_balloon(const struct api *api, struct error *err)
{
    return api->config->devices.balloon.wanted ? 0 : error_set(err, -ENODEV, "there is no balloon");
}

int api_patch_balloon(struct api_call *call, struct error *err)
{
    static const struct body_field table[] = {{"amount_mib", BODY_NUMBER, true, 0}, {0}};
    struct api_question question = {.command.kind = CHANNEL_BALLOON};
    struct body_number amount = {0};
    int r = body_read(call->body, table, &amount, err);

    if (r == 0)
        r = check_balloon(call->api, err);
    if (r == 0 && amount.value > call->api->config->mem_size / MIB)
        r = error_set(err, -ERANGE, "amount_mib: the guest has not so much memory");
    question.command.balloon_bytes = amount.value * MIB;
    return r < 0 ? r : ask_for(call, &question, NULL, 0, err);
}

int api_patch_balloon_statistics(struct api_call *call, struct error *err)
{
    static const struct body_field table[] = {{"stats_polling_interval_s", BODY_NUMBER, true, 0},
                                              {0}};
    struct api_question question = {.command.kind = CHANNEL_BALLOON_INTERVAL};
    struct body_number interval = {0};
    int r = body_read(call->body, table, &interval, err);

    if (r == 0)
        r = check_balloon(call->api, err);
    if (r == 0 && !call->api->config->devices.balloon.stats_interval_s != !interval.value)
        r = error_set(err, -EINVAL, "statistics cannot be switched on or off after boot");
    if (r == 0 && interval.value > 86400)
        r = error_set(err, -EINVAL, "stats_polling_interval_s: 1 to 86400");
    question.command.balloon_interval_s = (uint32_t)interval.value;
    return r < 0 ? r : ask_for(call, &question, NULL, 0, err);
}

static char *statistics_body(struct api *api, const struct channel_answer *answer)
{
    static const char *const names[VIRTIO_BALLOON_STAT_COUNT] = {
        "swap_in",          "swap_out",    "major_faults",
        "minor_faults",     "free_memory", "total_memory",
        "available_memory", "disk_caches", "hugetlb_allocations",
        "hugetlb_failures"};
    const struct virtio_balloon_info *info = &answer->counters.balloon;
    json_auto_t *root = json_object();

    (void)api;
    json_object_set_new(root, "target_pages",
                        json_integer((json_int_t)(info->target_bytes / 4096)));
    json_object_set_new(root, "actual_pages",
                        json_integer((json_int_t)(info->actual_bytes / 4096)));
    json_object_set_new(root, "target_mib", json_integer((json_int_t)(info->target_bytes / MIB)));
    json_object_set_new(root, "actual_mib", json_integer((json_int_t)(info->actual_bytes / MIB)));
    for (unsigned i = 0; i < VIRTIO_BALLOON_STAT_COUNT; i++) {
        if (info->stats_known & UINT32_C(1) << i)
            json_object_set_new(root, names[i], json_integer((json_int_t)info->stats[i]));
    }
    return json_dumps(root, JSON_COMPACT);
}

int api_get_balloon_statistics(struct api_call *call, struct error *err)
{
    struct api_question question = {.command.kind = CHANNEL_COUNTERS, .body = statistics_body};
    int r = check_balloon(call->api, err);

    if (r == 0 && !call->api->config->devices.balloon.stats_interval_s)
        r = error_set(err, -EINVAL, "the balloon has no statistics: no interval was given");
    return r < 0 ? r : ask_for(call, &question, NULL, 0, err);
}

/* ---- /metrics ---- */

static char *metrics_body(struct api *api, const struct channel_answer *answer)
{
    json_auto_t *root = api_metrics(api, &answer->counters);

    return root ? json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
}

int api_get_metrics(struct api_call *call, struct error *err)
{
    struct api_question question = {.command.kind = CHANNEL_COUNTERS, .body = metrics_body};

    return ask_for(call, &question, NULL, 0, err);
}

void api_metrics_ask(struct api *api)
{
    struct api_question question = {.command.kind = CHANNEL_COUNTERS, .body = write_metrics};

    api->metrics_due = api->channel.waiting;
    if (!api->channel.waiting)
        ask(api, &question, NULL, 0, NULL); /* where it cannot be asked, the next minute has one */
}

/* ---- Answers. ---- */

static void change_rate(struct config_rate *rate, const struct rate_limit_change *change)
{
    if (change->has_bytes)
        rate->bytes = change->bytes;
    if (change->has_operations)
        rate->operations = change->operations;
}

/* It was done: the configuration says so, too. */
static void take_over(struct api *api)
{
    struct api_question *question = &api->question;
    const struct channel_command *command = &question->command;
    struct device_config *devices = &api->config->devices;

    if (command->kind == CHANNEL_DISK) {
        struct config_disk *disk = &devices->disks[command->device];

        change_rate(&disk->rate, &command->rate);
        if (question->path) {
            free(disk->path);
            disk->path = take_ptr(question->path);
            api->disks[command->device].device = question->device;
            api->disks[command->device].inode = question->inode;
        }
    } else if (command->kind == CHANNEL_NET) {
        change_rate(&devices->nets[command->device].rx, &command->rate);
        change_rate(&devices->nets[command->device].tx, &command->tx_rate);
    } else if (command->kind == CHANNEL_BALLOON) {
        devices->balloon.target = command->balloon_bytes;
    } else if (command->kind == CHANNEL_BALLOON_INTERVAL) {
        devices->balloon.stats_interval_s = command->balloon_interval_s;
    }
}

static void on_started(struct api *api, const struct channel_answer *answer, const char *why)
{
    struct api_client *starter = take_ptr(api->starter);

    if (answer && answer->error == 0) {
        api->state = API_RUNNING;
        api->started_ns = clock_monotonic_ns();
        if (starter)
            api_answer(api, starter, 204, NULL);
    } else if (starter) {
        api_answer_fault(api, starter, answer ? answer->text : why);
    }
}

static void answer_question(struct api *api, const struct channel_answer *answer, const char *why)
{
    struct api_client *client = api->question.client;
    _cleanup_free_ char *body = NULL;

    if (answer && answer->error == 0) {
        take_over(api);
        if (api->question.body)
            body = api->question.body(api, answer);
        if (client)
            api_answer(api, client, body ? 200 : 204, body);
    } else if (client) {
        api_answer_fault(api, client,
                         !answer           ? why
                         : answer->text[0] ? answer->text
                                           : "the machine cannot do it");
    }
}

void api_on_answer(struct channel *channel, const struct channel_answer *answer, const char *why)
{
    struct api *api = container_of(channel, struct api, channel);

    if (api->state == API_STARTING) {
        on_started(api, answer, why);
    } else {
        if (answer)
            api->state = answer->paused ? API_PAUSED : API_RUNNING;
        answer_question(api, answer, why);
        forget_question(api);
    }
    if (api->metrics_due)
        api_metrics_ask(api);
    api_server_go_on(api->server);
}

void api_on_late_answer(struct channel *channel, const struct channel_answer *answer)
{
    struct api *api = container_of(channel, struct api, channel);

    api->state = answer->paused ? API_PAUSED : API_RUNNING;
}
