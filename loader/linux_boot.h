/* What both kinds of Linux image, bzImage and ELF, are handed. */
#ifndef OSVM_LOADER_LINUX_BOOT_H
#define OSVM_LOADER_LINUX_BOOT_H

#include <asm/bootparam.h>
#include <stdbool.h>
#include <stdint.h>

#include "boot_format.h"

/* The value of setup_header.boot_flag, and "HdrS", the value of setup_header.header. */
#define LINUX_BOOT_FLAG    0xaa55
#define LINUX_HEADER_MAGIC 0x53726448

/**
 * Place command line, initrd and boot_params, and say how the kernel is entered. The kernel is in
 * its place already.
 *
 * @header     the kernel's setup header; its limits (cmdline_size, initrd_addr_max, xloadflags)
 *             are kept, and what a boot loader fills in is filled in here
 * @entry      physical address of the first instruction
 * @long_mode  by the 64-bit protocol; else by the 32-bit one
 * Returns 0 or a negative errno, as image_load().
 */
int linux_hand_over(struct boot_job *job, const struct setup_header *header, uint64_t entry,
                    bool long_mode);

#endif
