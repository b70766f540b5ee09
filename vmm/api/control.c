#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/pass.h"
#include "base/util.h"
#include "channel.h"
#include "machine.h"

/* ---- Answers. ---- */

/* Where the guardian does not read, it has given the answer up. */
static void send_answer(const struct control *control, const struct channel_answer *answer)
{
    if (send(control->source.fd, answer, sizeof(*answer), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return;
}

static void answer(const struct control *control, uint32_t number, int error, const char *text)
{
    struct channel_answer message;

    memset(&message, 0, sizeof(message)); /* the padding too */
    message.number = number;
    message.error = error;
    message.paused = control->paused;
    snprintf(message.text, sizeof(message.text), "%s", text);
    send_answer(control, &message);
}

/* ---- Standing still. ---- */

static void on_stopped(struct gate_hold *hold)
{
    struct control *control = container_of(hold, struct control, hold);

    control->paused = true;
    if (control->pause_number)
        answer(control, control->pause_number, 0, "");
    control->pause_number = 0;
}

static void pause_machine(struct control *control, uint32_t number)
{
    if (control->paused) {
        answer(control, number, 0, "");
        return;
    }
    control->pause_number = number; /* of one before, nobody waits for the answer any more */
    machine_pause(control->machine, &control->hold);
}

static void resume_machine(struct control *control, uint32_t number)
{
    machine_resume(control->machine, &control->hold);
    control->paused = false;
    control->pause_number = 0;
    answer(control, number, 0, "");
}

/* ---- Counters. ---- */

static void count_devices(const struct machine *machine, struct channel_counters *counters)
{
    const struct devices *devices = machine->devices;

    for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++) {
        if (devices_disk(devices, i))
            virtio_block_counters_get(devices_disk(devices, i), &counters->disks[i]);
    }
    for (unsigned i = 0; i < CONFIG_MAX_NETS; i++) {
        if (devices_net(devices, i))
            virtio_net_counters_get(devices_net(devices, i), &counters->nets[i]);
    }
    if (devices_vsock(devices))
        virtio_vsock_read_counters(devices_vsock(devices), &counters->vsock);
    if (devices_rng(devices))
        virtio_rng_counters_get(devices_rng(devices), &counters->rng);
    if (devices_balloon(devices))
        virtio_balloon_get_info(devices_balloon(devices), &counters->balloon);
}

static void answer_counters(struct control *control, uint32_t number)
{
    struct machine *machine = control->machine;
    struct channel_answer message;
    struct channel_counters *counters = &message.counters;

    memset(&message, 0, sizeof(message));
    message.number = number;
    message.paused = control->paused;
    counters->guest_bytes = guest_memory_size(machine->mem);
    counters->guest_resident_bytes = guest_memory_resident(machine->mem);
    counters->ready = machine_guest_is_ready(machine);
    exit_counts_read(machine, &counters->exits);
    count_devices(machine, counters);
    send_answer(control, &message);
}

/* ---- Devices. ---- */

/* Whether a disk may have that file. */
static const char *check_file(const struct control *control, const struct channel_command *command,
                              const struct virtio_device *disk)
{
    const struct config *config = control->machine->config;

    if (config->limits.disk_bytes && !config->devices.disks[command->device].read_only &&
        command->file.size > virtio_block_size(disk))
        return "--disk-limit: a disk may not become larger";
    return NULL;
}

/* Takes the descriptors over where it succeeds. Returns NULL, or why not. */
static const char *change_disk(struct control *control, const struct channel_command *command,
                               int fds[CHANNEL_MAX_FDS])
{
    struct virtio_device *disk = devices_disk(control->machine->devices, command->device);
    struct block_file file = command->file;
    const char *wrong = disk ? NULL : "there is no such disk";

    if (!wrong && command->has_file)
        wrong = check_file(control, command, disk);
    if (wrong)
        return wrong;
    if (command->has_file) {
        file.fd = take_fd(&fds[0]);
        file.buffered_fd = take_fd(&fds[1]);
        virtio_block_replace(disk, &file);
    }
    virtio_block_set_rate(disk, &command->rate);
    return NULL;
}

static const char *change_net(struct control *control, const struct channel_command *command)
{
    struct virtio_device *net = devices_net(control->machine->devices, command->device);

    if (!net)
        return "there is no such device";
    virtio_net_set_rates(net, &command->rate, &command->tx_rate);
    return NULL;
}

static const char *set_balloon(struct control *control, const struct channel_command *command)
{
    struct virtio_device *balloon = devices_balloon(control->machine->devices);

    if (!balloon)
        return "there is no balloon";
    if (command->kind == CHANNEL_BALLOON_INTERVAL)
        virtio_balloon_set_interval(balloon, command->balloon_interval_s);
    else if (virtio_balloon_set_target(balloon, command->balloon_bytes) < 0)
        return "the guest has not so much memory";
    return NULL;
}

static const char *press_keys(struct control *control)
{
    return i8042_press_ctrl_alt_del(&control->machine->i8042) < 0
               ? "the guest does not listen to its keyboard"
               : NULL;
}

static void obey(struct control *control, const struct channel_command *command,
                 int fds[CHANNEL_MAX_FDS])
{
    const char *wrong = NULL;

    switch (command->kind) {
    case CHANNEL_PAUSE:
        pause_machine(control, command->number);
        return;
    case CHANNEL_RESUME:
        resume_machine(control, command->number);
        return;
    case CHANNEL_COUNTERS:
        answer_counters(control, command->number);
        return;
    case CHANNEL_DISK:
        wrong = change_disk(control, command, fds);
        break;
    case CHANNEL_NET:
        wrong = change_net(control, command);
        break;
    case CHANNEL_BALLOON:
    case CHANNEL_BALLOON_INTERVAL:
        wrong = set_balloon(control, command);
        break;
    case CHANNEL_CTRL_ALT_DEL:
        wrong = press_keys(control);
        break;
    default:
        wrong = "an unknown command";
    }
    answer(control, command->number, wrong ? -EINVAL : 0, wrong ? wrong : "");
}

static void on_command(struct loop_source *source, uint32_t events)
{
    struct control *control = container_of(source, struct control, source);
    struct channel_command command;
    int fds[CHANNEL_MAX_FDS];
    ssize_t n =
        pass_receive(source->fd, &command, sizeof(command), fds, CHANNEL_MAX_FDS, MSG_DONTWAIT);

    (void)events;
    if (n == -EAGAIN)
        return;
    if (n <= 0) { /* the guardian has closed it; the machine goes on */
        loop_remove(control->machine->loop, source);
        return;
    }
    if (n == sizeof(command))
        obey(control, &command, fds);
    for (unsigned i = 0; i < CHANNEL_MAX_FDS; i++)
        close_fd(fds[i]);
}

/* ---- Its life. ---- */

void control_init(struct control *control, struct machine *machine, int fd)
{
    *control = (struct control){
        .machine = machine,
        .source = {.fd = fd, .events = EPOLLIN, .callback = on_command},
        .hold.stopped = on_stopped,
    };
}

void control_destroy(struct control *control)
{
    if (control->source.fd < 0)
        return;
    loop_remove(control->machine->loop, &control->source);
    close_fd(take_fd(&control->source.fd));
}

int control_start(struct control *control)
{
    int r;

    if (control->source.fd < 0)
        return 0;
    r = loop_add(control->machine->loop, &control->source);
    if (r == 0)
        answer(control, 0, 0, "");
    return r;
}

void control_fail(int fd, const char *why)
{
    const struct control control = {.source.fd = fd};

    if (fd >= 0)
        answer(&control, 0, -EINVAL, why);
}
