#include "plan.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/parse.h"
#include "machine.h"

/* What is asked of the host for memory's pages, and whether it does it as it is set now. */
static void print_pages(const struct config *config)
{
    struct guest_memory_options options = machine_memory_options(config);
    const char *lacks = guest_memory_host_lacks(&options);

    if (config->thp == GUEST_MEMORY_THP_OFF)
        printf("pages:    never made huge\n");
    if (config->thp == GUEST_MEMORY_THP_ON)
        printf("pages:    made huge where the host can\n");
    if (config->merge_pages)
        printf("pages:    merged with equal ones\n");
    if (lacks)
        printf("not done: %s\n", lacks);
}

static void print_plan(const struct config *config, const struct inputs *inputs,
                       const struct limits *limits, const struct machine *machine)
{
    static const char *const consoles[] = {
        [CONSOLE_STDIO] = "standard input and output",
        [CONSOLE_FILE] = "file ",
        [CONSOLE_SOCKET] = "socket ",
        [CONSOLE_NONE] = "none",
    };
    char size[32];

    printf("kernel:   %s, %s, %s\n", inputs_kernel_name(config),
           boot_protocol_name(inputs->plan.protocol),
           format_size(image_size(inputs->kernel), size, sizeof(size)));
    if (inputs->initrd)
        printf("initrd:   %s, %s\n", config->initrd,
               format_size(image_size(inputs->initrd), size, sizeof(size)));
    for (size_t i = 0; i < inputs->module_count; i++)
        printf("module:   %s, %s%s%s\n", config->modules[i].path,
               format_size(image_size(inputs->modules[i].image), size, sizeof(size)),
               *config->modules[i].arguments ? ", arguments: " : "", config->modules[i].arguments);
    printf("cmdline:  %s\n", config->cmdline ? config->cmdline : "");
    printf("memory:   %s%s%s\n", format_size(guest_memory_size(machine->mem), size, sizeof(size)),
           config->hugepages ? ", huge pages" : "", config->prefault ? ", prefaulted" : "");
    print_pages(config);
    if (inputs->plan.hermit_interface)
        printf("hermit:   hypercall interface %u, memory begins at 0x%" PRIx64 "%s\n",
               inputs->plan.hermit_interface, inputs->plan.ram_base,
               config->aslr == ASLR_ON ? " this time" : "");
    printf("cpus:     %u (this host's KVM takes at most %u)\n", config->cpus,
           machine->kvm.max_vcpus);
    printf("console:  %s%s\n", consoles[config->console],
           config->console_path ? config->console_path : "");
    if (config->virtio_console != CONSOLE_NONE)
        printf("virtio console: %s%s\n", consoles[config->virtio_console],
               config->virtio_console_path ? config->virtio_console_path : "");
    if (config->debug_exit_port != CONFIG_NO_PORT)
        printf("debug exit: port 0x%x\n", (unsigned)config->debug_exit_port);
    if (config->exit_record)
        printf("exit record: %s\n", config->exit_record);
    limits_print(limits);
}

int plan_check(const struct config *config, const struct inputs *inputs,
               const struct limits *limits, const struct guardian *guardian, struct jail *jail,
               const struct log *log, struct stages *stages, struct error *err)
{
    struct boot_request request = inputs_boot_request(inputs, config);
    struct machine machine;
    char text[512];
    int r = machine_create(&machine, config, &inputs->plan, NULL, &guardian->terminal, log, stages,
                           err);

    if (r == 0) {
        r = machine_load(&machine, &request, err);
        if (r < 0)
            error_prefix(err, r, "cannot load kernel '%s'", inputs_kernel_name(config));
    }
    if (r == 0)
        print_plan(config, inputs, limits, &machine);
    machine_destroy(&machine); /* while its files can be removed */
    if (r == 0)
        r = jail_enter(jail, guardian, err);
    if (r < 0)
        return r;
    jail_describe(jail, text, sizeof(text));
    printf("jail:     %s\nAll of it can be had here; nothing was started.\n", text);
    return 0;
}
