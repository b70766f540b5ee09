/* From a port write to the call, and back with its result. */
#include "calls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

#define CALL_WIDTH 4 /* `out dx, eax` */

/* ---- The way in. ---- */

static const struct call_interface *interface_of(unsigned number)
{
    static const struct call_interface *const interfaces[] = {
        [1] = &call_interface_1,
        [2] = &call_interface_2,
        [3] = &call_interface_3,
    };

    return number < ARRAY_SIZE(interfaces) ? interfaces[number] : NULL;
}

/* The index of the call at a port; `count` where there is none. */
static size_t find_kind(const struct call_interface *interface, uint16_t port)
{
    size_t at = (size_t)(port - interface->first_port) / interface->port_step;

    if (port < interface->first_port || at >= interface->count ||
        (port - interface->first_port) % interface->port_step || !interface->kinds[at].name)
        return interface->count;
    return at;
}

static void add_count(uint64_t *counter, uint64_t by)
{
    __atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/* A call that cannot be answered: the guest is not told, so a person is. */
static void note(struct hermit_calls *calls, const char *name, uint64_t argument, int64_t error)
{
    log_write_limited(calls->log, &calls->log_limit, LOG_WARNING,
                      "hypercall %s (argument 0x%" PRIx64 "): %s", name, argument,
                      strerrordesc_np((int)-error));
}

static void put_tagged(uint8_t *bytes, int64_t result, bool has_length)
{
    uint32_t end_tag = 2, error_tag = has_length ? 3 : 2;

    if (result < 0) {
        store_le32(bytes, error_tag);
        store_le32(bytes + (has_length ? 8 : 4), (uint32_t)-result);
    } else if (has_length) {
        store_le32(bytes, result == 0 ? end_tag : 1);
        store_le64(bytes + 8, (uint64_t)result);
    } else {
        store_le32(bytes, 1);
    }
}

/* Tell the result. The structure was memory when it was read, and memory stays memory. */
static void answer(struct call *call, const struct call_kind *kind, int64_t result)
{
    uint8_t bytes[16] = {0};
    size_t len = 0;
    void *host;

    switch (kind->result) {
    case RESULT_NONE:
        break;
    case RESULT_I32:
        store_le32(bytes, (uint32_t)result);
        len = 4;
        break;
    case RESULT_I64:
        store_le64(bytes, (uint64_t)result);
        len = 8;
        break;
    case RESULT_TAGGED:
        put_tagged(bytes, result, false);
        len = 8;
        break;
    case RESULT_TAGGED_LENGTH:
        put_tagged(bytes, result, true);
        len = 16;
        break;
    }
    if (len > 0 &&
        guest_memory_span(call->calls->mem, call->argument + kind->result_at, len, &host) == 0)
        memcpy(host, bytes, len);
    else if (result < 0)
        note(call->calls, kind->name, call->argument, result);
}

static void serve(struct hermit_calls *calls, const struct hypercall_cpu *cpu,
                  const struct call_kind *kind, uint64_t argument)
{
    struct call call = {.calls = calls, .cpu = cpu, .argument = argument};
    int r = guest_memory_read(calls->mem, argument, call.args, kind->size);

    if (kind->size > 0 && r < 0)
        note(calls, kind->name, argument, r);
    else
        answer(&call, kind, kind->serve(&call));
}

/* A console byte, or in interface 1 several by `rep outsb`. */
static void serve_bytes(struct hermit_calls *calls, const struct hypercall_out *out, uint64_t rdi)
{
    uint8_t byte = (uint8_t)rdi;

    if (calls->interface->argument_in_rdi)
        calls->console->write(calls->console, &byte, 1);
    else if (out->size == 1)
        calls->console->write(calls->console, out->data, out->count);
    else
        for (uint32_t i = 0; i < out->count; i++)
            calls->console->write(calls->console, (const uint8_t *)out->data + i * out->size, 1);
}

static bool on_out(struct hypercall_sink *sink, const struct hypercall_cpu *cpu,
                   const struct hypercall_out *out)
{
    struct hermit_calls *calls = container_of(sink, struct hermit_calls, sink);
    const struct call_interface *interface = calls->interface;
    size_t at = find_kind(interface, out->port);
    uint64_t argument = 0;
    int r = 0;

    if (at == interface->count)
        return false;
    add_count(&calls->counts[at], out->count);
    if (interface->argument_in_rdi)
        r = cpu->ops->read_rdi(cpu, &argument);
    else if (at != interface->byte_kind && (out->size != CALL_WIDTH || out->count != 1))
        r = -EINVAL;
    else if (out->size == CALL_WIDTH)
        argument = load_le32(out->data);
    if (r < 0)
        note(calls, interface->kinds[at].name, argument, r);
    else if (at == interface->byte_kind)
        serve_bytes(calls, out, argument);
    else
        serve(calls, cpu, &interface->kinds[at], argument);
    return true;
}

/* ---- The object. ---- */

DEFINE_CLEANUP(struct hermit_calls, hermit_calls_destroy)

static int check_options(const struct hermit_options *options, struct error *err)
{
    if (!interface_of(options->interface))
        return error_set(err, -EINVAL, "the image wants hypercall interface %u; %d to %d are known",
                         options->interface, HERMIT_INTERFACE_MIN, HERMIT_INTERFACE_MAX);
    if (options->interface > 1)
        return 0;
    if (options->argument_count > HERMIT_MAX_STRINGS)
        return error_set(err, -E2BIG,
                         "%zu arguments, the program's name among them, are more than an image of "
                         "interface 1 can take (%d)",
                         options->argument_count, HERMIT_MAX_STRINGS);
    if (options->environment_count > HERMIT_MAX_STRINGS)
        return error_set(err, -E2BIG,
                         "%zu environment variables are more than an image of interface 1 can take "
                         "(%d)",
                         options->environment_count, HERMIT_MAX_STRINGS);
    return 0;
}

int hermit_calls_create(const struct hermit_options *options, struct hermit_calls **ret_calls,
                        struct error *err)
{
    _cleanup_(hermit_calls_destroy_cleanup) struct hermit_calls *calls = NULL;
    int r = check_options(options, err);

    if (r < 0)
        return r;
    calls = calloc(1, sizeof(*calls));
    if (!calls)
        return error_set(err, -ENOMEM, "out of memory");
    calls->interface = interface_of(options->interface);
    calls->sink.out = on_out;
    calls->sink.wants_rdi = calls->interface->argument_in_rdi;
    calls->mem = options->mem;
    calls->files = options->files;
    calls->console = options->console;
    calls->power = options->power;
    calls->log = options->log;
    r = call_strings_init(&calls->arguments, options->arguments, options->argument_count);
    if (r == 0)
        r = call_strings_init(&calls->environment, options->environment,
                              options->environment_count);
    if (r < 0)
        return error_set(err, r, "out of memory");
    *ret_calls = take_ptr(calls);
    return 0;
}

void hermit_calls_destroy(struct hermit_calls *calls)
{
    if (!calls)
        return;
    call_strings_deinit(&calls->arguments);
    call_strings_deinit(&calls->environment);
    free(calls);
}

struct hypercall_sink *hermit_calls_sink(struct hermit_calls *calls)
{
    return &calls->sink;
}

const char *hermit_calls_count(const struct hermit_calls *calls, size_t *at, uint64_t *ret_count)
{
    const struct call_interface *interface = calls->interface;

    while (*at < interface->count && !interface->kinds[*at].name)
        ++*at;
    if (*at >= interface->count)
        return NULL;
    *ret_count = __atomic_load_n(&calls->counts[*at], __ATOMIC_RELAXED);
    return interface->kinds[(*at)++].name;
}
