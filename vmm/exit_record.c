#include "exit_record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/util.h"
#include "exits.h"
#include "hermit_machine.h"
#include "virtio/balloon.h"

/* Microseconds from the start of the process to each stage that was reached. */
static json_t *stages_json(const struct stages *stages)
{
    json_t *object = json_object();

    for (unsigned i = 0; i < STAGE_COUNT; i++) {
        if (stages->reached_ns[i])
            json_object_set_new(
                object, stage_name(i),
                json_integer(
                    (json_int_t)((stages->reached_ns[i] - stages->process_start_ns) / NS_PER_US)));
    }
    return object;
}

/* By kind, those that were made. */
static json_t *hypercalls_json(const struct hermit_calls *calls)
{
    json_t *object = json_object();
    const char *name;
    uint64_t count;
    size_t at = 0;

    while ((name = hermit_calls_count(calls, &at, &count))) {
        if (count > 0)
            json_object_set_new(object, name, json_integer((json_int_t)count));
    }
    return object;
}

/* A field of /proc/self/status in bytes, 0 where it is not there. */
static uint64_t status_field(const char *status, const char *name)
{
    const char *line = strstr(status, name);
    uint64_t kib;

    if (!line || sscanf(line + strlen(name), ": %" SCNu64, &kib) != 1)
        return 0;
    return kib * KIB;
}

static json_t *memory_json(const struct machine *machine)
{
    char status[4096]; /* it is less than half of that */
    json_t *object = json_object();
    ssize_t len =
        machine->status_fd < 0 ? 0 : pread(machine->status_fd, status, sizeof(status) - 1, 0);
    uint64_t guest = guest_memory_resident(machine->mem), own;

    json_object_set_new(object, "guest-bytes",
                        json_integer((json_int_t)guest_memory_size(machine->mem)));
    json_object_set_new(object, "guest-resident-bytes", json_integer((json_int_t)guest));
    if (len <= 0)
        return object;
    status[len] = '\0';
    /* What is anonymous or of files is the VMM's own; guest memory is shared memory, mostly. */
    own = status_field(status, "RssAnon") + status_field(status, "RssFile");
    if (guest_memory_is_anonymous(machine->mem))
        own -= min_u64(own, guest);
    json_object_set_new(object, "vmm-resident-bytes", json_integer((json_int_t)own));
    return object;
}

/* What the guest told of its memory is its own word. */
static json_t *balloon_json(struct virtio_device *balloon)
{
    static const struct {
        const char *name;
        enum virtio_balloon_stat tag;
    } told[] = {
        {"guest-total-bytes", VIRTIO_BALLOON_STAT_TOTAL},
        {"guest-free-bytes", VIRTIO_BALLOON_STAT_FREE},
        {"guest-available-bytes", VIRTIO_BALLOON_STAT_AVAILABLE},
        {"guest-caches-bytes", VIRTIO_BALLOON_STAT_CACHES},
    };
    struct virtio_balloon_info info;
    json_t *object = json_object();

    virtio_balloon_get_info(balloon, &info);
    json_object_set_new(object, "target-bytes", json_integer((json_int_t)info.target_bytes));
    json_object_set_new(object, "actual-bytes", json_integer((json_int_t)info.actual_bytes));
    json_object_set_new(object, "given-back-bytes", json_integer((json_int_t)info.discarded_bytes));
    for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
        if (info.stats_known & UINT32_C(1) << told[i].tag)
            json_object_set_new(object, told[i].name,
                                json_integer((json_int_t)info.stats[told[i].tag]));
    }
    return object;
}

int exit_record_open(const char *path, int *ret_fd, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot write exit record '%s'", path);
    json_object_seed(1); /* the keys are ours; else it would open /dev/urandom for the first */
    *ret_fd = fd;
    return 0;
}

static json_t *record_json(const struct machine_end *end, const struct stages *stages,
                           const struct machine *machine)
{
    json_t *root = json_object();
    struct exit_counts exits;
    char rip[24];

    json_object_set_new(root, "reason", json_string(machine_end_reason_name(end->reason)));
    json_object_set_new(root, "status", json_integer(end->status));
    /* The words may hold a file's name, which may be in any encoding. */
    if (json_object_set_new(root, "message", json_string(end->text)) < 0)
        json_object_set_new(root, "message", json_string("(not in UTF-8; see the log)"));
    if (end->rip_known) {
        snprintf(rip, sizeof(rip), "0x%" PRIx64, end->rip);
        json_object_set_new(root, "rip", json_string(rip));
        json_object_set_new(root, "cpu", json_integer(end->cpu));
    }
    if (end->reason == MACHINE_LIMIT)
        json_object_set_new(root, "limit",
                            json_pack("{s:s,s:I}", "name", limit_name(end->limit.kind), "value",
                                      (json_int_t)end->limit.value));
    json_object_set_new(root, "stages-us", stages_json(stages));
    if (machine) {
        exit_counts_read(machine, &exits);
        json_object_set_new(root, "exits", exit_counts_json(&exits));
        if (machine->hermit)
            json_object_set_new(root, "hypercalls",
                                hypercalls_json(hermit_machine_calls(machine->hermit)));
        json_object_set_new(root, "memory", memory_json(machine));
        if (machine->devices && devices_balloon(machine->devices))
            json_object_set_new(root, "balloon", balloon_json(devices_balloon(machine->devices)));
    }
    return root;
}

int exit_record_write(int fd, const struct machine_end *end, const struct stages *stages,
                      const struct machine *machine, struct error *err)
{
    json_auto_t *root = record_json(end, stages, machine);
    size_t len = json_dumpb(root, NULL, 0, JSON_INDENT(2));
    _cleanup_free_ char *text = malloc(len + 1);
    int r;

    if (len == 0 || !text)
        return error_set(err, -ENOMEM, "cannot write the exit record: out of memory");
    json_dumpb(root, text, len, JSON_INDENT(2));
    text[len] = '\n';
    r = io_write_all(fd, text, len + 1);
    return r < 0 ? error_set_errno(err, r, "cannot write the exit record") : 0;
}
