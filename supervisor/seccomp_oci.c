/* The profiles in the OCI runtime specification's format: the built-in ones' only text. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"
#include "seccomp_profile.h"

#define PROFILE_MAX_BYTES (1024 * 1024)

/* Namespaces are made by no program in a sandbox: clone(2) without any of their flags. */
#define CLONE_NAMESPACES                                                                          \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET | 0x80 /* CLONE_NEWTIME */)

/* ioctl(2) requests that put bytes into a terminal's input, as if its user had typed them. */
#define REQUEST_TIOCSTI   0x5412
#define REQUEST_TIOCLINUX 0x541c

/* Allow a call where an argument, of which `mask` is looked at, is `value`. */
static json_t *allow_masked(const char *name, unsigned argument, uint64_t mask, uint64_t value)
{
    return json_pack("{s:[s], s:s, s:[{s:i, s:I, s:I, s:s}]}", "names", name, "action",
                     "SCMP_ACT_ALLOW", "args", "index", (int)argument, "value", (json_int_t)mask,
                     "valueTwo", (json_int_t)value, "op", "SCMP_CMP_MASKED_EQ");
}

/*
 * All requests but two. ioctl(2) takes 32 bits of an argument of 64, so that "less" and "greater"
 * would let a request with bits above them by; equality under a mask does not. So: any that differs
 * from both in a bit that both have alike, and then each that differs in the others alone.
 */
static void allow_ioctls(json_t *rules)
{
    const uint32_t alike = ~(uint32_t)(REQUEST_TIOCSTI ^ REQUEST_TIOCLINUX);
    uint32_t rest = ~alike, bits = 0;

    for (unsigned i = 0; i < 32; i++) {
        uint32_t bit = UINT32_C(1) << i;

        if (alike & bit)
            json_array_append_new(rules,
                                  allow_masked("ioctl", 1, bit, ~(uint32_t)REQUEST_TIOCSTI & bit));
    }
    do { /* all subsets of the rest */
        uint32_t request = (REQUEST_TIOCSTI & alike) | bits;

        if (request != REQUEST_TIOCSTI && request != REQUEST_TIOCLINUX)
            json_array_append_new(rules, allow_masked("ioctl", 1, UINT32_MAX, request));
        bits = (bits - rest) & rest;
    } while (bits);
}

static void allow_list(json_t *rules, const char *const *calls)
{
    json_t *names = json_array();

    for (; *calls; calls++) {
        if (strcmp(*calls, "ioctl") != 0)
            json_array_append_new(names, json_string(*calls));
    }
    json_array_append_new(rules,
                          json_pack("{s:o, s:s}", "names", names, "action", "SCMP_ACT_ALLOW"));
    json_array_append_new(rules, json_pack("{s:[s], s:s, s:i}", "names", "clone3", "action",
                                           "SCMP_ACT_ERRNO", "errnoRet", ENOSYS));
    allow_ioctls(rules);
}

static json_t *built_in(bool strict)
{
    static const unsigned families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    json_t *rules = json_array();

    allow_list(rules, strict ? seccomp_strict_calls : seccomp_default_calls);
    if (strict)
        json_array_append_new(
            rules, allow_masked("clone", 0, CLONE_THREAD | CLONE_NAMESPACES, CLONE_THREAD));
    else
        json_array_append_new(rules, allow_masked("clone", 0, CLONE_NAMESPACES, 0));
    for (size_t i = 0; !strict && i < ARRAY_SIZE(families); i++)
        json_array_append_new(rules, allow_masked("socket", 0, UINT32_MAX, families[i]));
    return json_pack("{s:s, s:i, s:[s], s:o}", "defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet",
                     EPERM, "architectures", "SCMP_ARCH_X86_64", "syscalls", rules);
}

/* A file of that format, which was found to be a filter that can be made. */
static int from_file(const char *path, json_t **ret_profile, struct error *err)
{
    _cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    size_t len;
    int r = seccomp_profile_write(path, null, err);

    if (r < 0)
        return r;
    r = io_read_file(path, PROFILE_MAX_BYTES, &text, &len);
    if (r == 0)
        *ret_profile = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    return r < 0 || !*ret_profile ? error_set(err, -EIO, "cannot read '%s' again", path) : 0;
}

int seccomp_profile_describe(const char *profile, json_t **ret_profile, struct error *err)
{
    bool strict = strcmp(profile, "strict") == 0;

    if (profile[0] == '/')
        return from_file(profile, ret_profile, err);
    if (!strict && strcmp(profile, "default") != 0)
        return error_set(err, -EINVAL,
                         "seccomp_profile: '%s' is none of default, strict and an absolute path",
                         profile);
    *ret_profile = built_in(strict);
    return *ret_profile ? 0 : error_set(err, -ENOMEM, "out of memory");
}
