/* The options: each one's name, its words in --help, and what it sets. */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/util.h"
#include "config_file.h"
#include "gdb/server.h"
#include "guest/layout.h"
#include "ready.h"

static int set_string(char **target, const char *value, struct error *err)
{
    char *copy = strdup(value);

    if (!copy)
        return error_set(err, -ENOMEM, "out of memory");
    free(*target);
    *target = copy;
    return 0;
}

static int set_path(char **target, const char *value, struct error *err)
{
    if (!*value)
        return error_set(err, -EINVAL, "a file name is wanted, this one is empty");
    return set_string(target, value, err);
}

/* It may become a part of names in the file system, so it is of plain characters. */
static int set_id(struct config *config, const char *value, struct error *err)
{
    size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    if (len == 0 || value[len] || len > CONFIG_ID_MAX)
        return error_set(err, -EINVAL, "an id has 1 to %d letters, digits, - and _", CONFIG_ID_MAX);
    return set_string(&config->id, value, err);
}

static int set_kernel(struct config *config, const char *value, struct error *err)
{
    return set_path(&config->kernel, value, err);
}

static int set_initrd(struct config *config, const char *value, struct error *err)
{
    return set_path(&config->initrd, value, err);
}

static int set_cmdline(struct config *config, const char *value, struct error *err)
{
    return set_string(&config->cmdline, value, err);
}

/* FILE[,ARGS]; a comma in the file's name is written twice. */
static int set_module(struct config *config, const char *value, struct error *err)
{
    struct config_module *module = &config->modules[config->module_count];
    _cleanup_free_ char *path = strdup(value);
    size_t len = 0;

    if (config->module_count == CONFIG_MAX_MODULES)
        return error_set(err, -E2BIG, "at most %d modules are taken", CONFIG_MAX_MODULES);
    if (!path)
        return error_set(err, -ENOMEM, "out of memory");
    for (; *value; value++) {
        if (*value == ',') {
            if (value[1] != ',')
                break;
            value++;
        }
        path[len++] = *value;
    }
    path[len] = '\0';
    if (len == 0)
        return error_set(err, -EINVAL, "a file name is wanted, this one is empty");
    module->arguments = strdup(*value ? value + 1 : "");
    if (!module->arguments)
        return error_set(err, -ENOMEM, "out of memory");
    module->path = take_ptr(path);
    config->module_count++;
    return 0;
}

static void clear_modules(struct config *config)
{
    for (size_t i = 0; i < config->module_count; i++) {
        free(take_ptr(config->modules[i].path));
        free(take_ptr(config->modules[i].arguments));
    }
    config->module_count = 0;
}

static int set_mem(struct config *config, const char *value, struct error *err)
{
    uint64_t size;

    if (parse_size(value, &size) < 0)
        return error_set(err, -EINVAL,
                         "'%s' is not a size; say 256 (MiB), 512K, 64M, 2G or the like", value);
    if (size == 0)
        return error_set(err, -EINVAL, "a machine needs some memory, not 0");
    if (size < 2 * MIB)
        return error_set(err, -EINVAL, "a machine needs 2 MiB of memory at least");
    config->mem_size = size;
    return 0;
}

static int set_cpus(struct config *config, const char *value, struct error *err)
{
    uint64_t cpus;
    int r = parse_u64(value, 1, UINT16_MAX, &cpus);

    if (r == -ERANGE)
        return error_set(err, -EINVAL, "%s is not a possible number of CPUs; 1 is the least",
                         value);
    if (r < 0)
        return error_set(err, -EINVAL, "'%s' is not a number", value);
    config->cpus = (unsigned)cpus;
    return 0;
}

static int set_hugepages(struct config *config, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    config->hugepages = true;
    return 0;
}

static int set_prefault(struct config *config, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    config->prefault = true;
    return 0;
}

static int set_thp(struct config *config, const char *value, struct error *err)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return error_set(err, -EINVAL, "'%s' is neither on nor off", value);
    config->thp = strcmp(value, "on") == 0 ? GUEST_MEMORY_THP_ON : GUEST_MEMORY_THP_OFF;
    return 0;
}

static int set_ksm(struct config *config, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    config->merge_pages = true;
    return 0;
}

static int set_aslr(struct config *config, const char *value, struct error *err)
{
    if (strcmp(value, "on") == 0)
        config->aslr = ASLR_ON;
    else if (strcmp(value, "off") == 0)
        config->aslr = ASLR_OFF;
    else if (parse_u64(value, 0, UINT64_MAX, &config->ram_base) == 0)
        config->aslr = ASLR_GIVEN;
    else
        return error_set(err, -EINVAL, "'%s' is none of on, off and an address", value);
    return 0;
}

static int set_debug_exit(struct config *config, const char *value, struct error *err)
{
    uint64_t port = PORT_DEBUG_EXIT;

    if (value && parse_u64(value, 0, UINT16_MAX - 3, &port) < 0)
        return error_set(err, -EINVAL, "'%s' is not a port; say 0xf4 or the like", value);
    config->debug_exit_port = (int)port;
    return 0;
}

static int add_net(struct config *config, const char *value, struct error *err)
{
    return device_config_add_net(&config->devices, value, err);
}

static void clear_nets(struct config *config)
{
    device_config_clear_nets(&config->devices);
}

static int add_disk(struct config *config, const char *value, struct error *err)
{
    return device_config_add_disk(&config->devices, value, err);
}

static void clear_disks(struct config *config)
{
    device_config_clear_disks(&config->devices);
}

static int add_share(struct config *config, const char *value, struct error *err)
{
    return device_config_add_share(&config->devices, value, err);
}

static void clear_shares(struct config *config)
{
    device_config_clear_shares(&config->devices);
}

static int set_vsock(struct config *config, const char *value, struct error *err)
{
    return device_config_set_vsock(&config->devices, value, err);
}

static int set_balloon(struct config *config, const char *value, struct error *err)
{
    return device_config_set_balloon(&config->devices, value, err);
}

static int set_rng(struct config *config, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    config->devices.rng = true;
    return 0;
}

static int set_transport(struct config *config, const char *value, struct error *err)
{
    return device_config_set_transport(&config->devices, value, err);
}

static int add_argument(struct config *config, const char *value, struct error *err)
{
    return program_config_add_argument(&config->program, value, err);
}

static void clear_arguments(struct config *config)
{
    program_config_clear_arguments(&config->program);
}

static int add_variable(struct config *config, const char *value, struct error *err)
{
    return program_config_add_variable(&config->program, value, err);
}

static void clear_variables(struct config *config)
{
    program_config_clear_variables(&config->program);
}

static int add_mapping(struct config *config, const char *value, struct error *err)
{
    return program_config_add_mapping(&config->program, value, err);
}

static void clear_mappings(struct config *config)
{
    program_config_clear_mappings(&config->program);
}

static int set_keep_files(struct config *config, const char *value, struct error *err)
{
    return set_path(&config->program.keep_files, value, err);
}

/* stdio, none, file=PATH or socket=PATH. */
static int set_where(enum console_kind *kind, char **path, const char *value, struct error *err)
{
    static const struct {
        const char *word;
        enum console_kind kind;
        bool has_path;
    } kinds[] = {
        {"stdio", CONSOLE_STDIO, false},
        {"none", CONSOLE_NONE, false},
        {"file=", CONSOLE_FILE, true},
        {"socket=", CONSOLE_SOCKET, true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t len = strlen(kinds[i].word);

        if (kinds[i].has_path ? strncmp(value, kinds[i].word, len) != 0
                              : strcmp(value, kinds[i].word) != 0)
            continue;
        *kind = kinds[i].kind;
        free(take_ptr(*path));
        return kinds[i].has_path ? set_path(path, value + len, err) : 0;
    }
    return error_set(err, -EINVAL, "'%s' is none of stdio, none, file=PATH and socket=PATH", value);
}

static int set_console(struct config *config, const char *value, struct error *err)
{
    return set_where(&config->console, &config->console_path, value, err);
}

static int set_virtio_console(struct config *config, const char *value, struct error *err)
{
    return set_where(&config->virtio_console, &config->virtio_console_path, value, err);
}

static int set_exit_record(struct config *config, const char *value, struct error *err)
{
    return set_path(&config->exit_record, value, err);
}

static int set_log(struct config *config, const char *value, struct error *err)
{
    return set_path(&config->log_path, value, err);
}

static int set_log_level(struct config *config, const char *value, struct error *err)
{
    if (log_level_parse(value, &config->log_level) < 0)
        return error_set(err, -EINVAL, "'%s' is none of error, warning, info and debug", value);
    return 0;
}

static int set_gdb(struct config *config, const char *value, struct error *err)
{
    int r = gdb_server_check(value, err);

    return r < 0 ? r : set_string(&config->gdb, value, err);
}

static int set_api_sock(struct config *config, const char *value, struct error *err)
{
    return set_path(&config->api_sock, value, err);
}

static int set_stats(struct config *config, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    config->stats = true;
    return 0;
}

static int set_check(struct config *config, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    config->check = true;
    return 0;
}

static int set_clean_up(struct config *config, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    config->clean_up = true;
    return 0;
}

static int set_id_number(int64_t *target, const char *value, struct error *err)
{
    uint64_t id;

    /* (uid_t)-1 means "leave it" to the system calls. */
    if (parse_u64(value, 0, UINT32_MAX - 1, &id) < 0)
        return error_set(err, -EINVAL, "'%s' is not the number of a user or group", value);
    *target = (int64_t)id;
    return 0;
}

static int set_uid(struct config *config, const char *value, struct error *err)
{
    return set_id_number(&config->uid, value, err);
}

static int set_gid(struct config *config, const char *value, struct error *err)
{
    return set_id_number(&config->gid, value, err);
}

/* FIRST-LAST */
static int set_uid_range(struct config *config, const char *value, struct error *err)
{
    _cleanup_free_ char *first = strdup(value);
    char *last = first ? strchr(first, '-') : NULL;
    uint64_t from = 0, to = 0;

    if (!first)
        return error_set(err, -ENOMEM, "out of memory");
    if (last)
        *last++ = '\0';
    if (!last || parse_u64(first, 1, UINT32_MAX - 1, &from) < 0 ||
        parse_u64(last, from, UINT32_MAX - 1, &to) < 0)
        return error_set(err, -EINVAL,
                         "'%s' is not a range of users; say 200000-201000 or the like", value);
    config->uid_first = (uint32_t)from;
    config->uid_last = (uint32_t)to;
    return 0;
}

static int set_no_jail(struct config *config, const char *value, struct error *err)
{
    (void)value;
    (void)err;
    config->no_jail = true;
    return 0;
}

/* --config, --help and --version are looked for before the others; nothing is left to set. */
static int set_nothing(struct config *config, const char *value, struct error *err)
{
    (void)config;
    (void)value;
    (void)err;
    return 0;
}

static const struct option table[] = {
    {"kernel", OPTION_VALUE, "FILE", false, set_kernel, NULL, "What to boot",
     "the kernel: a Linux bzImage or vmlinux, a PVH ELF or a Multiboot image;\n"
     "without it a small built-in image boots and says hello"},
    {"cmdline", OPTION_VALUE, "TEXT", false, set_cmdline, NULL, NULL, "the kernel's command line"},
    {"initrd", OPTION_VALUE, "FILE", false, set_initrd, NULL, NULL,
     "initial RAM disk (for PVH and Multiboot: the first module)"},
    {"module", OPTION_LIST, "FILE[,ARGS]", false, set_module, clear_modules, NULL,
     "a module for a PVH or Multiboot kernel, with its argument string;\n"
     "may be repeated; a comma in the file's name is written twice"},
    {"id", OPTION_VALUE, "ID", false, set_id, NULL, "The machine",
     "a name of its own: its MAC addresses come from it"},
    {"mem", OPTION_VALUE, "SIZE", false, set_mem, NULL, NULL,
     "memory: MiB, or with K, M, G or T behind the number (default: 256)"},
    {"cpus", OPTION_VALUE, "N", false, set_cpus, NULL, NULL, "number of CPUs (default: 1)"},
    {"hugepages", OPTION_FLAG, NULL, false, set_hugepages, NULL, NULL,
     "back memory with 2 MiB pages of the host's reserved pool"},
    {"prefault", OPTION_FLAG, NULL, false, set_prefault, NULL, NULL,
     "take all memory from the host before the start"},
    {"thp", OPTION_VALUE, "on|off", false, set_thp, NULL, NULL,
     "make pages of memory huge wherever the host can, or never (default: as\n"
     "the host does with shared memory)"},
    {"ksm", OPTION_FLAG, NULL, false, set_ksm, NULL, NULL,
     "let the host merge pages with equal ones of other VMs"},
    {"aslr", OPTION_VALUE, "WHERE", false, set_aslr, NULL, NULL,
     "where a Hermit image's memory begins: on (default; elsewhere each\n"
     "time), off, or an address (a multiple of 2 MiB)"},
    {"debug-exit", OPTION_OPTIONAL, "PORT", false, set_debug_exit, NULL, NULL,
     "a port (default: 0xf4) to which a test guest writes v in order to\n"
     "end with status (v << 1) | 1"},
    {"arg", OPTION_LIST, "TEXT", false, add_argument, clear_arguments,
     "The program in a Hermit image", "an argument for it; what stands behind '--' is the same"},
    {"env", OPTION_LIST, "NAME[=VALUE]", false, add_variable, clear_variables, NULL,
     "an environment variable; without a value, the caller's; -e for short"},
    {"map", OPTION_LIST, "HOST:GUEST[:ro]", false, add_mapping, clear_mappings, NULL,
     "have it see a file or folder of the host; it sees no other, and what\n"
     "it writes elsewhere vanishes with the machine"},
    {"keep-files", OPTION_VALUE, "DIR", false, set_keep_files, NULL, NULL,
     "keep that in DIR, which must be new or empty"},
    {"disk", OPTION_LIST, "DISK", false, add_disk, clear_disks, "Devices",
     "path=FILE or scratch=SIZE, with ro, size=, serial=, rate= (bytes a\n"
     "second), iops=, cache=writeback, unsafe or direct, id= (for the API);\n"
     "may be repeated"},
    {"net", OPTION_LIST, "NET", false, add_net, clear_nets, NULL,
     "tap=NAME, fd=N, passt (started here), passt=SOCKET or none, with mac=,\n"
     "mtu=, rx-rate=, tx-rate= (bytes a second), id=; may be repeated"},
    {"vsock", OPTION_VALUE, "VSOCK", false, set_vsock, NULL, NULL,
     "cid=N,path=SOCKET[,rate=]: sockets to and from the guest"},
    {"share", OPTION_LIST, "TAG=DIR[,ro]", false, add_share, clear_shares, NULL,
     "share a folder with the guest (virtio-fs); may be repeated"},
    {"rng", OPTION_FLAG, NULL, false, set_rng, NULL, NULL, "a source of random numbers"},
    {"balloon", OPTION_OPTIONAL, "BALLOON", false, set_balloon, NULL, NULL,
     "memory that can be taken back: size=, deflate-on-oom, reporting,\n"
     "stats=SECONDS"},
    {"transport", OPTION_VALUE, "KIND", false, set_transport, NULL, NULL,
     "how the guest finds them: mmio (default) or pci (default for Hermit)"},
    {"cpu-affinity", OPTION_VALUE, "LIST", false, limits_config_set_affinity, NULL, "Limits",
     "pin each CPU to one of these CPUs of the host, in turn: 0-3,5"},
    {"cpu-quota", OPTION_VALUE, "PERCENT", false, limits_config_set_quota, NULL, NULL,
     "CPU time of all its threads: 150 is one and a half CPUs"},
    {"disk-limit", OPTION_VALUE, "SIZE", false, limits_config_set_disk, NULL, NULL,
     "all writable disks, and what shares may grow, together"},
    {"net-rate", OPTION_VALUE, "RATE", false, limits_config_set_net, NULL, NULL,
     "all network devices together, each way: bytes a second"},
    {"limit-fds", OPTION_VALUE, "N", false, limits_config_set_fds, NULL, NULL,
     "open files of osvm-vmm, those that the guest has it open included"},
    {"limit-processes", OPTION_VALUE, "N", false, limits_config_set_processes, NULL, NULL,
     "threads and processes of osvm-vmm"},
    {"time-limit", OPTION_VALUE, "SECONDS", false, limits_config_set_time, NULL, NULL,
     "end it when it has run for so long"},
    {"cpu-time-limit", OPTION_VALUE, "SECONDS", false, limits_config_set_cpu_time, NULL, NULL,
     "end it when it has used so much CPU time"},
    {"boot-timeout", OPTION_VALUE, "SECONDS", false, limits_config_set_boot, NULL, NULL,
     "end it when the guest has not said by then that it is ready"},
    {"uid", OPTION_VALUE, "N", false, set_uid, NULL, "The jail",
     "as root: the user that the machine's process becomes (default: the\n"
     "owner of its first share or of its vsock's folder, else a user that\n"
     "no other machine has, of --uid-range)"},
    {"gid", OPTION_VALUE, "N", false, set_gid, NULL, NULL,
     "as root: its group (default: as the user)"},
    {"uid-range", OPTION_VALUE, "FIRST-LAST", false, set_uid_range, NULL, NULL,
     "where those users are taken from (default: 1879048192-1879113727)"},
    {"no-jail", OPTION_FLAG, NULL, false, set_no_jail, NULL, NULL,
     "run the machine with the caller's rights, unconfined; for debugging"},
    {"console", OPTION_VALUE, "WHERE", false, set_console, NULL, "Console and messages",
     "the serial console: stdio (default; Ctrl-A x ends, Ctrl-A c shows\n"
     "the status), file=PATH, socket=PATH (a Unix socket), or none"},
    {"virtio-console", OPTION_VALUE, "WHERE", false, set_virtio_console, NULL, NULL,
     "a second console (Linux: hvc0), which is faster and knows its\n"
     "window's size; WHERE as above, none being the default"},
    {"log", OPTION_VALUE, "FILE", false, set_log, NULL, NULL,
     "append messages to FILE, not to standard error"},
    {"log-level", OPTION_VALUE, "LEVEL", false, set_log_level, NULL, NULL,
     "error, warning (default), info or debug"},
    {"exit-record", OPTION_VALUE, "FILE", false, set_exit_record, NULL, NULL,
     "at the end, say in JSON how and why it ended and what it cost"},
    {"api-sock", OPTION_VALUE, "SOCKET", false, set_api_sock, NULL, "The API",
     "serve an API over HTTP on a Unix socket at this path; without --kernel,\n"
     "wait there for what to run and for the word to start"},
    {"gdb", OPTION_VALUE, "PORT|SOCKET", false, set_gdb, NULL, "Debugging",
     "wait for gdb before the first instruction: on a port of 127.0.0.1, or\n"
     "on a Unix socket at this path"},
    {"ready-fd", OPTION_VALUE, "N", true, ready_config_set_fd, NULL, NULL,
     "write a byte to this descriptor once the guest says that it is ready"},
    {"stats", OPTION_FLAG, NULL, false, set_stats, NULL, NULL,
     "at the end, say on standard error how long each stage took, and count\n"
     "exits and hypercalls by kind"},
    {"config", OPTION_VALUE, "FILE", true, set_nothing, NULL, "This program",
     "take options from a JSON object, with the names above; those of\n"
     "the command line win"},
    {"check", OPTION_FLAG, NULL, true, set_check, NULL, NULL,
     "look at everything, say the plan, start nothing"},
    {"clean-up", OPTION_FLAG, NULL, true, set_clean_up, NULL, NULL,
     "remove what a killed run with the same options has left behind;\n"
     "start nothing"},
    {"help", OPTION_FLAG, NULL, true, set_nothing, NULL, NULL, "show this help"},
    {"version", OPTION_FLAG, NULL, true, set_nothing, NULL, NULL, "show the version"},
};

_Static_assert(ARRAY_SIZE(table) <= OPTION_MAX, "OPTION_MAX is too small");

const struct option *option_at(size_t index)
{
    return index < ARRAY_SIZE(table) ? &table[index] : NULL;
}

const struct option *option_find(const char *name, size_t name_len, size_t *ret_index)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (strlen(table[i].name) == name_len && memcmp(table[i].name, name, name_len) == 0) {
            *ret_index = i;
            return &table[i];
        }
    }
    return NULL;
}
