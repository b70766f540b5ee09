#include "config.h"

#include <stdlib.h>

#include "base/util.h"

void config_init(struct config *config)
{
    *config = (struct config){
        .mem_size = 256 * MIB,
        .cpus = 1,
        .debug_exit_port = CONFIG_NO_PORT,
        .console = CONSOLE_STDIO,
        .virtio_console = CONSOLE_NONE,
        .uid = CONFIG_NO_ID,
        .gid = CONFIG_NO_ID,
        .uid_first = CONFIG_UID_FIRST,
        .uid_last = CONFIG_UID_LAST,
        .ready_fd = CONFIG_NO_FD,
        .log_level = LOG_WARNING,
    };
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->module_count; i++) {
        free(config->modules[i].path);
        free(config->modules[i].arguments);
    }
    device_config_free(&config->devices);
    program_config_free(&config->program);
    free(config->id);
    free(config->kernel);
    free(config->initrd);
    free(config->cmdline);
    free(config->console_path);
    free(config->virtio_console_path);
    free(config->exit_record);
    free(config->api_sock);
    free(config->gdb);
    free(config->log_path);
    *config = (struct config){0};
}
