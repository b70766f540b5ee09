/*
 * The command line of interface 1. An image asks for the sizes, makes room, and passes where each
 * string goes. It reads at least eight environment strings whatever it was told, since its array of
 * them has no end mark: so there are always eight, the last ones empty where need be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "calls.h"

#define ENVIRONMENT_MIN 8

/* i32 argc 0, i32 argsz[128] 4, i32 envc 516, i32 envsz[128] 520 */
#define SIZES_HALF (4 + 4 * HERMIT_MAX_STRINGS)

/* argv 0, envp 8: guest-physical arrays of guest-physical addresses */
#define VALUES_ARGV 0
#define VALUES_ENVP 8

int call_strings_init(struct call_strings *strings, const char *const *from, size_t count)
{
    *strings = (struct call_strings){.strings = calloc(count + 1, sizeof(char *))};
    if (!strings->strings)
        return -ENOMEM;
    for (; strings->count < count; strings->count++) {
        strings->strings[strings->count] = strdup(from[strings->count]);
        if (!strings->strings[strings->count])
            return -ENOMEM;
    }
    return 0;
}

void call_strings_deinit(struct call_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->strings[i]);
    free(take_ptr(strings->strings));
    strings->count = 0;
}

static const char *string_at(const struct call_strings *strings, size_t i)
{
    return i < strings->count ? strings->strings[i] : "";
}

static size_t environment_count(const struct hermit_calls *calls)
{
    return max_u64(calls->environment.count, ENVIRONMENT_MIN);
}

static void put_sizes(uint8_t *half, const struct call_strings *strings, size_t count)
{
    store_le32(half, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        store_le32(half + 4 + 4 * i, (uint32_t)strlen(string_at(strings, i)) + 1);
}

int64_t call_string_sizes(struct call *call)
{
    const struct hermit_calls *calls = call->calls;
    uint8_t sizes[2 * SIZES_HALF] = {0};
    void *host;
    int r;

    put_sizes(sizes, &calls->arguments, calls->arguments.count);
    put_sizes(sizes + SIZES_HALF, &calls->environment, environment_count(calls));
    r = guest_memory_span(calls->mem, call->argument, sizeof(sizes), &host);
    if (r == 0)
        memcpy(host, sizes, sizeof(sizes));
    return r;
}

/* Put each string where the guest wants it; those whose place is bad are left out. */
static int put_values(const struct hermit_calls *calls, uint64_t array,
                      const struct call_strings *strings, size_t count)
{
    int result = 0;

    for (size_t i = 0; i < count; i++) {
        const char *string = string_at(strings, i);
        size_t len = strlen(string) + 1;
        uint8_t address[8];
        void *host;
        int r = array > UINT64_MAX - 8 * i
                    ? -EFAULT
                    : guest_memory_read(calls->mem, array + 8 * i, address, sizeof(address));

        if (r == 0)
            r = guest_memory_span(calls->mem, load_le64(address), len, &host);
        if (r == 0)
            memcpy(host, string, len);
        else
            result = r;
    }
    return result;
}

int64_t call_string_values(struct call *call)
{
    const struct hermit_calls *calls = call->calls;
    int argv =
        put_values(calls, call_u64(call, VALUES_ARGV), &calls->arguments, calls->arguments.count);
    int envp = put_values(calls, call_u64(call, VALUES_ENVP), &calls->environment,
                          environment_count(calls));

    return argv < 0 ? argv : envp;
}
