/* What a machine is to be: filled in by the command line and the config file, read by the rest. */
#ifndef OSVM_VMM_CONFIG_H
#define OSVM_VMM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "device_config.h"
#include "guest/memory.h"
#include "limits_config.h"
#include "program_config.h"

/* Where the memory of a Hermit image begins: somewhere else at each start, where it always does, or
 * at config.ram_base. */
enum aslr_kind { ASLR_ON, ASLR_OFF, ASLR_GIVEN };

enum console_kind { CONSOLE_STDIO, CONSOLE_FILE, CONSOLE_SOCKET, CONSOLE_NONE };

struct config_module {
    char *path;
    char *arguments;
};

#define CONFIG_ID_MAX      64
#define CONFIG_MAX_MODULES 64
#define CONFIG_NO_PORT     (-1)
#define CONFIG_NO_ID       (-1)
#define CONFIG_NO_FD       (-1)

/* 65,536 ids behind those of containers, which nothing assigns (systemd, docs/UIDS-GIDS.md). */
#define CONFIG_UID_FIRST 0x70000000u
#define CONFIG_UID_LAST  0x7000ffffu

/* All strings are owned; NULL where nothing was said. */
struct config {
    char *id;     /* of this VM: what is derived from it stays the same */
    char *kernel; /* NULL: the embedded default image */
    char *initrd;
    char *cmdline;
    struct config_module modules[CONFIG_MAX_MODULES];
    size_t module_count;
    uint64_t mem_size; /* bytes */
    unsigned cpus;
    bool hugepages, prefault;
    enum guest_memory_thp thp;
    bool merge_pages;
    enum aslr_kind aslr;
    uint64_t ram_base;
    struct device_config devices;
    struct program_config program;
    int debug_exit_port; /* CONFIG_NO_PORT: none */
    enum console_kind console;
    char *console_path;
    enum console_kind virtio_console; /* CONSOLE_NONE: no such device */
    char *virtio_console_path;
    char *exit_record;
    char *api_sock; /* where the API is served; NULL: nowhere */
    char *gdb;      /* where a debugger connects: a port or a socket's path; NULL: nowhere */
    int ready_fd;   /* CONFIG_NO_FD: nobody is told that the guest is ready */
    char *log_path;
    enum log_level log_level;
    bool log_off, log_shows_level, log_shows_origin;
    struct limits_config limits;
    bool stats;
    bool check;
    bool clean_up; /* remove what a run with this configuration has left, start nothing */
    bool no_jail;
    /* Of the VM process, where the caller is root; CONFIG_NO_ID: chosen by jail_choose_user(). */
    int64_t uid, gid;
    uint32_t uid_first, uid_last; /* those that machines are given, one each */
};

/* The defaults. Freed by config_free(). */
void config_init(struct config *config);
void config_free(struct config *config);

#endif
