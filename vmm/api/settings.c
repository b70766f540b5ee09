#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "body.h"
#include "loader/image.h"
#include "options.h"
#include "settings_internal.h"

#define MAX_VCPUS 32

static int out_of_memory(struct error *err)
{
    return error_set(err, -ENOMEM, "out of memory");
}

/* As on the command line: --NAME VALUE; nothing where the value is NULL. */
static int set_option(struct config *config, const char *name, const char *value, struct error *err)
{
    size_t index;

    return value ? option_find(name, strlen(name), &index)->set(config, value, err) : 0;
}

static int set_number(struct config *config, const char *name, uint64_t value, const char *unit,
                      struct error *err)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64 "%s", value, unit);
    return set_option(config, name, text, err);
}

static void swap_strings(char **a, char **b)
{
    char *kept = *a;

    *a = *b;
    *b = kept;
}

/* ---- /machine-config ---- */

struct machine_body {
    struct body_number vcpu_count, mem_size_mib;
    struct body_flag smt, track_dirty_pages;
    const char *huge_pages, *cpu_template;
};

#define MACHINE_FIELDS(required)                                                                   \
    {"vcpu_count", BODY_NUMBER, required, offsetof(struct machine_body, vcpu_count)},              \
        {"mem_size_mib", BODY_NUMBER, required, offsetof(struct machine_body, mem_size_mib)},      \
        {"smt", BODY_FLAG, false, offsetof(struct machine_body, smt)},                             \
        {"track_dirty_pages", BODY_FLAG, false, offsetof(struct machine_body, track_dirty_pages)}, \
        {"huge_pages", BODY_STRING, false, offsetof(struct machine_body, huge_pages)},             \
        {"cpu_template", BODY_STRING, false, offsetof(struct machine_body, cpu_template)},         \
    {                                                                                              \
        0                                                                                          \
    }

static int set_pages(struct config *config, const char *word, struct error *err)
{
    static const char *const words[] = {"None", "2M", "Transparent", NULL};
    int choice = body_choose("huge_pages", word, words, err);

    if (choice < 0)
        return choice;
    config->hugepages = choice == 1;
    config->thp = choice == 2 ? GUEST_MEMORY_THP_ON : (enum guest_memory_thp)0;
    return 0;
}

static int check_machine(const struct machine_body *body, struct error *err)
{
    if (body->vcpu_count.given && body->vcpu_count.value > MAX_VCPUS)
        return error_set(err, -EINVAL, "vcpu_count: 1 to %d", MAX_VCPUS);
    if (body->track_dirty_pages.value)
        return error_set(err, -EINVAL, "track_dirty_pages: there are no snapshots here");
    if (body->cpu_template && strcmp(body->cpu_template, "None") != 0)
        return error_set(err, -EINVAL, "cpu_template: there is None alone");
    return 0;
}

static int set_machine(struct settings *settings, const struct machine_body *body,
                       struct config *scratch, struct error *err)
{
    struct config *config = settings->config;
    int r = check_machine(body, err);

    if (r == 0 && body->vcpu_count.given) {
        r = set_number(scratch, "cpus", body->vcpu_count.value, "", err);
        if (r < 0)
            error_prefix(err, r, "vcpu_count");
    }
    if (r == 0 && body->mem_size_mib.given) {
        r = set_number(scratch, "mem", body->mem_size_mib.value, "M", err);
        if (r < 0)
            error_prefix(err, r, "mem_size_mib");
    }
    if (r == 0 && body->huge_pages)
        r = set_pages(scratch, body->huge_pages, err);
    if (r < 0)
        return r;
    config->cpus = scratch->cpus;
    config->mem_size = scratch->mem_size;
    config->hugepages = scratch->hugepages;
    config->thp = scratch->thp;
    return 0;
}

int settings_put_machine(struct settings *settings, const char *id, const json_t *body,
                         struct error *err)
{
    static const struct body_field table[] = {MACHINE_FIELDS(true)};
    struct machine_body read = {0};
    struct config scratch;
    int r = body_read(body, table, &read, err);

    (void)id;
    config_init(&scratch);
    return r < 0 ? r : set_machine(settings, &read, &scratch, err);
}

int settings_patch_machine(struct settings *settings, const char *id, const json_t *body,
                           struct error *err)
{
    static const struct body_field table[] = {MACHINE_FIELDS(false)};
    struct machine_body read = {0};
    struct config scratch = {
        .cpus = settings->config->cpus,
        .mem_size = settings->config->mem_size,
        .hugepages = settings->config->hugepages,
        .thp = settings->config->thp,
    };
    int r = body_read(body, table, &read, err);

    (void)id;
    if (r == 0 && json_object_size(body) == 0)
        r = error_set(err, -EINVAL, "there is nothing to change in it");
    return r < 0 ? r : set_machine(settings, &read, &scratch, err);
}

/* ---- /boot-source ---- */

/* That it is there and can be read; what it is, is seen at the start. */
static int check_image(const char *field, const char *path, struct error *err)
{
    struct image *image = NULL;
    int r = path ? image_open(path, &image, err) : 0;

    image_close(image);
    return r < 0 ? error_prefix(err, r, "%s '%s'", field, path) : 0;
}

int settings_put_boot(struct settings *settings, const char *id, const json_t *body,
                      struct error *err)
{
    struct boot_body {
        const char *kernel, *initrd, *cmdline;
    } read = {0};
    static const struct body_field table[] = {
        {"kernel_image_path", BODY_STRING, true, offsetof(struct boot_body, kernel)},
        {"initrd_path", BODY_STRING, false, offsetof(struct boot_body, initrd)},
        {"boot_args", BODY_STRING, false, offsetof(struct boot_body, cmdline)},
        {0},
    };
    struct config *config = settings->config, scratch;
    int r = body_read(body, table, &read, err);

    (void)id;
    config_init(&scratch);
    if (r == 0)
        r = set_option(&scratch, "kernel", read.kernel, err);
    if (r == 0)
        r = set_option(&scratch, "initrd", read.initrd, err);
    if (r == 0)
        r = set_option(&scratch, "cmdline", read.cmdline, err);
    if (r == 0)
        r = check_image("kernel_image_path", read.kernel, err);
    if (r == 0)
        r = check_image("initrd_path", read.initrd, err);
    if (r == 0) {
        swap_strings(&config->kernel, &scratch.kernel);
        swap_strings(&config->initrd, &scratch.initrd);
        swap_strings(&config->cmdline, &scratch.cmdline);
        settings->has_kernel = true;
        settings->default_cmdline = !read.cmdline;
    }
    config_free(&scratch);
    return r;
}

/* ---- The others of one option each. ---- */

int settings_put_vsock(struct settings *settings, const char *id, const json_t *body,
                       struct error *err)
{
    struct vsock_body {
        struct body_number cid;
        const char *path, *vsock_id;
    } read = {0};
    static const struct body_field table[] = {
        {"guest_cid", BODY_NUMBER, true, offsetof(struct vsock_body, cid)},
        {"uds_path", BODY_STRING, true, offsetof(struct vsock_body, path)},
        {"vsock_id", BODY_STRING, false, offsetof(struct vsock_body, vsock_id)},
        {0},
    };
    char cid[32];
    _cleanup_free_ char *value = NULL;
    int r = body_read(body, table, &read, err);

    (void)id;
    if (r < 0)
        return r;
    snprintf(cid, sizeof(cid), "cid=%" PRIu64 ",", read.cid.value);
    value = settings_join(cid, "path=", read.path);
    return value ? set_option(settings->config, "vsock", value, err) : out_of_memory(err);
}

int settings_put_entropy(struct settings *settings, const char *id, const json_t *body,
                         struct error *err)
{
    static const struct body_field table[] = {{"rate_limiter", BODY_RATE, false, 0}, {0}};
    struct rate_limit_change rate = {0};
    int r = body_read(body, table, &rate, err);

    (void)id;
    if (r == 0)
        r = set_option(settings->config, "rng", "", err);
    if (r == 0)
        settings->config->devices.rng_rate =
            (struct config_rate){.bytes = rate.bytes, .operations = rate.operations};
    return r;
}

int settings_put_balloon(struct settings *settings, const char *id, const json_t *body,
                         struct error *err)
{
    struct balloon_body {
        struct body_number amount, interval;
        struct body_flag oom, reporting, hinting;
    } read = {0};
    static const struct body_field table[] = {
        {"amount_mib", BODY_NUMBER, true, offsetof(struct balloon_body, amount)},
        {"deflate_on_oom", BODY_FLAG, true, offsetof(struct balloon_body, oom)},
        {"stats_polling_interval_s", BODY_NUMBER, false, offsetof(struct balloon_body, interval)},
        {"free_page_reporting", BODY_FLAG, false, offsetof(struct balloon_body, reporting)},
        {"free_page_hinting", BODY_FLAG, false, offsetof(struct balloon_body, hinting)},
        {0},
    };
    char value[96], interval[32] = "";
    int r = body_read(body, table, &read, err);

    (void)id;
    if (r == 0 && read.hinting.value)
        r = error_set(err, -EINVAL, "free_page_hinting: there is no such thing here");
    if (r < 0)
        return r;
    if (read.interval.value)
        snprintf(interval, sizeof(interval), ",stats=%" PRIu64, read.interval.value);
    snprintf(value, sizeof(value), "size=%" PRIu64 "M%s%s%s", read.amount.value,
             read.oom.value ? ",deflate-on-oom" : "", read.reporting.value ? ",reporting" : "",
             interval);
    return set_option(settings->config, "balloon", value, err);
}

int settings_put_serial(struct settings *settings, const char *id, const json_t *body,
                        struct error *err)
{
    static const struct body_field table[] = {{"serial_out_path", BODY_STRING, false, 0}, {0}};
    const char *path = NULL;
    _cleanup_free_ char *value = NULL;
    int r = body_read(body, table, &path, err);

    (void)id;
    if (r < 0)
        return r;
    if (asprintf(&value, "%s%s", path ? "file=" : "stdio", path ? path : "") < 0)
        return out_of_memory(err);
    return set_option(settings->config, "console", value, err);
}

/* A file that is to be appended to; made where it is not there. */
static int check_writable(const char *field, const char *path, struct error *err)
{
    _cleanup_close_ int fd = -1;

    if (!path)
        return 0;
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    return fd < 0 ? error_set_errno(err, -errno, "cannot write %s '%s'", field, path) : 0;
}

int settings_put_logger(struct settings *settings, const char *id, const json_t *body,
                        struct error *err)
{
    static const char *const levels[] = {"Off", "Error", "Warning", "Info", "Debug", "Trace", NULL};
    static const char *const own_levels[] = {"error", "error", "warning", "info", "debug", "debug"};
    struct logger_body {
        const char *path, *level, *module;
        struct body_flag show_level, show_origin;
    } read = {.level = "Info"};
    static const struct body_field table[] = {
        {"log_path", BODY_STRING, false, offsetof(struct logger_body, path)},
        {"level", BODY_STRING, false, offsetof(struct logger_body, level)},
        {"module", BODY_STRING, false, offsetof(struct logger_body, module)},
        {"show_level", BODY_FLAG, false, offsetof(struct logger_body, show_level)},
        {"show_log_origin", BODY_FLAG, false, offsetof(struct logger_body, show_origin)},
        {0},
    };
    int r = body_read(body, table, &read, err), level = 0;

    (void)id;
    if (r == 0) {
        char word[16];

        snprintf(word, sizeof(word), "%s", read.level);
        for (char *at = word; *at; at++) /* in any case */
            *at = (char)(at == word ? toupper((unsigned char)*at) : tolower((unsigned char)*at));
        r = level = body_choose("level", strcmp(word, "Warn") == 0 ? "Warning" : word, levels, err);
    }
    if (r >= 0)
        r = check_writable("log_path", read.path, err);
    if (r == 0)
        r = set_option(settings->config, "log", read.path, err);
    if (r == 0)
        r = set_option(settings->config, "log-level", own_levels[level], err);
    if (r < 0)
        return r;
    settings->config->log_off = level == 0;
    settings->config->log_shows_level = read.show_level.value;
    settings->config->log_shows_origin = read.show_origin.value;
    return 0;
}

int settings_put_metrics(struct settings *settings, const char *id, const json_t *body,
                         struct error *err)
{
    static const struct body_field table[] = {{"metrics_path", BODY_STRING, true, 0}, {0}};
    const char *path = NULL;
    char *copy;
    int r = body_read(body, table, &path, err);

    (void)id;
    if (r == 0)
        r = check_writable("metrics_path", path, err);
    if (r < 0)
        return r;
    copy = strdup(path);
    if (!copy)
        return out_of_memory(err);
    free(settings->metrics_path);
    settings->metrics_path = copy;
    return 0;
}

void settings_free(struct settings *settings)
{
    free(settings->root_disk);
    free(settings->root_partuuid);
    free(settings->metrics_path);
    *settings = (struct settings){0};
}
