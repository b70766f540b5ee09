/*
 * Linux: boot_params, and ELF images entered by the 64-bit protocol.
 * Numbers: "The Linux/x86 Boot Protocol" and "Zero Page" in the kernel's documentation, by way of
 * <asm/bootparam.h>.
 */
#include "linux_boot.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>

#include "base/util.h"
#include "guest/layout.h"
#include "x86_entry.h"

/* type_of_loader: a loader without a number of its own. */
#define LOADER_UNDEFINED 0xff

/* Where a kernel that has no header to say so takes an initrd, and how long a command line it
 * reads: initrd_addr_max of every x86 kernel so far, and COMMAND_LINE_SIZE - 1. */
#define ELF_INITRD_ADDR_MAX 0x7fffffff
#define ELF_CMDLINE_SIZE    2047
#define ELF_HEADER_VERSION  0x020c

/* Load the initrd below initrd_addr_max, or above 4 GiB where only that has room and the kernel
 * can. */
static int put_initrd(struct boot_job *job, struct boot_params *params, bool long_mode)
{
    const struct image *initrd = job->request->initrd;
    uint64_t limit = min_u64((uint64_t)params->hdr.initrd_addr_max + 1, LAYOUT_HIGH_RAM_BASE);
    bool above = long_mode && (params->hdr.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G) &&
                 guest_memory_size(job->mem) > LAYOUT_LOW_RAM_END;
    struct boot_range low = {.start = LAYOUT_HIMEM_BASE, .end = limit};
    struct boot_range high = {.start = LAYOUT_HIGH_RAM_BASE, .end = UINT64_MAX};
    uint64_t gpa;
    int r;

    if (!initrd)
        return 0;
    r = boot_put_image(job, "initrd", initrd, low, &gpa);
    if (r == -ENOMEM && above)
        r = boot_put_image(job, "initrd", initrd, high, &gpa);
    if (r < 0)
        return r;
    params->hdr.ramdisk_image = (uint32_t)gpa;
    params->ext_ramdisk_image = (uint32_t)(gpa >> 32);
    params->hdr.ramdisk_size = (uint32_t)image_size(initrd);
    params->ext_ramdisk_size = (uint32_t)(image_size(initrd) >> 32);
    return 0;
}

/*
 * An ELF file by this protocol is told of RAM alone, what is not told being no RAM either: Hermit's
 * loader takes every entry for RAM.
 */
static void fill_e820(const struct boot_job *job, struct boot_params *params)
{
    struct memory_map_entry map[MEMORY_MAP_MAX_ENTRIES];
    size_t count = guest_memory_map(job->mem, map);
    bool ram_only = job->result.protocol == BOOT_LINUX_ELF;

    for (size_t i = 0; i < count; i++) {
        if (ram_only && map[i].type != MEMORY_MAP_RAM)
            continue;
        params->e820_table[params->e820_entries++] = (struct boot_e820_entry){
            .addr = map[i].gpa,
            .size = map[i].size,
            .type = map[i].type,
        };
    }
}

int linux_hand_over(struct boot_job *job, const struct setup_header *header, uint64_t entry,
                    bool long_mode)
{
    struct boot_params params = {
        .acpi_rsdp_addr = job->request->rsdp,
        .hdr = *header,
    };
    uint64_t cmdline;
    int r;

    if (job->request->module_count > 0)
        return error_set(job->err, -EINVAL,
                         "a module needs a PVH or Multiboot kernel; this one is %s",
                         boot_protocol_name(job->result.protocol));
    r = boot_put_string(job, "command line", job->request->cmdline, header->cmdline_size, &cmdline);
    if (r < 0)
        return r;
    params.hdr.type_of_loader = LOADER_UNDEFINED;
    params.hdr.cmd_line_ptr = (uint32_t)cmdline; /* structures lie below 4 GiB */
    params.hdr.ramdisk_image = 0;
    params.hdr.ramdisk_size = 0;
    params.hdr.setup_data = 0;
    fill_e820(job, &params);
    r = put_initrd(job, &params, long_mode);
    if (r < 0)
        return r;
    r = boot_put(job, "boot parameters", &params, sizeof(params), 4 * KIB, &job->result.entry.rsi);
    if (r < 0)
        return r;
    return long_mode ? x86_enter_64(job, entry) : x86_enter_32(job, (uint32_t)entry);
}

static int linux_elf_recognise(const struct boot_probe *probe, enum boot_protocol *ret_protocol,
                               struct error *err)
{
    if (!probe->is_elf || !probe->elf.is_64 || probe->elf.machine != EM_X86_64)
        return 0;
    for (size_t i = 0; i < probe->elf.segment_count; i++)
        if (probe->elf.segments[i].type == PT_INTERP)
            return error_set(err, -ENOEXEC,
                             "an ELF program that wants an interpreter: not a kernel, or one of a "
                             "kind that is not known here");
    *ret_protocol = BOOT_LINUX_ELF;
    return 1;
}

static int linux_elf_load(struct boot_job *job)
{
    static const struct setup_header header = {
        .boot_flag = LINUX_BOOT_FLAG,
        .header = LINUX_HEADER_MAGIC,
        .version = ELF_HEADER_VERSION,
        .loadflags = LOADED_HIGH,
        .initrd_addr_max = ELF_INITRD_ADDR_MAX,
        .cmdline_size = ELF_CMDLINE_SIZE,
        .xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G,
    };
    uint64_t entry = job->probe->elf.entry;
    int r;

    r = elf_load_segments(job);
    if (r < 0)
        return r;
    if (!elf_is_loaded(&job->probe->elf, entry))
        return error_set(job->err, -ENOEXEC,
                         "its entry point 0x%" PRIx64 " lies outside what it loads", entry);
    return linux_hand_over(job, &header, entry, true);
}

const struct boot_format linux_elf_format = {
    .recognise = linux_elf_recognise,
    .load = linux_elf_load,
};
